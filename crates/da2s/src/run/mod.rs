//! A run: a directory, and the stages that read from it and write to it.
//!
//! Every stage reads what the stage before it wrote, so each can be repeated alone. Contract: files
//! appear whole or not at all; a stage that is run again with `resume` goes on from its checkpoint
//! and ends with the same bits. In a group of processes all search and train, and the one that
//! leads alone reads and writes the directory, and runs the other stages.

mod checkpoint;
mod directory;
mod discretize;
mod environment;
mod error;
mod evaluate;
mod genotype_file;
mod given;
mod import;
mod job;
mod length;
mod made;
mod resume;
mod search;
mod state_file;
mod train;
mod trained;

pub use checkpoint::Checkpoint;
pub use directory::RunDirectory;
pub(crate) use discretize::given_genotype;
pub use discretize::{Discretized, discretize};
pub use error::Error;
pub use evaluate::evaluate;
pub use given::{file_and_name, read_genotype};
pub use import::{import_network, import_supernet};
pub use job::{Job, OTHER_SETTINGS, anchored, difference};
pub use search::{SearchSummary, search};
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

/// Damaged images that are named; `da2s data check` names all of them.
const NAMED_IMAGES: usize = 5;

/// What a stage works on.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The run directory.
    pub directory: &'a RunDirectory,
    /// The resolved configuration.
    pub config: &'a Config,
    /// Whether to go on from a checkpoint; otherwise a stage starts anew.
    pub resume: bool,
    /// The command line, for `environment.json`.
    pub command: String,
    /// The images, where the program holds them and the configuration says `arrays`.
    pub arrays: Option<&'a Arrays>,
    /// The processes that search and train together.
    pub group: Group,
}

/// Devices that can be asked for here.
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
        let data = &self.config.data;
        let options = self.config.data_options();
        Ok(match (data.dataset, self.arrays) {
            (Format::Arrays, Some(arrays)) => arrays.open(&options)?,
            (_, None) => open(data.dataset, data.dir.as_deref(), &options)?,
            (other, Some(_)) => {
                return Err(DataError::Setting {
                    option: "dataset",
                    value: other.to_string(),
                    expected: "arrays, since there are some: this run is one of images in files".to_owned(),
                }
                .into());
            }
        })
    }

    /// What to do if the images are no longer where they were.
    fn moved(&self) -> &'static [Hint] {
        if self.config.data.dataset.needs_folder() {
            &[Hint::ImagesAt]
        } else {
            &[]
        }
    }

    /// The images, which must be those that the run began with.
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
                    // There was a layout when the run began.
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

    /// The images, where all processes work on them: the same in each.
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

/// Names the classes that a half of the search has no image of.
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

/// Says which damaged images others stood in for, as far as the stage that ends has met them.
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
