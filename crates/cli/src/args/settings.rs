//! The arguments that create or resume a run, and their conversion to layers of the configuration:
//! one for each given flag, over the recipe and the file.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use da2s::config::{Config, ConfigError, Layer, RECIPES, Request, format_in};

use super::flags::Flags;
use super::images::{ImageSource, ImageSourceParser};

/// Arguments that create a run.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Run directory [default: runs/DATASET-METHOD-sSEED]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the run in the run directory, which must exist; if it is empty, a new run begins
    #[arg(long)]
    pub resume: bool,
    /// Print only the result, and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// What is shown and written during the run.
    #[command(flatten)]
    pub live: LiveArguments,
}

/// Arguments for what is shown and written during a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LiveArguments {
    /// Show a dashboard with keys to pause, write a checkpoint and stop
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Write events for TensorBoard into the run directory during the run
    #[arg(long)]
    pub tensorboard: bool,
}

/// A given genotype, if there is one.
#[derive(Debug, Args)]
pub struct GivenGenotype {
    /// Do not search: take this genotype
    #[arg(long, value_name = "TEXT")]
    pub genotype: Option<String>,
    /// Do not search: take the genotype in this file (FILE:NAME if there are several)
    #[arg(long, value_name = "FILE", conflicts_with = "genotype")]
    pub genotype_file: Option<PathBuf>,
}

/// Arguments that are settings.
#[derive(Debug, Args)]
pub struct SettingArguments {
    /// Images to work on: a data set, a folder of images of your own, or a table of their labels
    /// [default: digits, which are built in]
    #[arg(value_parser = ImageSourceParser)]
    dataset: Option<ImageSource>,
    /// File with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Settings to begin with [default: those of the data set]
    #[arg(long, value_parser = PossibleValuesParser::new(RECIPES.map(|(name, _)| name)))]
    recipe: Option<String>,
    /// Settings that have a flag of their own.
    #[command(flatten)]
    flags: Flags<false>,
    /// Any setting, such as search.cells=8; docs/settings.md explains all of them, `da2s config`
    /// prints those that have a value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Arguments of a stage of an existing run.
#[derive(Debug, Args)]
pub struct StageArguments {
    /// Run directory
    pub run: PathBuf,
    /// Print only the result, and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// The machine.
    #[command(flatten)]
    machine: Flags<true>,
}

/// Arguments of a command that computes as `da2s-infer` does: on the CPU, whatever device and
/// kernels trained the network.
#[derive(Debug, Args)]
pub struct CpuStageArguments {
    /// Run directory
    pub run: PathBuf,
    /// Print only the result, and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// CPU threads; 0 means one per core. Results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
}

/// Arguments of a stage that reads the run's images.
#[derive(Debug, Args)]
pub struct ImageStageArguments {
    /// The run.
    #[command(flatten)]
    pub stage: StageArguments,
    /// Folder of the run's images, if it has moved; the images must be the same
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl SettingArguments {
    /// The configuration of a new run: the recipe of the data set, then the requested settings.
    ///
    /// # Errors
    /// If a file, a recipe or a flag has an invalid setting.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        self.request()?.resolve()
    }

    /// The configuration of a resumed run: its `stored` one, then the requested settings.
    ///
    /// # Errors
    /// If a file, a recipe or a flag has an invalid setting.
    pub fn resolve_over(&self, stored: Layer) -> Result<Config, ConfigError> {
        self.request()?.resolve_over(stored)
    }

    /// The requested settings.
    ///
    /// # Errors
    /// If a file, a recipe or a flag has an invalid setting.
    pub fn request(&self) -> Result<Request, ConfigError> {
        Ok(Request {
            layers: self.asked()?,
            names_recipe: self.recipe.is_some(),
            ..Request::default()
        })
    }

    /// The requested path of the images, if it is a path.
    pub fn own_images(&self) -> Option<&Path> {
        match &self.dataset {
            Some(ImageSource::At(path)) => Some(path),
            Some(ImageSource::DataSet(_)) => None,
            None => self.flags.get("data.dir")?.as_str().map(Path::new),
        }
    }

    /// The name of the requested data set, if there is a folder of the same name here.
    pub fn shadowed_folder(&self) -> Option<&'static str> {
        match self.dataset {
            Some(ImageSource::DataSet(format)) => Some(format.name()).filter(|name| Path::new(name).is_dir()),
            _ => None,
        }
    }

    /// Whether `--method` was given.
    pub fn names_method(&self) -> bool {
        self.flags.get("search.method").is_some()
    }

    /// The requested settings: `--recipe`, `--config` and the flags, lowest first.
    fn asked(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = Vec::new();
        if let Some(recipe) = &self.recipe {
            layers.push(Layer::recipe(recipe)?);
        }
        if let Some(path) = &self.config {
            layers.push(Layer::file(path)?);
        }
        match &self.dataset {
            Some(ImageSource::DataSet(format)) => {
                layers.push(Layer::flag("DATASET", "data.dataset", format.name().into())?)
            }
            Some(ImageSource::At(path)) => {
                // Overrides the images of a file or a recipe.
                let format = format_in(path)?;
                let text = path.to_string_lossy().into_owned();
                layers.push(Layer::flag("DATASET", "data.dataset", format.name().into())?);
                layers.push(Layer::flag("DATASET", "data.dir", text.into())?);
            }
            None => {}
        }
        layers.extend(self.flags.layers()?);
        for assignment in &self.set {
            layers.push(Layer::assignment("--set", assignment)?);
        }
        Ok(layers)
    }
}

impl ImageStageArguments {
    /// The requested machine and location of the images.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut request = self.stage.request()?;
        request.layers.extend(images_in(self.data_dir.as_deref())?);
        Ok(request)
    }
}

/// The setting for the requested folder of images.
///
/// # Errors
/// If it is invalid.
pub(super) fn images_in(dir: Option<&Path>) -> Result<Option<Layer>, ConfigError> {
    let layer = |dir: &Path| Layer::flag("--data-dir", "data.dir", dir.to_string_lossy().into_owned().into());
    dir.map(layer).transpose()
}

impl CpuStageArguments {
    /// The requested number of threads, on the CPU.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut layers = vec![
            Layer::flag("the command", "run.device", "cpu".into())?,
            Layer::flag("the command", "run.engine", "auto".into())?,
        ];
        if let Some(threads) = self.threads {
            layers.push(Layer::flag("--threads", "run.threads", i64::from(threads).into())?);
        }
        Ok(Request {
            layers,
            ..Request::default()
        })
    }
}

impl StageArguments {
    /// The requested machine.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        Ok(Request {
            layers: self.machine.layers()?,
            ..Request::default()
        })
    }
}
