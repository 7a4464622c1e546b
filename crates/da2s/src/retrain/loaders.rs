//! The images of a training: batches of all training images, and the validation part.

use super::TrainSettings;
use crate::data::{DataError, DataSettings, Dataset, Loader, Part, SearchSplit, Shard, Stream, TrainingOrder};

/// The training images of the final network, and those of them that are only for validation, in
/// ascending order. `seed` is that of the run.
///
/// # Errors
/// If a part would be empty.
pub(crate) fn divided(
    data: &DataSettings,
    seed: u64,
    dataset: &Dataset,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let labels = dataset.train.labels();
    let split = SearchSplit::new(labels, data.arch_fraction, data.validation_fraction, seed)?;
    let mut indices = [split.weight_half, split.arch_half].concat();
    indices.sort_unstable();
    Ok((indices, split.validation))
}

/// Batches for training the final network, and for the validation part if there is one. `shard` is
/// the part of this process, `seed` that of the run.
///
/// # Errors
/// If a batch needs more images than there are, or a validation part is both requested and there.
pub(crate) fn loaders(
    data: &DataSettings,
    settings: &TrainSettings,
    seed: u64,
    shard: Shard,
    dataset: &Dataset,
) -> Result<(Loader, Option<Loader>), DataError> {
    let (indices, held_out) = divided(data, seed, dataset)?;
    let order = TrainingOrder {
        seed: settings.seed(seed),
        stream: Stream::Network,
        augmentation: settings.augmentation.clone(),
    };
    let batch_size = settings.batch_size;
    let loader = Loader::training(dataset, indices, batch_size, order).and_then(|loader| loader.sharded(shard));
    let loader = loader.map_err(|error| error.of_batch_size("network.batch_size"))?;
    let own: Vec<usize> = (0..dataset.validation.len()).collect();
    let validation = match (own.is_empty(), held_out.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Loader::evaluation(dataset, Part::Train, held_out, batch_size)?),
        (false, true) => Some(Loader::evaluation(dataset, Part::Validation, own, batch_size)?),
        (false, false) => {
            return Err(DataError::Setting {
                option: "data.validation_fraction",
                value: data.validation_fraction.to_string(),
                expected: "0: the folder has validation images of its own, in val/".to_owned(),
            });
        }
    };
    Ok((loader, validation.map(|loader| loader.sharded(shard)).transpose()?))
}
