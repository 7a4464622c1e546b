//! The trained network of a run: needs only the run's files, not its images.

use da2s_records::files::{BEST, PREPROCESSING};

use super::checkpoint::Checkpoint;
use super::state_file::TrainMeta;
use super::{Context, Error, genotype_file};
use crate::data::{self, Dataset, ImageShape, Preprocessing};
use crate::network::{Trained, TrainedError};
use crate::stage::Stage;

/// The preprocessing of the images of `dataset` in the evaluation of a run.
pub(super) fn preprocessing(context: &Context<'_>, dataset: &Dataset) -> Preprocessing {
    data::preprocessing(dataset, context.config.data.centre_crop)
}

/// The weights from the training of `genotype`.
///
/// # Errors
/// If they are missing or damaged, or belong to another genotype.
pub(super) fn trained_weights(context: &Context<'_>, genotype: &str) -> Result<Checkpoint<TrainMeta>, Error> {
    let path = context.directory.file(BEST);
    let best: Checkpoint<TrainMeta> = Checkpoint::read(context.directory, BEST)?.ok_or_else(|| Error::Incomplete {
        path: path.clone(),
        stage: Stage::Train,
    })?;
    best.meta.expect(genotype, &path)?;
    Ok(best)
}

/// The trained network of a run.
///
/// # Errors
/// If it does not exist, or one of its files is missing, damaged or does not fit.
pub fn trained(context: &Context<'_>) -> Result<Trained, Error> {
    let (device, engine) = context.device()?;
    let directory = context.directory;
    let (text, network) = genotype_file::stored_network(directory, &context.config.network.shape)?;
    let genotype = genotype_file::parsed(directory, &text)?;
    let best = trained_weights(context, &text)?;
    // Missing only if an earlier version trained the network.
    let preprocessing: Preprocessing = directory.read_json(PREPROCESSING, Stage::Evaluate)?;
    preprocessing.check().map_err(|problem| Error::Damaged {
        path: directory.file(PREPROCESSING),
        problem,
    })?;
    let shape = ImageShape {
        channels: preprocessing.channels,
        height: preprocessing.image_size,
        width: preprocessing.image_size,
    };
    let size = network.size(&context.config.space, shape, preprocessing.classes.len());
    Trained::new(genotype, size, preprocessing, &best.tensors, (&engine, &device)).map_err(|error| match error {
        TrainedError::Network(error) => error.into(),
        TrainedError::Load(error) => Error::load(directory.file(BEST), &error),
    })
}
