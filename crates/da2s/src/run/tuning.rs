//! The tuning between the decisions of a rule, in the folder `tuning` of a run.
//!
//! Contract: a tuning that was stopped or killed continues from its checkpoint, in whatever command
//! discretizes next, as long as it belongs to the same search and the same settings; otherwise it
//! starts again. It runs in the leading process alone. A completed one is not repeated.

use burn::tensor::Device;
use da2s_records::Sha256;
use da2s_records::files::{TUNING, TUNING_CHECKPOINT, TUNING_METRICS, TUNING_TIMES};
use da2s_records::schema::TuningEpoch;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::resume::{CheckpointMeta, StageFiles, drive, newest, restored};
use super::{Context, Error};
use crate::backbone::LoadError;
use crate::evaluate::EvaluateError;
use crate::observer::Observer;
use crate::parallel::Group;
use crate::resumable::{Resumable, StageError};
use crate::search::{Outcome, Search, SearchState, Tuning, TuningProgress, TuningState};

/// A tuning state without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TuningMeta {
    progress: TuningProgress,
    /// [`fingerprint`] of what is tuned.
    of: String,
}

impl CheckpointMeta for TuningMeta {
    fn processes(&self) -> usize {
        1
    }
}

/// A tuning and its files.
struct TuningFiles<'a> {
    context: &'a Context<'a>,
    tuning: &'a Tuning<'a>,
    search: &'a Search,
    device: &'a Device,
    of: String,
}

/// The outcome of the finished `search` by its rule, whose decisions are each followed by `epochs`
/// of tuning, and the accuracy in percent of the tuned super-network.
///
/// # Errors
/// [`EvaluateError::Stopped`] if the observer requests a stop; any problem with images, device or
/// files.
pub(super) fn tuned(
    context: &Context<'_>,
    (search, finished): (&Search, &SearchState),
    epochs: usize,
    observer: &mut dyn Observer,
) -> Result<(Outcome, f64), Error> {
    let context = Context {
        resume: true,
        group: Group::alone(),
        ..context.clone()
    };
    let (device, _) = context.device()?;
    let tuning = Tuning::new(search, finished, epochs);
    let files = TuningFiles {
        context: &context,
        tuning: &tuning,
        search,
        device: &device,
        of: fingerprint(&context, finished),
    };
    match newest::<TuningFiles<'_>>(&context, observer) {
        Ok(Some(stored)) if stored.meta.of == files.of => {}
        // A damaged one costs its epochs and nothing else.
        Ok(_) | Err(Error::Damaged { .. } | Error::Mismatch { .. }) => context.directory.remove(TUNING)?,
        Err(error) => return Err(error),
    }
    drive(&context, &files, observer).map_err(|error| match error {
        // The same command continues.
        Error::Stage(StageError::Stopped { .. }) => EvaluateError::Stopped.into(),
        error => error,
    })?;
    let stored = newest::<TuningFiles<'_>>(&context, observer)?;
    let state = restored(&context, &files, stored.as_ref())?;
    Ok(tuning.outcome(&state)?)
}

/// A checksum of the finished search and of the settings that determine its tuning.
fn fingerprint(context: &Context<'_>, finished: &SearchState) -> String {
    let config = context.config;
    let mut sum = Sha256::over(finished.bytes());
    let settings = (&config.search, &config.target, &config.data.class_weights);
    sum.update(format!("{settings:?}"));
    sum.update(format!(
        "{} {}",
        config.discretize.tuning_epochs, config.discretize.rule_images
    ));
    sum.hex()
}

impl<'a> StageFiles for TuningFiles<'a> {
    type Stage = Tuning<'a>;
    type Meta = TuningMeta;

    const CHECKPOINT: &'static str = TUNING_CHECKPOINT;
    const METRICS: &'static str = TUNING_METRICS;
    const TIMES: &'static str = TUNING_TIMES;

    fn stage(&self) -> &Tuning<'a> {
        self.tuning
    }

    fn checkpoint(&self, state: &TuningState) -> Checkpoint<TuningMeta> {
        let (backbone, supernet) = (&self.search.backbone, &state.supernet);
        let mut tensors = backbone.named(&supernet.weights, &supernet.statistics);
        tensors.extend(supernet.sgd.named(backbone));
        Checkpoint {
            tensors,
            meta: TuningMeta {
                progress: state.progress.clone(),
                of: self.of.clone(),
            },
        }
    }

    fn restore(&self, checkpoint: &Checkpoint<TuningMeta>) -> Result<TuningState, LoadError> {
        let (backbone, tensors) = (&self.search.backbone, &checkpoint.tensors);
        let mut state = self.tuning.start();
        let supernet = &mut state.supernet;
        (supernet.weights, supernet.statistics) = backbone.load(tensors, self.device)?;
        supernet.sgd.restore(backbone, tensors, self.device)?;
        state.progress = checkpoint.meta.progress.clone();
        Ok(state)
    }

    fn start_anew(&self, _: &TuningState) -> Result<(), Error> {
        self.context.directory.remove(TUNING)
    }

    fn prepare(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn record(&self, _: &TuningState, record: &TuningEpoch) -> Result<(), Error> {
        self.context.directory.append_line(TUNING_METRICS, record)
    }
}
