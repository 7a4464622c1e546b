//! The stage `train`: trains the network of the genotype and leaves its checkpoint and its weights behind.

use std::time::Instant;

use da2s_records::files::{
    BEST, GENOTYPE, NETWORK, NETWORK_CHECKPOINT as CHECKPOINT, NETWORK_METRICS as METRICS, NETWORK_TIMES as TIMES,
    PREPROCESSING, SUMMARY, previous,
};

use super::checkpoint::Checkpoint;
use super::discretize::{GenotypeFile, network_size};
use super::rollback::{Place, with_rollbacks};
use super::search::EpochTime;
use super::state_file::{TrainMeta, train_checkpoint, train_state};
use super::trained::preprocessing;
use super::{Context, RunDirectory};
use crate::backbone::Backbone;
use crate::data::{DataError, Dataset, Loader, Part, SearchSplit, Stream, TrainingOrder};
use crate::discretize::Genotype;
use crate::error::Error;
use crate::network::{NetworkSize, network};
use crate::observer::{Event, Observer, Stage};
use crate::train::{Retraining, TrainMetrics, TrainRecord, TrainState};

/// What a training came to.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// The last epoch's numbers; none if there was nothing left to do.
    pub last: Option<TrainMetrics>,
}

/// Trains the network of the run's genotype, anew or from the checkpoint.
///
/// # Errors
/// If there is no genotype; [`Error::Stopped`] if the observer asked to; whatever is wrong with settings, images, device
/// or files.
pub fn train(context: &Context<'_>, observer: &mut dyn Observer) -> Result<TrainSummary, Error> {
    let (device, _) = context.device()?;
    let dataset = context.shared_dataset()?;
    let group = &context.group;
    let genotype =
        String::from_utf8_lossy(&group.from_leader(|| Ok::<_, Error>(stored_genotype(context)?.into_bytes()))?)
            .into_owned();
    let network = network_of(context, &genotype, &dataset, context.config.network.auxiliary)?;
    let (loader, validation) = loaders(context, &dataset)?;
    let retraining = Retraining {
        network: &network,
        settings: &context.config.network,
        seed: context.config.run.seed,
        group: group.clone(),
        loader,
        validation,
        device: &device,
    };

    let directory = context.directory;
    let path = directory.file(CHECKPOINT);
    let restore = |read: &Checkpoint<TrainMeta>| {
        train_state(retraining.start(), read, &network, &device).map_err(|error| Error::load(&path, &error))
    };
    let stored = |observer: &mut dyn Observer| {
        Checkpoint::shared(group, &path, || {
            let read = newest(context, observer)?;
            if let Some(read) = &read {
                read.meta.expect(&genotype, &path)?;
                read.meta
                    .expect_processes(group.size(), context.config.network.epochs, &path)?;
            }
            Ok(read)
        })
    };
    let read = if context.resume { stored(observer)? } else { None };
    if context.resume && read.is_none() && is_imported(context, &genotype)? {
        return Ok(TrainSummary { last: None });
    }
    let mut state = match &read {
        Some(read) => restore(read)?,
        None => retraining.start(),
    };
    if group.leads() {
        if context.resume && read.is_none() {
            directory.expect_no_epochs(METRICS, &path, Stage::Train)?;
        }
        if read.is_none() {
            // It tells of the network that was. What is gone on from goes last, or a part of it would be.
            for name in [SUMMARY, &previous(CHECKPOINT), NETWORK] {
                directory.remove(name)?;
            }
        }
        keep_lines(directory, state.progress.epochs_done)?;
        directory.write_json(PREPROCESSING, &preprocessing(context, &dataset))?;
    }

    let write = |state: &TrainState| {
        train_checkpoint(state, &network, &genotype, group.size()).write_newest(directory, CHECKPOINT)
    };
    let (mut last, mut began) = (None, Instant::now());
    let mut save = |state: &TrainState, record: Option<TrainRecord<'_>>| {
        if !group.leads() {
            return Ok(());
        }
        if let Some(record) = record {
            directory.append_line(METRICS, record.metrics)?;
            let time_s = began.elapsed().as_secs_f64();
            directory.append_line(
                TIMES,
                &EpochTime {
                    epoch: record.metrics.epoch,
                    time_s,
                },
            )?;
            began = Instant::now();
            last = Some(record.metrics.clone());
            if record.best {
                best(state, &network, &genotype, group.size()).write(directory, BEST)?;
            }
        }
        write(state)
    };
    let back = |rollbacks: u32, observer: &mut dyn Observer| {
        let mut state = match stored(observer)? {
            Some(read) => restore(&read)?,
            None => retraining.start(),
        };
        state.progress.rollbacks = rollbacks;
        if group.leads() {
            keep_lines(directory, state.progress.epochs_done)?;
            // Whoever goes on from here goes on with these rates.
            write(&state)?;
        }
        Ok(state)
    };
    let place = |state: &TrainState| Place {
        rollbacks: state.progress.rollbacks,
        epochs_done: state.progress.epochs_done,
        steps_done: state.progress.steps_done,
    };
    let run = |state: &mut TrainState, observer: &mut dyn Observer| retraining.run(state, observer, &mut save);
    with_rollbacks(context, &mut state, observer, place, run, back)?;
    super::tell_damaged(&dataset, observer);
    Ok(TrainSummary { last })
}

/// The newest checkpoint that is whole.
fn newest(context: &Context<'_>, observer: &mut dyn Observer) -> Result<Option<Checkpoint<TrainMeta>>, Error> {
    Checkpoint::read_newest(context.directory, CHECKPOINT, &mut |text| {
        observer.on(Event::Warning(text.into()));
    })
}

/// Whether the network that is there was taken from elsewhere: there is nothing to go on with then, and nothing left to do.
fn is_imported(context: &Context<'_>, genotype: &str) -> Result<bool, Error> {
    let told = context.group.from_leader(|| {
        let path = context.directory.file(BEST);
        let imported = match Checkpoint::<TrainMeta>::read(context.directory, BEST)? {
            Some(best) if best.meta.is_imported() => best.meta.expect(genotype, &path).map(|()| true)?,
            _ => false,
        };
        Ok::<_, Error>(vec![u8::from(imported)])
    })?;
    Ok(told == [1])
}

/// Cuts the files of lines to `epochs` epochs.
fn keep_lines(directory: &RunDirectory, epochs: usize) -> Result<(), Error> {
    directory.keep_lines(METRICS, epochs)?;
    directory.keep_lines(TIMES, epochs)
}

/// Batches for training the final network, and of the validation part, if there is one.
pub(super) fn loaders(context: &Context<'_>, dataset: &Dataset) -> Result<(Loader, Option<Loader>), Error> {
    let config = context.config;
    let split = SearchSplit::new(
        dataset.train.labels(),
        config.data.arch_fraction,
        config.data.validation_fraction,
        config.run.seed,
    )?;
    let mut indices = [split.weight_half, split.arch_half].concat();
    indices.sort_unstable();
    let order = TrainingOrder {
        seed: config.run.seed,
        stream: Stream::Network,
        augmentation: config.network.augmentation.clone(),
    };
    let batch_size = config.network.batch_size;
    let shard = context.group.shard();
    let loader = Loader::training(dataset, indices, batch_size, order).and_then(|loader| loader.sharded(shard));
    let loader = loader.map_err(|error| error.of_batch_size("network.batch_size"))?;
    let own: Vec<usize> = (0..dataset.validation.len()).collect();
    let validation = match (own.is_empty(), split.validation.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Loader::evaluation(dataset, Part::Train, split.validation, batch_size)?),
        (false, true) => Some(Loader::evaluation(dataset, Part::Validation, own, batch_size)?),
        (false, false) => {
            let expected = "0: the folder has validation images of its own, in val/";
            let fraction = config.data.validation_fraction.to_string();
            return Err(DataError::Setting {
                option: "data.validation_fraction",
                value: fraction,
                expected: expected.to_owned(),
            }
            .into());
        }
    };
    Ok((loader, validation.map(|loader| loader.sharded(shard)).transpose()?))
}

/// The network of the run's genotype, with its auxiliary head or without, and the genotype's text.
pub(super) fn genotype_network(
    context: &Context<'_>,
    dataset: &Dataset,
    auxiliary: bool,
) -> Result<(Backbone, String), Error> {
    let text = stored_genotype(context)?;
    Ok((network_of(context, &text, dataset, auxiliary)?, text))
}

/// The text of the run's genotype.
fn stored_genotype(context: &Context<'_>) -> Result<String, Error> {
    let file: GenotypeFile = context.directory.read_json(GENOTYPE, Stage::Discretize)?;
    Ok(file.genotype)
}

/// The network of the genotype `text`.
fn network_of(context: &Context<'_>, text: &str, dataset: &Dataset, auxiliary: bool) -> Result<Backbone, Error> {
    let (_, engine) = context.device()?;
    let genotype = Genotype::parse(text).map_err(|error| Error::Genotype {
        path: Some(context.directory.file(GENOTYPE)),
        error,
    })?;
    let size = NetworkSize {
        auxiliary,
        ..network_size(context, dataset)
    };
    Ok(network(&genotype, size, &engine)?)
}

/// The network to keep: weights and statistics, no optimiser.
fn best(state: &TrainState, network: &Backbone, genotype: &str, processes: usize) -> Checkpoint<TrainMeta> {
    let mut tensors = state.weights.named(network);
    tensors.extend(state.statistics.named(network));
    Checkpoint {
        tensors,
        meta: TrainMeta::new(&state.progress, genotype, processes),
    }
}
