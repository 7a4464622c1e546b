//! The command line: the commands here, their arguments in a file for each kind of command.

mod flags;
mod images;
mod meant;
mod of_a_run;
mod of_runs;
mod refused;
mod settings;
mod tools;
mod values;

pub use flags::flag_of;
pub use of_a_run::{
    DiscretizeArguments, DrawArguments, ExportArguments, FrontArguments, ImportArguments, PredictArguments,
    QuantiseArguments, RunArguments, ServeArguments, TUNING_EPOCHS, TrainArguments, WatchArguments, may_tune,
};
pub use of_runs::{CompareArguments, MetricsArguments, MetricsFormat, ReportArguments, RunKey, RunsArguments};
pub use settings::{
    CreateArguments, GivenGenotype, ImageStageArguments, LiveArguments, SettingArguments, StageArguments,
};
pub use tools::{
    BenchArguments, BenchCase, CompletionsArguments, ConfigArguments, DataArguments, DataCheckArguments,
    DataFetchArguments, DataSuspectsArguments, DataVerb, GenotypeArguments, LookupArguments, ManArguments,
    ProfileArguments,
};

use clap::{Parser, Subcommand};

use crate::exit::Code;

/// Discretization-aware neural architecture search: finds an architecture whose discretization
/// costs almost nothing, trains it, and shows how it came about.
#[derive(Debug, Parser)]
#[command(name = "da2s", version, after_help = Code::help(), arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Help text of the commands that work in several processes.
#[cfg(feature = "mpi")]
const OVER_MPI: &str = "In several processes, over MPI:\n  mpirun -n 2 da2s run --threads 1 …  \
    search and train on 2 processes, which share the work of every step; search.batch_size and network.batch_size are the images of one process. \
    The first one reads and writes the run directory and prints the progress.";
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
    /// Prune the super-network of a run and measure the cost in accuracy
    Discretize(DiscretizeArguments),
    /// Train the network of a run's genotype
    #[command(after_help = OVER_MPI)]
    Train(TrainArguments),
    /// Measure the trained network of a run on the test images
    #[command(mut_arg("on_nan", |arg| arg.hide(true)))]
    Evaluate(ImageStageArguments),
    /// Train networks of a run's search at several widths, depths or limits, and find those that no
    /// other network beats
    Front(FrontArguments),
    /// Classify images with the trained network of a run
    Predict(PredictArguments),
    /// Serve the trained network of a run on this machine: a page that classifies the images
    /// dropped on it, and POST /predict
    Serve(ServeArguments),
    /// Quantise the trained network of a run to int8, and measure the cost in accuracy
    Quantise(QuantiseArguments),
    /// Write the trained network of a run for ONNX or PyTorch, or as plain safetensors
    Export(ExportArguments),
    /// Create a run from existing weights: of a network, or of a super-network
    Import(ImportArguments),
    /// Print a genotype in the form of another tool
    Genotype(GenotypeArguments),
    /// Write the report of a run, finished or not, or one page with several runs side by side
    Report(ReportArguments),
    /// Write the cells and curves of a run as pictures
    Draw(DrawArguments),
    /// Run several methods on the same data, settings and seeds, and compare them
    Compare(CompareArguments),
    /// List the runs below a folder
    Runs(RunsArguments),
    /// Write the numbers of runs as CSV, Parquet or events for TensorBoard
    Metrics(MetricsArguments),
    /// Watch a run of another process, on the terminal or as a page
    Watch(WatchArguments),
    /// Look up an architecture of NAS-Bench-201 in a table of accuracies
    Lookup(LookupArguments),
    /// Print the configuration that results from the other arguments, without running anything
    Config(ConfigArguments),
    /// List data sets, check a folder of images, find doubtful labels, or download a data set
    Data(DataArguments),
    /// Measure a table of block latencies on this machine, for limits on latency; on one thread
    /// unless --threads is given
    Profile(ProfileArguments),
    /// Time a search step, a retraining step and inference, with their phases, on this machine
    Bench(BenchArguments),
    /// Print shell completions for these commands
    Completions(CompletionsArguments),
    /// Write manual pages for these commands
    Man(ManArguments),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// The help of `verb`, without line breaks.
    fn help(verb: &str) -> String {
        let mut command = Arguments::command();
        let help = command.find_subcommand_mut(verb).unwrap().render_help().to_string();
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn commands_offer_only_flags_that_they_use() {
        for verb in ["run", "search", "train"] {
            let help = help(verb);
            assert!(help.contains("--on-nan") && help.contains("--resume"), "{help}");
        }
        for verb in ["evaluate", "predict"] {
            let help = help(verb);
            assert!(help.contains("--device") && !help.contains("--on-nan"), "{help}");
        }
        // The rule `perturbation` may train the weights.
        let discretize = help("discretize");
        assert!(
            discretize.contains("--on-nan") && !discretize.contains("--resume"),
            "{discretize}"
        );
        for verb in ["quantise", "serve"] {
            let help = help(verb);
            assert!(help.contains("--threads") && !help.contains("--device"), "{help}");
        }
        for verb in ["run", "search", "discretize", "train", "evaluate", "quantise"] {
            assert!(help(verb).contains("--data-dir"), "{verb}");
        }
        // `predict` reads only the images in its arguments.
        assert!(!help("predict").contains("--data-dir"));
        let help = help("import");
        assert!(help.contains("Genotype of the network in --weights"), "{help}");
        assert!(!help.contains("--resume") && !help.contains("Do not search"), "{help}");
    }
}
