//! The stage `train`: trains the network of the genotype and writes its checkpoint and its weights.

use std::path::Path;

use burn::tensor::Device;
use da2s_engine::Engine;
use da2s_records::files::{
    BEST, EXPORT, NETWORK, NETWORK_CHECKPOINT, NETWORK_METRICS, NETWORK_TIMES, PREPROCESSING, REPORT,
    SEARCH_CHECKPOINT, SUMMARY, SUSPECTS, previous,
};

use super::checkpoint::Checkpoint;
use super::resume::{StageFiles, drive};
use super::state_file::{TrainMeta, train_checkpoint, train_state};
use super::trained::preprocessing;
use super::{Context, Error, genotype_file, length, search};
use crate::backbone::{Backbone, LoadError, Statistics, Weights};
use crate::config::Config;
use crate::data::{Dataset, Loader};
use crate::memory::Needs;
use crate::network::{NetworkShape, network};
use crate::observer::{Event, Observer};
use crate::probe::Probe;
use crate::resumable::Resumable;
use crate::retrain::{self, InitialWeights, Retraining, TrainProgress, TrainRecord, TrainState};
use crate::search::{Search, inherited};
use da2s_records::schema::TrainEpoch;

/// The result of a training.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// The metrics of the last epoch; `None` if there was nothing left to do.
    pub last: Option<TrainEpoch>,
}

/// A training and its files.
struct TrainFiles<'a> {
    context: &'a Context<'a>,
    retraining: Retraining<'a>,
    dataset: &'a Dataset,
    genotype: &'a str,
}

/// Trains the network of the run's genotype, from the start or from the checkpoint. If the number
/// of epochs differs from the run's, the run's configuration is changed; the training continues if
/// the number is larger and no schedule depends on it, and starts again otherwise.
///
/// # Errors
/// If there is no genotype; if resuming was requested but the number of epochs does not allow it;
/// [`StageError::Stopped`](crate::resumable::StageError::Stopped) if the observer requests a stop;
/// any problem with settings, images, device or files.
pub fn train(context: &Context<'_>, observer: &mut dyn Observer) -> Result<TrainSummary, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.shared_dataset()?;
    let group = &context.group;
    let own = &context.config.network.shape;
    let stored = || {
        let (genotype, NetworkShape { channels, .. }) = genotype_file::stored_network(context.directory, own)?;
        Ok::<_, Error>([&(channels as u64).to_le_bytes()[..], genotype.as_bytes()].concat())
    };
    let stored = group.from_leader(stored)?;
    let (channels, genotype) = stored.split_first_chunk().expect("the number of channels comes first");
    let genotype = &*String::from_utf8_lossy(genotype);
    let shape = NetworkShape {
        channels: u64::from_le_bytes(*channels) as usize,
        ..own.clone()
    };
    let network = network_of(context, &engine, (genotype, &shape), &dataset)?;
    let (batch, side) = (context.config.network.training.batch_size, dataset.shape.height);
    let lower = if shape.channels > own.channels {
        Retraining::LOWER_WIDENED
    } else {
        Retraining::LOWER
    };
    Needs::of_training(&network, batch, side, rayon::current_num_threads())
        .with_vectors(context.config.network.training.extra_vectors())
        .beside(&dataset)
        .check("a step of this training", lower, &engine)?;
    let (loader, validation) = loaders(context, &dataset)?;
    let context = &Context {
        resume: length::resumes(context, observer)?,
        ..context.clone()
    };
    let weights = &context.config.data.class_weights;
    let files = TrainFiles {
        context,
        retraining: Retraining {
            network: &network,
            settings: &context.config.network.training,
            class_weights: weights.of(&dataset.class_names, dataset.train.labels())?,
            seed: context.config.network.training.seed(context.config.run.seed),
            initial: initial_weights(context, (genotype, &network), (&dataset, &device, &engine), observer)?,
            group: group.clone(),
            loader,
            validation,
            device: &device,
            probe: Probe::default(),
        },
        dataset: &dataset,
        genotype,
    };
    let exported = group.leads() && context.directory.file(EXPORT).exists();
    let last = drive(context, &files, observer);
    // The user is told even if the training was stopped or failed.
    if exported && !context.directory.file(EXPORT).exists() {
        let text = "the exports, summary, report and suspects of the earlier trained network are removed";
        observer.on(Event::Warning(text.to_owned().into()));
    }
    let last = last?;
    if last.is_some() {
        super::tell_damaged(&dataset, observer);
    }
    Ok(TrainSummary {
        last: last.map(|record| record.metrics),
    })
}

impl TrainFiles<'_> {
    fn network(&self) -> &Backbone {
        self.retraining.network
    }

    /// The network to keep: weights and statistics, without the optimiser.
    fn best(&self, state: &TrainState) -> Checkpoint<TrainMeta> {
        let (weights, statistics) = state.evaluated();
        Checkpoint {
            tensors: self.network().named(weights, statistics),
            meta: TrainMeta::new(&state.progress, self.genotype, self.context.group.size()),
        }
    }
}

impl<'a> StageFiles for TrainFiles<'a> {
    type Stage = Retraining<'a>;
    type Meta = TrainMeta;

    const CHECKPOINT: &'static str = NETWORK_CHECKPOINT;
    const METRICS: &'static str = NETWORK_METRICS;
    const TIMES: &'static str = NETWORK_TIMES;

    fn stage(&self) -> &Retraining<'a> {
        &self.retraining
    }

    fn checkpoint(&self, state: &TrainState) -> Checkpoint<TrainMeta> {
        train_checkpoint(state, self.network(), self.genotype, self.context.group.size())
    }

    fn restore(&self, checkpoint: &Checkpoint<TrainMeta>) -> Result<TrainState, LoadError> {
        let device: &Device = self.retraining.device;
        train_state(self.retraining.start(), checkpoint, self.network(), device)
    }

    fn expect(&self, meta: &TrainMeta, path: &Path) -> Result<(), Error> {
        meta.expect(self.genotype, path)
    }

    fn is_imported(&self) -> Result<bool, Error> {
        let imported = self.context.group.from_leader(|| {
            let path = self.context.directory.file(BEST);
            let imported = match Checkpoint::<TrainMeta>::read(self.context.directory, BEST)? {
                Some(best) if best.meta.is_imported() => best.meta.expect(self.genotype, &path).map(|()| true)?,
                _ => false,
            };
            Ok::<_, Error>(vec![u8::from(imported)])
        })?;
        Ok(imported == [1])
    }

    fn start_from_scratch(&self, _: &TrainState) -> Result<(), Error> {
        // They belong to the previous network. The newest checkpoint is removed last: while it
        // exists, nothing else of the stage is missing.
        let stale = [SUMMARY, SUSPECTS, REPORT, EXPORT];
        for name in stale.into_iter().chain([&*previous(NETWORK_CHECKPOINT), NETWORK]) {
            self.context.directory.remove(name)?;
        }
        Ok(())
    }

    fn prepare(&self, _: usize) -> Result<(), Error> {
        length::record(self.context)?;
        let preprocessing = preprocessing(self.context, self.dataset);
        self.context.directory.write_json(PREPROCESSING, &preprocessing)
    }

    fn record(&self, state: &TrainState, record: &TrainRecord) -> Result<(), Error> {
        self.context.directory.append_line(NETWORK_METRICS, &record.metrics)?;
        if record.best {
            self.best(state).write(self.context.directory, BEST)?;
        }
        Ok(())
    }
}

/// The indices of the training images with which the final network trains, and of those that are
/// only for validation, each in ascending order.
pub(super) fn divided(context: &Context<'_>, dataset: &Dataset) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let config = context.config;
    Ok(retrain::divided(&config.data, config.run.seed, dataset)?)
}

/// Batches for training the final network, and for the validation part if there is one.
pub(super) fn loaders(context: &Context<'_>, dataset: &Dataset) -> Result<(Loader, Option<Loader>), Error> {
    let Config { data, network, run, .. } = context.config;
    let shard = context.group.shard();
    Ok(retrain::loaders(data, &network.training, run.seed, shard, dataset)?)
}

/// The weights of the finished search with which a new training of `network` starts, if it does.
/// The leading process reads them, and the others receive them.
fn initial_weights(
    context: &Context<'_>,
    (genotype, network): (&str, &Backbone),
    (dataset, device, engine): (&Dataset, &Device, &Engine),
    observer: &mut dyn Observer,
) -> Result<Option<(Weights, Statistics)>, Error> {
    let (directory, config) = (context.directory, context.config);
    if config.network.training.initial_weights == InitialWeights::Random {
        return Ok(None);
    }
    let path = directory.file(SEARCH_CHECKPOINT);
    let misfit = |error: LoadError| Error::Mismatch {
        path: path.clone(),
        problem: format!("the network cannot start from the weights of this search: {error}"),
        hints: &[],
    };
    let read = || {
        let mut stage = [NETWORK_CHECKPOINT, BEST].into_iter();
        if context.resume && stage.any(|name| directory.has_file(name)) {
            return Ok(None);
        }
        if genotype_file::stored(directory)?.is_some_and(|stored| stored.given) {
            let text = "the network starts from random weights: its genotype was given, so there is no search whose \
                weights it could have";
            observer.on(Event::Warning(text.to_owned().into()));
            return Ok(None);
        }
        let parsed = genotype_file::parsed(directory, genotype)?;
        let search = Search::new(&config.search_setup()?, dataset, device, engine)?;
        let state = search::finished(context, &search, device, observer)?;
        let inherited = inherited((&search.backbone, &search.space), &state, (&parsed, network), device);
        let (weights, statistics) = inherited.map_err(misfit)?;
        Ok(Some(Checkpoint {
            tensors: network.named(&weights, &statistics),
            meta: TrainMeta::new(&TrainProgress::default(), genotype, context.group.size()),
        }))
    };
    let shared = Checkpoint::shared(&context.group, &path, read)?;
    let loaded = shared.map(|checkpoint| network.load(&checkpoint.tensors, device));
    loaded.transpose().map_err(misfit)
}

/// The network of the run's genotype, with or without its auxiliary head, and the genotype's text.
pub(super) fn genotype_network(
    context: &Context<'_>,
    engine: &Engine,
    dataset: &Dataset,
    auxiliary: bool,
) -> Result<(Backbone, String), Error> {
    let (text, shape) = genotype_file::stored_network(context.directory, &context.config.network.shape)?;
    let shape = NetworkShape { auxiliary, ..shape };
    Ok((network_of(context, engine, (&text, &shape), dataset)?, text))
}

/// The network of the genotype `text`, with the settings `shape`.
fn network_of(
    context: &Context<'_>,
    engine: &Engine,
    (text, shape): (&str, &NetworkShape),
    dataset: &Dataset,
) -> Result<Backbone, Error> {
    let genotype = genotype_file::parsed(context.directory, text)?;
    let size = shape.size(&context.config.space, dataset.shape, dataset.classes());
    Ok(network(&genotype, size, engine)?)
}
