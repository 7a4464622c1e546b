//! The arguments of the commands that work on several runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use da2s::discretize::Rule;
use da2s::search::{Drive, Method};
use da2s::space::PublishedGenotype;

use super::settings::SettingArguments;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Run directory; several runs are shown side by side on one page
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// File of the page [default: report.html in the run directory; side-by-side.html for several
    /// runs]
    #[arg(long, value_name = "FILE")]
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
    /// A setting to vary, such as target.edges=1,2; if given several times, every combination is
    /// run
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub vary: Vec<String>,
    /// Drives, which take the mixture to the target, such as none,path; a combination of method and
    /// drive that makes no sense is skipped
    #[arg(long, value_name = "DRIVE,…", value_delimiter = ',', conflicts_with = "drive",
        value_parser = Drive::ALL.map(Drive::name))]
    pub drives: Vec<String>,
    /// Rules of discretization, such as strongest,perturbation
    #[arg(long, value_name = "RULE,…", value_delimiter = ',', conflicts_with = "rule",
        value_parser = Rule::ALL.map(Rule::name))]
    pub rules: Vec<String>,
    /// Published genotypes to train in addition to those found
    #[arg(long, value_name = "NAME,…", value_delimiter = ',',
        value_parser = PublishedGenotype::ALL.map(PublishedGenotype::name))]
    pub genotypes: Vec<String>,
    /// Number of random genotypes of the target to train as well; a percentile then shows how many
    /// of them each network beats
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16))]
    pub random: Option<u16>,
    /// Method that the others are tested against [default: the first]
    #[arg(long, value_name = "METHOD")]
    pub baseline: Option<String>,
    /// Search and discretize only, without retraining
    #[arg(long)]
    pub search_only: bool,
    /// Table of accuracies in which to look up the architectures of NAS-Bench-201 that are found
    #[arg(long, value_name = "FILE")]
    pub benchmark: Option<PathBuf>,
    /// Number of runs in parallel; they share the cores unless --threads is given
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Directory of the comparison; an existing one is continued [default: runs/compare-DATASET]
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
    /// Order of the rows; runs without a value come last
    #[arg(long, value_enum, value_name = "KEY", default_value_t = RunKey::Name)]
    pub sort: RunKey,
    /// Reverse the order
    #[arg(long)]
    pub reverse: bool,
    /// Only runs with this value, such as method=da2s, state=failed or search.epochs=50; if given
    /// several times, all must match
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
    /// How far the run has come
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
    /// Folder for the files; must be given for several runs [default: the run directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What `metrics` can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// metrics.csv, one line per epoch, and architecture.csv, one line per epoch, edge and
    /// operation
    Csv,
    /// The same tables as metrics.parquet and architecture.parquet
    Parquet,
    /// One event file per run, in a folder below --out with the run's name: scalars, histograms of
    /// α and β, hyperparameters. It replaces earlier ones of the same run
    Tensorboard,
}
