//! The tuning between the decisions of a rule, in the folder `tuning` of a run.
//!
//! Contract: a tuning that was stopped or killed continues from its checkpoint, in whatever command
//! discretizes next, as long as it belongs to the same search and the same settings; otherwise it
//! starts again, with a warning. It runs in the leading process alone. A completed one is not
//! repeated, even if the run had another genotype in the meantime.

use burn::tensor::Device;
use da2s_records::Sha256;
use da2s_records::files::{TUNING, TUNING_CHECKPOINT, TUNING_METRICS, TUNING_TIMES};
use da2s_records::schema::TuningEpoch;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::checkpoint::Checkpoint;
use super::resume::{CheckpointMeta, StageFiles, drive, newest, restored};
use super::{Context, Error};
use crate::backbone::LoadError;
use crate::config::Config;
use crate::discretize::Rule;
use crate::evaluate::EvaluateError;
use crate::observer::{Event, Observer};
use crate::parallel::Group;
use crate::resumable::{Resumable, StageError};
use crate::search::{Outcome, Search, SearchState, Tuning, TuningProgress, TuningState};

/// A tuning state without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TuningMeta {
    progress: TuningProgress,
    /// [`fingerprint`] of what is tuned.
    of: String,
    /// Epochs after each decision.
    epochs: usize,
    /// Whether there are epochs left.
    unfinished: bool,
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
    epochs: usize,
}

/// The outcome of the finished `search` by its rule, with `epochs` of tuning after each decision,
/// and the accuracy in percent of the tuned super-network.
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
        of: fingerprint(context.config, finished)?,
        epochs,
    };
    let problem = match stored(&context, observer) {
        Ok(stored) => stored.and_then(|stored| files.objection(&stored.meta)),
        // Its epochs are lost, and nothing else.
        Err(error @ (Error::Damaged { .. } | Error::LostCheckpoint { .. })) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    if let Some(problem) = problem {
        let text = format!("{problem}; the tuning starts from the beginning");
        observer.on(Event::Warning(text.into()));
        context.directory.remove(TUNING)?;
    }
    drive(&context, &files, observer).map_err(|error| match error {
        // The same command continues the tuning, as the hints of this error say.
        Error::Stage(StageError::Stopped { .. } | StageError::Evaluate(EvaluateError::Stopped)) => {
            EvaluateError::Stopped.into()
        }
        error => error,
    })?;
    let stored = newest::<TuningFiles<'_>>(&context, observer)?;
    let state = restored(&context, &files, stored.as_ref())?;
    Ok(tuning.outcome(&state)?)
}

/// The newest checkpoint of a tuning.
///
/// # Errors
/// Those of [`newest`]; [`Error::LostCheckpoint`] if there are epochs without one.
fn stored(context: &Context<'_>, observer: &mut dyn Observer) -> Result<Option<Checkpoint<TuningMeta>>, Error> {
    let stored = newest::<TuningFiles<'_>>(context, observer)?;
    if stored.is_none() {
        let (directory, stage) = (context.directory, <Tuning<'_> as Resumable>::STAGE);
        directory.expect_no_epochs(TUNING_METRICS, &directory.file(TUNING_CHECKPOINT), stage)?;
    }
    Ok(stored)
}

/// Warns of an unfinished tuning in a run that is discretized without it.
pub(super) fn warn_of_unfinished(context: &Context<'_>, observer: &mut dyn Observer) {
    // One that cannot be read has no effect here.
    let Ok(Some(stored)) = newest::<TuningFiles<'_>>(context, observer) else {
        return;
    };
    if stored.meta.unfinished {
        let text = format!(
            "the tuning in {} is not finished and is left as it is: discretize.rule = \"{}\" with \
             discretize.tuning_epochs = {} continues it, if all other settings are the same",
            context.directory.file(TUNING).display(),
            Rule::Perturbation.name(),
            stored.meta.epochs
        );
        observer.on(Event::Warning(text.into()));
    }
}

/// A checksum of the finished search and of the settings that determine its tuning.
///
/// # Errors
/// If a setting has no TOML form.
fn fingerprint(config: &Config, finished: &SearchState) -> Result<String, Error> {
    let mut sum = Sha256::over(finished.bytes());
    let set = changed(config.to_table()?, &Config::default().to_table()?);
    for table in ["search", "target"] {
        sum.update(set.get(table).map(Value::to_string).unwrap_or_default());
    }
    let discretize = &config.discretize;
    sum.update(format!(
        "{} {} {:?}",
        discretize.tuning_epochs, discretize.rule_images, config.data.class_weights
    ));
    Ok(sum.hex())
}

/// The settings whose value is not the default. A setting that a later version adds therefore makes
/// no difference as long as it has its default.
fn changed(own: Table, default: &Table) -> Table {
    let entries = own
        .into_iter()
        .filter_map(|(key, value)| match (value, default.get(&key)) {
            (Value::Table(own), Some(Value::Table(default))) => {
                let own = changed(own, default);
                (!own.is_empty()).then_some((key, Value::Table(own)))
            }
            (value, default) => (Some(&value) != default).then_some((key, value)),
        });
    entries.collect()
}

impl TuningFiles<'_> {
    /// Why a checkpoint is not continued.
    fn objection(&self, stored: &TuningMeta) -> Option<String> {
        let path = self.context.directory.file(TUNING_CHECKPOINT);
        let path = path.display();
        if stored.of != self.of {
            let epochs = stored.progress.epochs_done;
            return Some(format!(
                "{path} belongs to another search or to other settings, and its {epochs} epochs are lost"
            ));
        }
        (!self.tuning.has(&stored.progress)).then(|| format!("{path} is damaged: its progress is impossible"))
    }
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
                epochs: self.epochs,
                unfinished: self.tuning.is_unfinished(state),
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

    fn start_from_scratch(&self, _: &TuningState) -> Result<(), Error> {
        self.context.directory.remove(TUNING)
    }

    fn prepare(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn record(&self, _: &TuningState, record: &TuningEpoch) -> Result<(), Error> {
        self.context.directory.append_line(TUNING_METRICS, record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_their_default_do_not_count() {
        let table = |text: &str| toml::from_str::<Table>(text).unwrap();
        let default = table("a = 1\nb = 2\nc.d = 3\ne.f = 4");
        let own = || table("a = 1\nb = 5\nc.d = 3\ne.f = 6\ng = 7");
        assert_eq!(changed(own(), &default), table("b = 5\ne.f = 6\ng = 7"));
        assert!(changed(default.clone(), &default).is_empty());
    }
}
