//! The images of a training: batches of all training images, and the validation part.

use super::TrainSettings;
use crate::data::{DataError, DataSettings, Dataset, Loader, Part, SearchSplit, Shard, Stream, TrainingOrder};

/// The indices of the training images with which the final network trains, and of those that are
/// only for validation, each in ascending order. `seed` is that of the run.
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
/// If a batch needs more images than there are, or if a validation part is requested although the
/// folder has separate validation images.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataOptions, Format, open};

    #[test]
    fn another_seed_of_the_training_changes_the_order_and_not_the_split() {
        let options = DataOptions {
            limit: Some(60),
            ..DataOptions::default()
        };
        let dataset = open(Format::Digits, None, &options).unwrap();
        let data = DataSettings {
            validation_fraction: 0.2,
            ..DataSettings::default()
        };
        let indices = |seed: u64, of_training: Option<u64>| {
            let settings = TrainSettings {
                seed: of_training,
                batch_size: 1,
                ..TrainSettings::default()
            };
            let (training, validation) = loaders(&data, &settings, seed, Shard::default(), &dataset).unwrap();
            [training, validation.unwrap()].map(|loader| {
                let steps = 0..loader.steps_per_epoch();
                steps
                    .flat_map(|step| loader.batch(0, step).unwrap().indices)
                    .collect::<Vec<_>>()
            })
        };
        let sorted = |mut indices: Vec<usize>| {
            indices.sort_unstable();
            indices
        };
        let [[own, held_out], [other, held_out_of_other]] = [indices(1, None), indices(1, Some(2))];
        assert_eq!(held_out, held_out_of_other);
        assert_ne!(own, other);
        assert_eq!(sorted(own), sorted(other));
        assert_ne!(indices(2, None)[1], held_out);
    }
}
