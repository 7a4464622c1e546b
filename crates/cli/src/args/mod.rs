//! The command line, and how its flags become a layer of the configuration.

mod layers;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use da2s::config::{EngineName, RECIPES};
use da2s::data::Format as DataFormat;
use da2s::discretize::GenotypeForm;
use da2s::export::Format;
use da2s::run::devices;
use da2s::search::Method;
use da2s::space::SpaceName;
use da2s_report::drawing::Format as PictureFormat;
use toml::Value;

use crate::exit::Code;
use values::{count, edges, named};

/// Discretization-aware neural architecture search: finds an architecture whose discretization costs almost nothing,
/// trains it, and shows how it came about.
#[derive(Debug, Parser)]
#[command(name = "da2s", version, after_help = Code::help(), arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the commands say that work in several processes.
#[cfg(feature = "mpi")]
const OVER_MPI: &str = "In several processes, over MPI:\n  mpirun -n 2 da2s run --threads 1 …  \
    search and train on 2 processes, which share the images of every step: each takes search.batch_size and network.batch_size of its own. \
    The first reads and writes the run directory and tells how far it is.";
#[cfg(not(feature = "mpi"))]
const OVER_MPI: &str = "";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Search, discretize, train, evaluate and report, in a new run directory
    #[command(after_help = OVER_MPI)]
    Run(RunArguments),
    /// Train the super-network, in a new run directory
    #[command(after_help = OVER_MPI)]
    Search(CreateArguments),
    /// Prune the super-network of a run and measure what that costs
    Discretize(DiscretizeArguments),
    /// Train the network of a run's genotype
    #[command(after_help = OVER_MPI)]
    Train(TrainArguments),
    /// Measure the trained network of a run on the test images
    Evaluate(StageArguments),
    /// Name what the trained network of a run sees on images
    Predict(PredictArguments),
    /// Write the trained network of a run for ONNX, PyTorch, or as plain safetensors
    Export(ExportArguments),
    /// Make a run of weights from elsewhere: of a network, or of a super-network
    Import(ImportArguments),
    /// Print a genotype in the form of another tool
    Genotype(GenotypeArguments),
    /// Write the report of a run, whatever it holds so far, or one page with several side by side
    Report(ReportArguments),
    /// Write the cells and curves of a run as pictures
    Draw(DrawArguments),
    /// Run several methods on the same data, settings and seeds, and compare them
    Compare(CompareArguments),
    /// Print the runs below a folder
    Runs(RunsArguments),
    /// Write the numbers of runs as CSV, Parquet or events for TensorBoard
    Metrics(MetricsArguments),
    /// Watch a run of another process, on the terminal or as a page
    Watch(WatchArguments),
    /// Look an architecture of NAS-Bench-201 up in a table of accuracies
    Lookup(LookupArguments),
    /// Print the configuration that the other arguments come to, and do nothing
    Config(SettingArguments),
    /// List data sets, check a folder of one, or fetch one
    Data(DataArguments),
    /// Time a search step, a retraining step, inference, and their phases on this machine
    Bench(BenchArguments),
}

/// Arguments that make a run.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Run directory [default: runs/DATASET-METHOD-sSEED]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the run directory, if there is one
    #[arg(long)]
    pub resume: bool,
    /// Print only the table at the end
    #[arg(long, short)]
    pub quiet: bool,
    /// What is shown and written along.
    #[command(flatten)]
    pub live: LiveArguments,
}

/// Arguments that say what is shown and written while a run goes on.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LiveArguments {
    /// Show a dashboard with keys to pause, write a checkpoint and stop
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Write events for TensorBoard into the run directory as the run goes on
    #[arg(long)]
    pub tensorboard: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The run.
    #[command(flatten)]
    pub create: CreateArguments,
    /// A genotype that takes the place of the search.
    #[command(flatten)]
    pub given: GivenGenotype,
}

/// A genotype that is given, if one is.
#[derive(Debug, Args)]
pub struct GivenGenotype {
    /// Do not search: take this genotype
    #[arg(long, value_name = "TEXT")]
    pub genotype: Option<String>,
    /// Do not search: take the genotype in this file
    #[arg(long, value_name = "FILE", conflicts_with = "genotype")]
    pub genotype_file: Option<PathBuf>,
}

/// Arguments that are settings.
#[derive(Debug, Args)]
pub struct SettingArguments {
    /// Images to work on [default: digits, which are built in]
    #[arg(value_parser = PossibleValuesParser::new(DataFormat::ALL.map(DataFormat::name)))]
    dataset: Option<String>,
    /// Folder of the images
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// File with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Settings to begin with [default: those of the data set]
    #[arg(long, value_parser = PossibleValuesParser::new(RECIPES.map(|(name, _)| name)))]
    recipe: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<i64>,
    /// Search method
    #[arg(long, value_parser = Method::ALL.map(Method::name))]
    method: Option<String>,
    /// Epochs of the search
    #[arg(long, value_name = "N")]
    search_epochs: Option<i64>,
    /// Epochs of the final network
    #[arg(long, value_name = "N")]
    train_epochs: Option<i64>,
    /// Side in pixels to which images are resized
    #[arg(long, value_name = "N")]
    image_size: Option<i64>,
    /// Take so many of the training images
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
    /// Edges to keep at every node, or at each: 2, or 1,2,1,3
    #[arg(long, value_name = "N,…", value_parser = edges)]
    edges: Option<Value>,
    /// Operations to keep on every kept edge
    #[arg(long, value_name = "K")]
    operations: Option<i64>,
    /// Search space
    #[arg(long, value_parser = SpaceName::ALL.map(SpaceName::name))]
    space: Option<String>,
    /// What drives DA²S toward the target: strengths fixed beforehand, or a closed loop
    #[arg(long, value_parser = ["published", "adaptive"])]
    schedule: Option<String>,
    /// Share of its epochs by which a search that ends undecided may go on, as 0.5
    #[arg(long, value_name = "SHARE")]
    extra_epochs: Option<f64>,
    /// Most multiply-adds of the final network, as 600M
    #[arg(long, value_name = "N", value_parser = count)]
    max_multiply_adds: Option<i64>,
    /// Most parameters of the final network, as 3.5M
    #[arg(long, value_name = "N", value_parser = count)]
    max_parameters: Option<i64>,
    /// Any setting, as search.cells=8; `da2s config` lists them
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The machine.
    #[command(flatten)]
    machine: MachineArguments,
}

/// Arguments that say on what a stage is computed.
#[derive(Debug, Args)]
pub struct MachineArguments {
    #[arg(long, help = format!("Device; here: {} [default: cpu]", devices().join(", ")))]
    device: Option<String>,
    /// Implementation of the cells: the fastest for the device, the reference, or the fast one with given instructions
    #[arg(long, value_parser = PossibleValuesParser::new(EngineName::ALL.map(EngineName::name)))]
    engine: Option<String>,
    /// Threads of the CPU, 0 for one a core; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<i64>,
    /// When a loss or gradient is not finite: stop, or go back to the last checkpoint with half the learning rates
    #[arg(long, value_parser = ["stop", "rollback"])]
    on_nan: Option<String>,
}

/// Arguments of a stage of a run that is there.
#[derive(Debug, Args)]
pub struct StageArguments {
    /// Run directory
    pub run: PathBuf,
    /// Print only the result
    #[arg(long, short)]
    pub quiet: bool,
    /// The machine.
    #[command(flatten)]
    machine: MachineArguments,
}

/// Arguments of `discretize`.
#[derive(Debug, Args)]
pub struct DiscretizeArguments {
    /// The run.
    #[command(flatten)]
    pub stage: StageArguments,
    /// Take this genotype instead of the search's: "Genotype(normal=[…], …)"
    #[arg(long, value_name = "TEXT")]
    pub genotype: Option<String>,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// The run.
    #[command(flatten)]
    pub stage: StageArguments,
    /// Take the genotype in this file, a text or a genotype.json, instead of the run's
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub genotype_file: Option<PathBuf>,
    /// Go on from the checkpoint
    #[arg(long)]
    pub resume: bool,
    /// What is shown and written along.
    #[command(flatten)]
    pub live: LiveArguments,
}

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct PredictArguments {
    /// The run.
    #[command(flatten)]
    pub stage: StageArguments,
    /// JPEG or PNG files, or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Classes to name for each image, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
    /// Print a JSON array instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Run directory
    pub run: PathBuf,
    /// What to write
    #[arg(long, value_parser = named(Format::ALL.map(Format::name), Format::from_name))]
    pub format: Format,
    /// File, or folder for pytorch; replaces what is there [default: RUN/export/network.onnx, …/pytorch, …/network.safetensors]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Make batch norms part of the convolutions in front of them (onnx)
    #[arg(long)]
    pub fold_batch_norms: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The run.
    #[command(flatten)]
    pub create: CreateArguments,
    /// Weights of a network: safetensors under the names of DARTS or NAS-Bench-201, as `da2s export` and PyTorch write them
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "supernet",
        conflicts_with = "supernet"
    )]
    pub weights: Option<PathBuf>,
    /// Weights of a super-network, with alphas_normal and alphas_reduce (arch_parameters in NAS-Bench-201)
    #[arg(long, value_name = "FILE")]
    pub supernet: Option<PathBuf>,
    /// The genotype of the network.
    #[command(flatten)]
    pub given: GivenGenotype,
}

/// Arguments of `genotype`.
#[derive(Debug, Args)]
pub struct GenotypeArguments {
    /// A genotype in any form, a file with one, or a run directory
    #[arg(value_name = "TEXT|FILE|RUN")]
    pub what: String,
    /// Form to print it in [default: darts, and nas-bench-201 for its architectures]
    #[arg(long, value_parser = named(GenotypeForm::ALL.map(GenotypeForm::name), GenotypeForm::from_name))]
    pub form: Option<GenotypeForm>,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Run directory; several give one page with all side by side
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// File of the page [default: report.html in the run directory; side-by-side.html of several runs]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `draw`.
#[derive(Debug, Args)]
pub struct DrawArguments {
    /// Run directory
    pub run: PathBuf,
    /// Formats of the pictures; dot, for Graphviz, has cells only
    #[arg(long, value_name = "FORMAT,…", value_delimiter = ',', default_value = "svg",
        value_parser = PossibleValuesParser::new(PictureFormat::ALL.map(PictureFormat::name)))]
    pub format: Vec<String>,
    /// Folder of the pictures [default: drawings in the run directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(mut_arg("method", |arg| arg.hide(true)))]
#[command(mut_arg("seed", |arg| arg.help("The first seed [default: 1]")))]
pub struct CompareArguments {
    /// Settings that all runs share.
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Methods to compare [default: da2s,darts]
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',', value_parser = Method::ALL.map(Method::name))]
    pub methods: Vec<String>,
    /// Number of seeds of each method [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub seeds: Option<u16>,
    /// A setting to vary, as target.edges=1,2; given twice, every combination is run
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub vary: Vec<String>,
    /// Method that the others are tested against [default: the first]
    #[arg(long, value_name = "METHOD")]
    pub baseline: Option<String>,
    /// Search and discretize only: no network is retrained
    #[arg(long)]
    pub search_only: bool,
    /// Look the architectures of NAS-Bench-201 that are found up in this table
    #[arg(long, value_name = "FILE")]
    pub benchmark: Option<PathBuf>,
    /// Runs at a time; they share the cores unless --threads says otherwise
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Directory of the comparison; one that is there goes on [default: runs/compare-DATASET]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print only the tables at the end
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub struct RunsArguments {
    /// Folder to look in
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
    /// Order of the rows; what has no value comes last
    #[arg(long, value_enum, value_name = "KEY", default_value_t = RunKey::Name)]
    pub sort: RunKey,
    /// Turn the order around
    #[arg(long)]
    pub reverse: bool,
    /// Only runs of which this is true, as method=da2s, state=failed or search.epochs=50; given twice, both must be
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print a JSON array instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What rows of `runs` are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunKey {
    /// Path below the folder
    Name,
    /// Data set
    Dataset,
    /// Method
    Method,
    /// Seed
    Seed,
    /// How far it came
    State,
    /// Gap
    Gap,
    /// Accuracy of the retrained network
    Accuracy,
    /// Parameters of the final network
    Parameters,
}

/// Arguments of `metrics`.
#[derive(Debug, Args)]
pub struct MetricsArguments {
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_enum)]
    pub format: MetricsFormat,
    /// Folder for the files [default: the run's own; several runs have none]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What `metrics` can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// metrics.csv, a line an epoch, and architecture.csv, a line an epoch, edge and operation
    Csv,
    /// The same tables as metrics.parquet and architecture.parquet
    Parquet,
    /// An event file a run, below --out in a folder of the run's name: scalars, histograms of α and β, hyperparameters; it
    /// replaces earlier ones of the same run
    Tensorboard,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Run directory
    pub run: PathBuf,
    /// Serve a page that updates itself, instead of the dashboard; a port alone is of 127.0.0.1, and 0 is any free one
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = crate::commands::watch::address::parse)]
    pub http: Option<SocketAddr>,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub struct LookupArguments {
    /// An architecture, as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, or the directory of a run on NAS-Bench-201
    #[arg(value_name = "ARCH|RUN")]
    pub what: String,
    /// Table of accuracies: CSV, as it is or with gzip, its first line `architecture,COLUMN,…`
    #[arg(long, value_name = "FILE")]
    pub benchmark: PathBuf,
    /// Print a JSON object instead of a table
    #[arg(long)]
    pub json: bool,
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
    /// Print the data sets: images, classes, size, folder, source
    List,
    /// Read every image in a folder, and print counts, sizes and damaged files
    Check(DataCheckArguments),
    /// Get a published data set; goes on where it was interrupted
    Fetch(DataFetchArguments),
}

/// Arguments of `data check`.
#[derive(Debug, Args)]
pub struct DataCheckArguments {
    /// Folder of the images
    pub dir: PathBuf,
    /// What it holds [default: what its files tell]
    #[arg(long, value_parser = PossibleValuesParser::new(
        DataFormat::ALL.into_iter().filter(|format| format.needs_folder()).map(DataFormat::name)
    ))]
    pub dataset: Option<String>,
}

/// Arguments of `data fetch`.
#[derive(Debug, Args)]
pub struct DataFetchArguments {
    /// Data set
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(DataFormat::ALL.map(DataFormat::name)))]
    pub dataset: String,
    /// Folder for its files [default: data/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Take the files from a copy at this address instead of the published one; checksums stay the same
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to time
    #[arg(long, value_enum, default_value_t = BenchCase::All)]
    pub case: BenchCase,
    #[arg(long, default_value = "cpu", help = format!("Device; here: {}", devices().join(", ")))]
    pub device: String,
    /// Implementation of the cells: the fastest for the device, the reference, or the fast one with given instructions
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(EngineName::ALL.map(EngineName::name)))]
    pub engine: String,
    /// Threads of the CPU, 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Repetitions of each; the median counts
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
    /// A retraining step: 36 channels, 20 cells, auxiliary head, batch 32
    Retrain,
    /// Inference with that network: batch 1 and 64
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
