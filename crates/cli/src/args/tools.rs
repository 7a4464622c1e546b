//! The arguments of the commands that need no run, and of `data suspects`, which does.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use da2s::data::Format as DataFormat;
use da2s::device::EngineName;
use da2s::run::devices;
use da2s::space::GenotypeForm;

use super::settings::{ImageStageArguments, SettingArguments};
use super::values::one_of;

/// Arguments of `genotype`.
#[derive(Debug, Args)]
pub struct GenotypeArguments {
    /// A genotype as text in any form, a file with one (FILE:NAME if there are several), or a run
    /// directory
    #[arg(value_name = "TEXT|FILE|RUN")]
    pub what: String,
    /// Form to print it in [default: darts, nas-bench-201 or mobile, depending on its space];
    /// nas-bench-301 sorts the entries of a node, so weights trained with the genotype no longer
    /// fit it
    #[arg(long, value_parser = one_of(GenotypeForm::ALL))]
    pub form: Option<GenotypeForm>,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub struct LookupArguments {
    /// An architecture of NAS-Bench-201 in any form that `da2s genotype` reads, its index, a file
    /// that contains one, or a run directory
    #[arg(value_name = "ARCH|INDEX|FILE|RUN")]
    pub what: String,
    /// Table of accuracies in percent: CSV, plain or compressed with gzip, whose first line is
    /// `architecture,COLUMN,…`; a column `index` contains the benchmark's indices
    #[arg(long, value_name = "FILE")]
    pub benchmark: PathBuf,
    /// Print a JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Instead, print the memory that a step of the search and of the training needs, and the
    /// available memory
    #[arg(long)]
    pub memory: bool,
    /// Instead, print the reference of all settings as Markdown: docs/settings.md
    #[arg(long, exclusive = true)]
    pub reference: bool,
    /// Instead, print the JSON schema of configuration files, with which editors complete and check
    /// them
    #[arg(long, exclusive = true)]
    pub schema: bool,
}

/// Arguments of `data`.
#[derive(Debug, Args)]
pub struct DataArguments {
    /// What to do with data sets.
    #[command(subcommand)]
    pub verb: DataVerb,
}

/// What to do with data sets.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// List the data sets: images, classes, size, folder, source
    List,
    /// Read every image in a folder, and print counts, sizes and damaged files
    Check(DataCheckArguments),
    /// List the images of a run whose labels its trained network doubts most
    #[command(mut_arg("on_nan", |arg| arg.hide(true)))]
    Suspects(DataSuspectsArguments),
    /// Download a published data set, or continue an interrupted download
    Fetch(DataFetchArguments),
}

/// Arguments of `data check`.
#[derive(Debug, Args)]
pub struct DataCheckArguments {
    /// Folder of the images, or a table of their labels, or `digits`, which are built in
    pub dir: PathBuf,
    /// Data set [default: detected from its files]
    #[arg(long, value_parser = one_of(DataFormat::ALL.into_iter().filter(|format| format.needs_folder())))]
    pub dataset: Option<DataFormat>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `data suspects`.
#[derive(Debug, Args)]
pub struct DataSuspectsArguments {
    /// The run.
    #[command(flatten)]
    pub stage: ImageStageArguments,
    /// Number of images to list: this many that the network was trained on, and as many of the
    /// others
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
    /// Also write the list as CSV
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Page with their pictures [default: suspects.html in the run directory]
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
}

/// Arguments of `data fetch`.
#[derive(Debug, Args)]
pub struct DataFetchArguments {
    /// Data set
    #[arg(value_name = "NAME", value_parser = one_of(DataFormat::readable()))]
    pub dataset: DataFormat,
    /// Folder for its files [default: data/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Download from a copy at this address instead of the published one; the checksums must be the
    /// same
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
}

/// Arguments of `profile`.
#[derive(Debug, Args)]
#[command(mut_arg("threads", |arg| arg.help("CPU threads; 0 means 1 [default: 1]")))]
pub struct ProfileArguments {
    /// The space and the network whose blocks are measured.
    #[command(flatten)]
    pub settings: SettingArguments,
    /// File of the table, as CSV
    #[arg(long, value_name = "FILE", default_value = "latency.csv")]
    pub out: PathBuf,
    /// Widths whose blocks are measured, as multiples of network.channels; for --baselines, as
    /// multiples of their published channels
    #[arg(long, value_name = "WIDTH,…", value_delimiter = ',', default_value = "1")]
    pub widths: Vec<f64>,
    /// Number of rounds; the result is their median
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeat: u16,
    /// Also measure this many random networks that fit the target, at the first of --widths, and
    /// print how far off the table is
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub check: u16,
    /// Name of this machine in the table [default: its processor]
    #[arg(long, value_name = "TEXT")]
    pub machine: Option<String>,
    /// Do not measure: write the blocks, and the networks of --check, as ONNX files into this new
    /// folder, with a script that measures them in onnxruntime, here or on another device
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "repeat", "machine", "threads"])]
    pub onnx: Option<PathBuf>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to time
    #[arg(long, value_enum, default_value_t = BenchCase::All)]
    pub case: BenchCase,
    #[arg(long, default_value = "cpu", help = format!("Device; here: {}", devices().join(", ")))]
    pub device: String,
    /// Implementation of the cells: the fastest for the device, the plain reference, or the fast
    /// one with particular vector instructions
    #[arg(long, default_value = "auto", value_parser = one_of(EngineName::ALL))]
    pub engine: EngineName,
    /// CPU threads; 0 means one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=4096))]
    pub threads: u16,
    /// Number of repetitions of each case; the result is their median
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeat: u16,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What `bench` can time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchCase {
    /// A search step: 16 channels, 8 cells, 32×32, batch 64
    Search,
    /// A search step: 8 channels, 5 cells, 16×16, batch 32
    SearchSmall,
    /// A search step in the space `mobile`: 16 channels in the stem, 32×32, batch 64
    SearchMobile,
    /// A retraining step: 36 channels, 20 cells, auxiliary head, batch 32
    Retrain,
    /// Inference with the network of `retrain`: batch 1 and 64
    Inference,
    /// Inference of one image
    #[value(name = "inference-1")]
    InferenceOne,
    /// Inference of 64 images
    #[value(name = "inference-64")]
    InferenceMany,
    /// Cells of the NAS-Bench-201 super-network, forward and backward
    #[value(name = "nas201-blocks")]
    Nas201Blocks,
    /// All of these
    All,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Folder for the pages, one per command; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
