//! The arguments that make a run or take it up again, and how those that are settings become layers of the configuration: one for each
//! flag that was given, over the recipe and the file.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use da2s::config::{Config, ConfigError, EngineName, Layer, RECIPES, Request};
use da2s::data::Format as DataFormat;
use da2s::run::devices;
use da2s::search::Method;
use da2s::space::SpaceName;
use toml::Value;

use super::values::{count, edges};

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
    /// Print only the result, and warnings
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
    /// Any setting, as search.cells=8; docs/settings.md explains each, `da2s config` prints those that have a value
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
    /// Print only the result, and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// The machine.
    #[command(flatten)]
    machine: MachineArguments,
}

impl SettingArguments {
    /// The configuration of a new run: the recipe of the data set, then what was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag says something that cannot be.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        self.request()?.resolve()
    }

    /// The configuration of a run that is resumed: its own, `stored`, then what was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag has an invalid setting.
    pub fn resolve_over(&self, stored: Layer) -> Result<Config, ConfigError> {
        self.request()?.resolve_over(stored)
    }

    /// What was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag says something that cannot be.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let names_bench = self.space.as_deref() == Some(SpaceName::NasBench201.name());
        Ok(Request {
            layers: self.asked()?,
            names_recipe: self.recipe.is_some(),
            space: names_bench.then_some(SpaceName::NasBench201),
        })
    }

    /// Whether `--method` was given.
    pub fn names_method(&self) -> bool {
        self.method.is_some()
    }

    /// What was asked for: `--recipe`, `--config` and the flags, lowest first.
    fn asked(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = Vec::new();
        if let Some(recipe) = &self.recipe {
            layers.push(Layer::recipe(recipe)?);
        }
        if let Some(path) = &self.config {
            layers.push(Layer::file(path)?);
        }
        layers.extend(asked(self, &SETTINGS)?);
        layers.extend(self.machine.layers()?);
        for assignment in &self.set {
            layers.push(Layer::assignment("--set", assignment)?);
        }
        Ok(layers)
    }
}

impl MachineArguments {
    fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        asked(self, &MACHINE)
    }
}

impl StageArguments {
    /// What was asked for: the machine.
    ///
    /// # Errors
    /// If a flag says something that cannot be.
    pub fn request(&self) -> Result<Request, ConfigError> {
        Ok(Request {
            layers: self.machine.layers()?,
            ..Request::default()
        })
    }
}

/// A flag, the key of its setting, and the value that was given.
type Flag<A> = (&'static str, &'static str, fn(&A) -> Option<Value>);

const SETTINGS: [Flag<SettingArguments>; 15] = [
    ("DATASET", "data.dataset", |given| text(&given.dataset)),
    ("--data-dir", "data.dir", |given| text(&given.data_dir)),
    ("--seed", "run.seed", |given| number(given.seed)),
    ("--method", "search.method", |given| text(&given.method)),
    ("--search-epochs", "search.epochs", |given| number(given.search_epochs)),
    ("--train-epochs", "network.epochs", |given| number(given.train_epochs)),
    ("--image-size", "data.image_size", |given| number(given.image_size)),
    ("--limit", "data.limit", |given| number(given.limit)),
    ("--edges", "target.edges", |given| given.edges.clone()),
    ("--operations", "target.operations", |given| number(given.operations)),
    ("--space", "space.name", |given| text(&given.space)),
    ("--schedule", "search.schedule", |given| text(&given.schedule)),
    ("--extra-epochs", "search.extra_epochs", |given| {
        given.extra_epochs.map(Value::Float)
    }),
    ("--max-multiply-adds", "target.max_multiply_adds", |given| {
        number(given.max_multiply_adds)
    }),
    ("--max-parameters", "target.max_parameters", |given| {
        number(given.max_parameters)
    }),
];

const MACHINE: [Flag<MachineArguments>; 4] = [
    ("--device", "run.device", |given| text(&given.device)),
    ("--engine", "run.engine", |given| text(&given.engine)),
    ("--threads", "run.threads", |given| number(given.threads)),
    ("--on-nan", "run.on_nan", |given| text(&given.on_nan)),
];

fn text(text: &Option<String>) -> Option<Value> {
    text.clone().map(Value::String)
}

fn number(number: Option<i64>) -> Option<Value> {
    number.map(Value::Integer)
}

/// A layer for each flag that was given.
fn asked<A>(given: &A, flags: &[Flag<A>]) -> Result<Vec<Layer>, ConfigError> {
    let flags = flags.iter();
    flags
        .filter_map(|(flag, key, value)| Some(Layer::flag(flag, key, value(given)?)))
        .collect()
}

/// The flag of a setting, if it has one.
pub fn flag_of(key: &str) -> Option<&'static str> {
    let settings = SETTINGS.iter().map(|(flag, key, _)| (*flag, *key));
    let mut flags = settings.chain(MACHINE.iter().map(|(flag, key, _)| (*flag, *key)));
    flags.find_map(|(flag, of)| (of == key).then_some(flag))
}
