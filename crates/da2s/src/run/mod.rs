//! A run: a directory, and the stages that read from it and write to it.
//!
//! Every stage reads what the stage before it wrote, so each can be repeated alone. Contract: files appear whole or
//! not at all; a stage that is run again with `resume` goes on from its checkpoint and ends with the same bits.

mod checkpoint;
mod directory;
mod environment;
mod finish;
mod prune;
mod retraining;
mod searching;
mod state_file;
mod summary;

pub use checkpoint::Checkpoint;
pub use directory::{RunDirectory, write_whole};
pub use environment::Environment;
pub use finish::evaluate;
pub use prune::{Discretized, discretize};
pub use retraining::{TrainSummary, train};
pub use searching::{SearchSummary, search};
pub use summary::Summary;

use burn::tensor::Device;
use da2s_engine::Engine;

use crate::config::Config;
use crate::data::{Dataset, open};
use crate::device;
use crate::error::Error;

const ENVIRONMENT: &str = "environment.json";

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
}

/// Devices that can be asked for here.
pub fn devices() -> Vec<String> {
    device::available()
}

impl Context<'_> {
    fn device(&self) -> Result<(Device, Engine), Error> {
        let device = device::open(&self.config.run.device)?;
        let engine = device::engine(self.config.run.engine, &self.config.run.device);
        Ok((device, engine))
    }

    fn dataset(&self) -> Result<Dataset, Error> {
        let data = &self.config.data;
        let dataset = open(data.dataset, data.dir.as_deref(), &self.config.data_options())?;
        match self.directory.read_json::<Environment>(ENVIRONMENT, "") {
            Ok(environment) if environment.dataset_checksum != dataset.checksum => Err(Error::Mismatch {
                path: self.directory.file(ENVIRONMENT),
                problem: "the images are not those that the run began with (their checksum differs)".to_owned(),
            }),
            Ok(_) | Err(Error::Incomplete { .. }) => Ok(dataset),
            Err(error) => Err(error),
        }
    }
}
