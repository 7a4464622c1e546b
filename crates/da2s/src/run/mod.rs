//! A run: a directory, and the stages that read from it and write to it.
//!
//! Every stage reads the results of the previous one, so each can be repeated alone. Contract:
//! files appear completely or not at all; a stage that runs again with `resume` continues from its
//! checkpoint and ends with the same bits. In a group of processes all search and train, but only
//! the leading one reads and writes the directory and runs the other stages.

mod baseline;
mod below;
mod checkpoint;
mod config_file;
mod deployed;
mod difference;
mod directory;
mod discretize;
mod environment;
mod error;
mod evaluate;
mod front;
mod genotype_file;
mod given;
mod import;
mod job;
mod judged;
mod length;
mod made;
mod measured;
mod mirrored;
mod opened;
mod pace;
mod plan;
mod quantise;
mod resume;
mod search;
mod seeds;
mod state_file;
mod suspects;
mod timely;
mod train;
mod trained;
mod tuning;
mod width;

pub use crate::network::Limit;
pub use baseline::baseline_config;
pub use checkpoint::Checkpoint;
pub use da2s_infer::int8::RangeSetting;
pub use deployed::{deployed, deployed_engine};
pub use difference::difference;
pub use directory::RunDirectory;
pub(crate) use discretize::given_genotype;
pub use discretize::{Discretized, discretize};
pub use error::Error;
pub use evaluate::evaluate;
pub use front::{FrontError, FrontRequest};
pub use given::{file_and_name, read_genotype};
pub use import::{import_network, import_supernet};
pub use job::{Job, OTHER_SETTINGS, anchored};
pub use mirrored::mirror_warning;
pub use opened::Opened;
pub use plan::TrainingPlan;
pub use quantise::{Int8Options, Quantised, quantise};
pub use search::{SearchSummary, search};
pub use suspects::{suspects, suspects_csv};
pub use train::{TrainSummary, train};
pub use trained::trained;

use burn::tensor::Device;
use da2s_engine::Engine;
use da2s_records::files::ENVIRONMENT;
use da2s_records::schema::Environment;

use crate::config::Config;
use crate::data::{Arrays, DataError, Dataset, Format, Part, SearchSplit, absent_note, open};
use crate::device;
use crate::hint::Hint;
use crate::observer::{Event, Observer};
use crate::parallel::Group;
use crate::resumable::StageError;

/// Maximum number of damaged images that are listed; `da2s data check` lists all of them.
const NAMED_IMAGES: usize = 5;

/// The inputs of a stage.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The run directory.
    pub directory: &'a RunDirectory,
    /// The resolved configuration.
    pub config: &'a Config,
    /// Whether to resume from a checkpoint; otherwise a stage starts again.
    pub resume: bool,
    /// The command line, for `environment.json`.
    pub command: String,
    /// The images, if the calling program has them in memory and the configuration says `arrays`.
    pub arrays: Option<&'a Arrays>,
    /// The images, once a stage has opened them.
    pub opened: Opened,
    /// The processes that search and train together.
    pub group: Group,
    /// Whether this run belongs to another run, and uses the same images.
    pub is_below: bool,
}

/// Devices that are available here.
pub fn devices() -> Vec<String> {
    device::available()
}

impl Context<'_> {
    fn device(&self) -> Result<(Device, Engine), Error> {
        let device = device::open_for(&self.config.run.device, self.group.rank())?;
        let engine = device::engine(self.config.run.engine, &self.config.run.device)?;
        Ok((device, engine))
    }

    fn open_dataset(&self) -> Result<Dataset, Error> {
        self.opened.get(self.config, || self.read_dataset())
    }

    fn read_dataset(&self) -> Result<Dataset, Error> {
        let data = &self.config.data;
        let options = self.config.data_options();
        Ok(match (data.dataset, self.arrays) {
            (Format::Arrays, Some(arrays)) => arrays.open(&options)?,
            (_, None) => open(data.dataset, data.dir.as_deref(), &options)?,
            (other, Some(_)) => {
                return Err(DataError::Setting {
                    option: "dataset",
                    value: other.to_string(),
                    expected: "arrays, since images in memory were passed; this run has its images in files".to_owned(),
                }
                .into());
            }
        })
    }

    /// Advice if the images have moved.
    fn moved(&self) -> &'static [Hint] {
        if self.config.data.dataset.needs_folder() {
            &[Hint::ImagesAt]
        } else {
            &[]
        }
    }

    /// The images, which must be those with which the run began.
    fn dataset(&self) -> Result<Dataset, Error> {
        let environment = self.directory.find_json::<Environment>(ENVIRONMENT)?;
        if let (Some(_), Some(path)) = (&environment, &self.config.data.dir)
            && !path.exists()
        {
            return Err(Error::ImagesMoved {
                path: path.clone(),
                problem: None,
            });
        }
        let dataset =
            self.open_dataset()
                .map_err(|error| match (error, &self.config.data.dir) {
                    // The folder had a valid layout when the run began.
                    (
                        Error::Data(problem @ (DataError::Layout { .. } | DataError::ClassMismatch { .. })),
                        Some(path),
                    ) if environment.is_some() => Error::ImagesMoved {
                        path: path.clone(),
                        problem: Some(problem),
                    },
                    (error, _) => error,
                })?;
        match environment {
            Some(environment) if environment.dataset_checksum.as_ref() != Some(&dataset.checksum) => {
                Err(Error::Mismatch {
                    path: self.directory.file(ENVIRONMENT),
                    problem: match &self.config.data.dir {
                        Some(dir) => format!(
                            "the images in {} are not those that the run began with (their checksum differs)",
                            dir.display()
                        ),
                        None => "the images are not those that the run began with (their checksum differs)".to_owned(),
                    },
                    hints: self.moved(),
                })
            }
            _ => Ok(dataset),
        }
    }

    /// The images, in all processes: they must be equal in each.
    fn shared_dataset(&self) -> Result<Dataset, Error> {
        let dataset = if self.group.leads() {
            self.dataset()?
        } else {
            self.open_dataset()?
        };
        self.group
            .check_alike("images", || dataset.checksum.clone().into_bytes())
            .map_err(StageError::from)?;
        Ok(dataset)
    }
}

/// Reports the classes of which one half of the search has no image.
fn tell_absent(context: &Context<'_>, dataset: &Dataset, observer: &mut dyn Observer) -> Result<(), Error> {
    let data = &context.config.data;
    let labels = dataset.train.labels();
    let split = SearchSplit::new(
        labels,
        data.arch_fraction,
        data.validation_fraction,
        context.config.run.seed,
    )?;
    for (half, indices) in [
        ("for the weights of the super-network", &split.weight_half),
        ("for its architecture", &split.arch_half),
    ] {
        let mut has = vec![false; dataset.classes()];
        for &index in indices {
            has[labels[index] as usize] = true;
        }
        let absent: Vec<&str> = (dataset.class_names.iter().zip(has))
            .filter_map(|(name, has)| (!has).then_some(name.as_str()))
            .collect();
        if let Some(note) = absent_note("training", &absent) {
            observer.on(Event::Warning(format!("{note} {half}").into()));
        }
    }
    Ok(())
}

/// Reports the damaged images that were replaced, if the stage that ends has read them.
fn tell_damaged(dataset: &Dataset, observer: &mut dyn Observer) {
    let damaged: Vec<_> = Part::ALL
        .into_iter()
        .flat_map(|part| dataset.part(part).damaged())
        .collect();
    if damaged.is_empty() {
        return;
    }
    let named = damaged.iter().take(NAMED_IMAGES).map(|path| path.display().to_string());
    let more = match damaged.len().saturating_sub(NAMED_IMAGES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.collect::<Vec<_>>().join(", ");
    let text = format!(
        "{} damaged images were each replaced by the next image of the same class: {named}{more}",
        damaged.len()
    );
    observer.on(Event::Warning(text.into()));
}
