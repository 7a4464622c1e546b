//! The search: the main loop, a step and the end of an epoch.
//!
//! Reference: Tian et al. 2021, algorithm 1. In each step of an epoch, first the architecture
//! trains on its half of the training images, then the weights train on theirs; after all steps the
//! super-network is evaluated on held-out images. [`Resumable::run`] repeats this until the search
//! is finished. Contract: a pure function of the settings, the images, the seed and the number of
//! processes.

mod alignment;
mod arch_gradients;
mod bilevel;
mod drive;
mod dropping;
mod error;
mod freezing;
mod gamma;
mod inherited;
mod limit;
mod method;
mod methods;
mod metrics;
mod moment;
mod needs;
mod outcome;
mod perturbation;
mod second_order;
mod settings;
mod setup;
mod skip_dropout;
mod stages;
mod state;
mod tuning;
mod within;

pub use bilevel::{Bilevel, Rates, Reading, Trains};
pub use drive::{Drive, DrivenMethod};
pub use dropping::Dropping;
pub use error::SearchError;
pub use freezing::Freezing;
pub use inherited::inherited;
pub use method::{ArchShares, Choices, SearchMethod};
pub use methods::Method;
pub use moment::{Draw, Half, Moment, When};
pub(crate) use needs::needs;
pub use outcome::Outcome;
pub use perturbation::Perturbation;
pub use settings::{ArchOptimizerName, Auto, Rate, ScheduleName, SearchSettings};
pub use setup::SearchSetup;
pub(crate) use stages::SKIP_DROPOUT;
pub use stages::{StagePlan, StageSettings};
use stages::{Stages, plans};
pub use state::{ArchMoments, KindMoments, SearchProgress, SearchState};
pub use tuning::{Tuning, TuningImages, TuningProgress, TuningState};

use burn::tensor::Device;

use crate::backbone::Backbone;
use crate::data::Loader;
use crate::evaluate::DeviceBatch;
use crate::finite::NotFinite;
use crate::objective::{CostLimit, Hardening};
use crate::observer::Event;
use crate::parallel::Group;
use crate::probe::Probe;
use crate::resumable::{Position, Resumable, StageError};
use crate::space::{Space, Target};
use crate::stage::Stage;
use da2s_records::schema::{ArchEpoch, SearchEpoch};

/// The unchanging inputs of a search.
///
/// `examples/search_and_prune.rs` runs a complete search, `examples/own_method.rs` adds a custom
/// method.
///
/// ```
/// use da2s::config::{Layer, resolve};
/// use da2s::device::EngineName;
/// use da2s::resumable::Resumable;
/// use da2s::search::Search;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = resolve(&[Layer::recipe("digits")?])?;
/// let dataset = da2s::data::open(config.data.dataset, None, &config.data_options())?;
/// let cpu = da2s::device::open("cpu")?;
/// let engine = da2s::device::engine(EngineName::Auto, "cpu")?;
/// let search = Search::new(&config.search_setup()?, &dataset, &cpu, &engine)?;
/// let state = search.start();
/// assert!(search.is_unfinished(&state) && search.epochs() == 30);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Search {
    /// The space.
    pub space: Space,
    /// The target.
    pub target: Target,
    /// The super-network; in a search with several stages that of the last one.
    pub backbone: Backbone,
    /// The method and its drive.
    method: DrivenMethod,
    /// The limit on the final network's cost, if there is one.
    pub limit: Option<CostLimit>,
    stages: Stages,
    settings: SearchSettings,
    /// A weight for each class, if the classes are not weighted equally.
    class_weights: Option<Vec<f32>>,
    seed: u64,
    device: Device,
    group: Group,
    probe: Probe,
    weight_loader: Loader,
    arch_loader: Loader,
    monitor: Loader,
    held_out: Loader,
    calibration: Loader,
    /// Held-out images for the gap of each edge, if it is requested.
    by_edge: Option<Loader>,
    /// Held-out images on which a rule of discretization compares choices.
    by_rule: Loader,
}

/// The results of an epoch, for the files of a run.
#[derive(Clone, Debug)]
pub struct EpochRecord {
    /// The epoch's numbers.
    pub metrics: SearchEpoch,
    /// α, β, p and q at its end.
    pub arch: ArchEpoch,
}

/// The images of a step.
#[derive(Debug)]
pub enum StepImages {
    /// A batch for the weights only.
    Weights(DeviceBatch),
    /// One batch for both the architecture and the weights.
    Joint(DeviceBatch),
    /// A batch for the architecture, and one for the weights.
    Bilevel(Box<[DeviceBatch; 2]>),
}

impl Resumable for Search {
    type State = SearchState;
    type Images = StepImages;
    type Record = EpochRecord;

    const STAGE: Stage = Stage::Search;

    fn images(&self, state: &SearchState, _: &dyn Fn() -> bool) -> Result<StepImages, StageError> {
        let moment = self.moment(state);
        let (epoch, step) = (moment.number() as u64, moment.step as u64);
        let own = DeviceBatch::new(self.weight_loader.batch(epoch, step)?, &self.device);
        self.probe.ended("weight data");
        Ok(match (self.moves_arch(state), self.settings.one_level) {
            (false, _) => StepImages::Weights(own),
            (true, true) => StepImages::Joint(own),
            (true, false) => {
                let others = DeviceBatch::new(self.arch_loader.batch(epoch, step)?, &self.device);
                self.probe.ended("arch data");
                StepImages::Bilevel(Box::new([others, own]))
            }
        })
    }

    /// Trains the architecture if it is its turn, then the weights; then α and β advance along the
    /// path.
    fn step(&self, state: &mut SearchState, images: StepImages) -> Result<(), NotFinite> {
        let moment = self.moment(state);
        let (stepper, rates) = (self.stepper(state), self.rates(moment, state));
        let draw = Draw::new(self.seed, moment);
        let method = self.method.method();
        let (arch, weights) = match (&images, method.freezes_below()) {
            (StepImages::Weights(own), _) => (None, stepper.half_step(state, Trains::Weights, own, draw, rates)?),
            // A perturbation is for the weights alone: the architecture sees the mixture as it is.
            (StepImages::Joint(both), _) if method.perturbs(moment).is_some() => {
                let arch = stepper.half_step(state, Trains::Arch, both, draw, rates)?;
                (
                    Some(arch),
                    stepper.half_step(state, Trains::Weights, both, draw, rates)?,
                )
            }
            (StepImages::Joint(both), _) => {
                let both = stepper.half_step(state, Trains::Both, both, draw, rates)?;
                (Some(both), both)
            }
            (StepImages::Bilevel(pair), Some(below)) => {
                let [others, own] = &**pair;
                let [arch, weights] = stepper.freezing_step(state, [others, own], below, draw, rates)?;
                (Some(arch), weights)
            }
            (StepImages::Bilevel(pair), None) => {
                let [others, own] = &**pair;
                let arch = if self.settings.second_order {
                    stepper.second_order_step(state, others, own, draw, rates)?
                } else {
                    stepper.half_step(state, Trains::Arch, others, draw, rates)?
                };
                (Some(arch), stepper.half_step(state, Trains::Weights, own, draw, rates)?)
            }
        };
        self.harden(state, moment);
        self.watch_shares(state, moment);
        state.progress.add(arch, weights);
        Ok(())
    }

    fn end_epoch(&self, state: &mut SearchState) -> Result<EpochRecord, StageError> {
        let moment = self.moment(state);
        let outcome = self.outcome(state);
        let mut metrics = self.look(state, &outcome, self.rates(moment, state))?;
        let next = self.next_stage(moment);
        let removed = match next {
            Some(next) => Some(self.end_stage(state, next, &mut metrics)?),
            None => self.drop_lost(state, &outcome, &mut metrics)?,
        };
        let outcome = removed.unwrap_or(outcome);
        let arch = self.arch_record(state, &outcome, moment.number());
        let mut hardening = state.progress.hardening.clone();
        if let Some(accuracy) = metrics.supernet_accuracy {
            hardening.see(accuracy);
        }
        state.progress = SearchProgress {
            epochs_done: moment.number(),
            rollbacks: state.progress.rollbacks,
            hardening,
            freezing: state.progress.freezing.clone(),
            dropping: Dropping {
                above: Vec::new(),
                points: state.progress.dropping.points,
            },
            ..SearchProgress::default()
        };
        if let Some(next) = next {
            self.begin_stage(state, next);
        }
        Ok(EpochRecord { metrics, arch })
    }

    fn is_unfinished(&self, state: &SearchState) -> bool {
        state.progress.epochs_done < self.settings.epochs || self.goes_on(state)
    }

    fn start(&self) -> SearchState {
        self.fresh(self.backbone_after(0))
    }

    fn position(&self, state: &SearchState) -> Position {
        let progress = &state.progress;
        Position {
            epochs_done: progress.epochs_done,
            steps_done: progress.steps_done,
            rollbacks: progress.rollbacks,
            loss: progress.cross_entropy,
            correct: progress.correct,
        }
    }

    fn set_rollbacks(&self, state: &mut SearchState, rollbacks: u32) {
        state.progress.rollbacks = rollbacks;
    }

    fn check(&self, state: &SearchState) -> Result<(), NotFinite> {
        NotFinite::in_values(&state.weights, &state.statistics, self.backbone_of(state))
    }

    fn bytes(&self, state: &SearchState) -> Vec<u8> {
        state.bytes()
    }

    fn event(record: &EpochRecord) -> Event<'_> {
        Event::SearchEpoch(&record.metrics)
    }

    fn group(&self) -> &Group {
        &self.group
    }

    fn epochs(&self) -> usize {
        self.settings.epochs
    }

    /// One pass over the images of the weights. If the architecture has fewer, they are reused, as
    /// in DARTS.
    fn steps(&self) -> usize {
        self.weight_loader.steps_per_epoch() as usize
    }

    fn batch_size(&self) -> usize {
        self.settings.batch_size
    }
}

impl Search {
    /// Settings whose reduction lowers the memory of a step.
    pub(crate) const LOWER: &'static [&'static str] = &["search.batch_size", "search.channels", "search.cells"];

    /// The same with `probe`, which is notified of each phase of a step.
    #[must_use]
    pub fn with_probe(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// The same search, with `method` instead of the method of the settings.
    ///
    /// # Errors
    /// [`SearchError::Stages`] if the stages of `method` differ from those of the settings' method,
    /// for which the super-networks are already built.
    pub fn with_method(self, method: DrivenMethod) -> Result<Self, SearchError> {
        if plans(method.method(), self.space.operations.len()) != self.stages.plans {
            return Err(SearchError::Stages(self.settings.method.name()));
        }
        Ok(Self { method, ..self })
    }

    /// Learning rates of α and β after the warm-up, `"auto"` resolved.
    pub(crate) fn arch_rates(&self) -> (f64, f64) {
        let (settings, epochs) = (&self.settings, self.stages.last());
        let steps = (epochs - settings.warmup_epochs.min(epochs)) * self.steps();
        // The steps in which α and β move.
        let steps = steps.div_ceil(settings.arch_every);
        (settings.alpha_rate.resolve(steps), settings.beta_rate.resolve(steps))
    }

    /// The path of the drive `path`.
    pub fn hardening(&self) -> &Hardening {
        &self.settings.hardening
    }

    /// Held-out images, and those on which statistics are recalibrated.
    pub fn gap_loaders(&self) -> (&Loader, &Loader) {
        (&self.held_out, &self.calibration)
    }

    /// Held-out images for the gap of each edge, if it is requested.
    pub(crate) fn edge_loader(&self) -> Option<&Loader> {
        self.by_edge.as_ref()
    }

    /// Advances α and β along the path, if there is one, after the step at `moment`.
    fn harden(&self, state: &mut SearchState, moment: Moment) {
        let begun = moment.is_in_last_stage() && moment.epoch >= moment.warmup.max(1);
        if self.method.follows_path().is_none() || !begun {
            return;
        }
        let hardening = &self.settings.hardening;
        let step = (moment.epoch - 1) * moment.steps + moment.step;
        let all = moment.epochs * moment.steps;
        state.progress.hardening.advance(hardening.left(step, all));
        let position = state.progress.hardening.position;
        let excluded = self.excluded(state);
        for &kind in self.space.kinds() {
            let ends = (&self.space, self.target.kind(kind));
            let (arch, excluded) = (state.arch.kind_mut(kind), excluded.kind(kind));
            self.method.project(arch, hardening, ends, excluded, position);
        }
    }

    /// The position of the next step of `state` in the search.
    pub fn moment(&self, state: &SearchState) -> Moment {
        let SearchProgress {
            epochs_done,
            steps_done,
            ..
        } = state.progress;
        let steps = [steps_done, self.steps()];
        self.stages.moment(epochs_done, self.settings.warmup_epochs, steps)
    }

    /// Number of samples in a step, over all processes.
    fn global_batch(&self) -> usize {
        self.settings.batch_size * self.group.size()
    }

    /// Learning rates at `moment`, halved for each time that the search has returned to a
    /// checkpoint.
    fn rates(&self, moment: Moment, state: &SearchState) -> Rates {
        let settings = &self.settings;
        let (alpha, beta) = self.arch_rates();
        let shares = self.method.trains(moment);
        // If every edge is kept, there is no β, so no architecture step is needed for it.
        let has_beta = self.space.kinds().iter().any(|&kind| {
            let (graph, target) = (self.space.graph, self.target.kind(kind));
            graph.groups().any(|group| target.has_beta(graph, group))
        });
        let beta = if has_beta { beta } else { 0.0 };
        let done = (moment.epoch - 1).min(moment.epochs) as f64 / moment.epochs as f64;
        let phase = std::f64::consts::PI * done;
        let range = settings.learning_rate - settings.learning_rate_min;
        let share = 0.5f64.powi(state.progress.rollbacks as i32);
        Rates {
            weights: share * (settings.learning_rate_min + range * (1.0 + phase.cos()) / 2.0),
            alpha: share * shares.alpha * alpha,
            beta: share * shares.beta * beta,
        }
    }

    /// Whether α or β moves in the next step of `state`.
    fn moves_arch(&self, state: &SearchState) -> bool {
        let moment = self.moment(state);
        let rates = self.rates(moment, state);
        let step = (moment.epoch - 1) * moment.steps + moment.step;
        (rates.alpha > 0.0 || rates.beta > 0.0) && step.is_multiple_of(self.settings.arch_every)
    }

    /// A state before its first step, with the weights of `backbone`.
    fn fresh(&self, backbone: &Backbone) -> SearchState {
        SearchState::new(
            backbone,
            &self.space,
            &self.target,
            self.method.method(),
            &self.settings,
            self.seed,
            &self.device,
        )
    }

    fn stepper<'a>(&'a self, state: &SearchState) -> Bilevel<'a> {
        Bilevel::new(
            self.backbone_of(state),
            &self.space,
            &self.target,
            &self.method,
            &self.settings,
            &self.device,
        )
        .with_limit(self.limit.as_ref())
        .with_class_weights(self.class_weights.as_deref())
        .in_group(self.group.clone())
        .with_probe(self.probe.clone())
    }
}
