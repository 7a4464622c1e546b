//! The search: THE LOOP.
//!
//! Reference: Tian et al. 2021, algorithm 1. Every epoch: for each step, the architecture on its half of the training
//! images, then the weights on theirs; then a look at the held-out images. Contract: a pure function of the
//! settings, the images, the seed and the number of processes; stopping and going on gives the same bits as never stopping.

mod bilevel;
mod gamma;
mod limit;
mod method;
mod methods;
mod metrics;
mod moment;
mod outcome;
mod second_order;
mod setup;
mod state;

pub use crate::optim::{Adam, AdamMeans, ArchOptimizer, Moment as ArchMoment};
pub use bilevel::{Bilevel, Rates, Reading, Trains};
pub use method::{ArchShares, Choices, SearchMethod};
pub use methods::Method;
pub use metrics::{ArchRecord, EpochMetrics, KindRecord, TermRecord};
pub use moment::{Draw, Half, Moment, When};
pub use outcome::Outcome;
pub use state::{ArchMoments, KindMoments, SearchProgress, SearchState};

use burn::tensor::Device;

use crate::backbone::Backbone;
use crate::config::SearchSettings;
use crate::data::{Batch, Loader};
use crate::error::Error;
use crate::finite::NotFinite;
use crate::objective::{CostLimit, Hardening};
use crate::observer::{Event, Observer, Stage};
use crate::parallel::Group;
use crate::space::{Space, Target};
use crate::train::between_steps;

/// Everything that a search needs and does not change.
#[derive(Debug)]
pub struct Search {
    /// The space.
    pub space: Space,
    /// The target.
    pub target: Target,
    /// The super-network.
    pub backbone: Backbone,
    /// The method.
    pub method: Box<dyn SearchMethod>,
    /// The limit on the final network's cost, if there is one.
    pub limit: Option<CostLimit>,
    settings: SearchSettings,
    seed: u64,
    device: Device,
    group: Group,
    weight_loader: Loader,
    arch_loader: Loader,
    monitor: Loader,
    held_out: Loader,
    calibration: Loader,
    /// Held-out images for the gap edge by edge, if it is asked for.
    by_edge: Option<Loader>,
}

/// What an epoch left behind, for the files of a run.
#[derive(Clone, Copy, Debug)]
pub struct EpochRecord<'a> {
    /// The epoch's numbers.
    pub metrics: &'a EpochMetrics,
    /// α, β, p and q at its end.
    pub arch: &'a ArchRecord,
}

/// The images of a step.
enum Batches {
    /// The weights alone.
    Weights(Batch),
    /// One batch for the architecture and the weights.
    Joint(Batch),
    /// The architecture's, and the weights'.
    Bilevel(Batch, Batch),
}

/// Writes down a state: after every epoch with its record, and without one within an epoch.
pub type SaveSearch<'a> = dyn FnMut(&SearchState, Option<EpochRecord<'_>>) -> Result<(), Error> + 'a;

impl Search {
    /// The state before the first step.
    pub fn start(&self) -> SearchState {
        SearchState::new(
            &self.backbone,
            &self.space,
            &self.target,
            &*self.method,
            &self.settings,
            self.seed,
            &self.device,
        )
    }

    /// Epochs of this search.
    pub fn epochs(&self) -> usize {
        self.settings.epochs
    }

    /// Learning rates of α and β behind the warm-up, `"auto"` resolved.
    pub fn arch_rates(&self) -> (f64, f64) {
        let settings = &self.settings;
        let steps = (settings.epochs - settings.warmup_epochs.min(settings.epochs)) * self.steps();
        // Those in which α and β move.
        let steps = steps.div_ceil(settings.arch_every);
        (settings.alpha_rate.resolve(steps), settings.beta_rate.resolve(steps))
    }

    /// The path of the adaptive schedule.
    pub fn hardening(&self) -> &Hardening {
        &self.settings.hardening
    }

    /// Held-out images, and those on which statistics are recalibrated.
    pub fn gap_loaders(&self) -> (&Loader, &Loader) {
        (&self.held_out, &self.calibration)
    }

    /// Held-out images for the gap edge by edge, if it is asked for.
    pub fn edge_loader(&self) -> Option<&Loader> {
        self.by_edge.as_ref()
    }

    /// Searches from `state` to the end. `save` is called after every epoch with its record, and without one when
    /// the observer asks to stop or for a checkpoint within an epoch.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the observer of some process asked to stop; images that cannot be read; a loss that is not finite;
    /// [`Error::Apart`] if the processes do not hold the same weights; and whatever `save` returns.
    pub fn run(
        &self,
        state: &mut SearchState,
        observer: &mut dyn Observer,
        save: &mut SaveSearch<'_>,
    ) -> Result<(), Error> {
        let stepper = Bilevel::new(
            &self.backbone,
            &self.space,
            &self.target,
            &*self.method,
            &self.settings,
            &self.device,
        )
        .with_limit(self.limit.as_ref())
        .in_group(self.group.clone());
        let epochs = self.settings.epochs;
        observer.on(Event::Started {
            stage: Stage::Search,
            epochs,
            resumed_at: state.progress.epochs_done,
        });
        while self.is_unfinished(state) {
            let epoch = state.progress.epochs_done + 1;
            let moment = self.moment(state);
            let rates = self.rates(moment, state);
            self.take_steps(&stepper, state, moment, rates, observer, save)?;
            self.sound(state, epoch)?;
            let outcome = self.outcome(state);
            let metrics = self.look(state, &outcome, rates)?;
            let arch = self.arch_record(state, &outcome, epoch);
            let mut hardening = state.progress.hardening.clone();
            hardening.see(metrics.supernet_accuracy);
            state.progress = SearchProgress {
                epochs_done: epoch,
                rollbacks: state.progress.rollbacks,
                hardening,
                ..SearchProgress::default()
            };
            self.group.check_alike("weights", || state.bytes())?;
            save(
                state,
                Some(EpochRecord {
                    metrics: &metrics,
                    arch: &arch,
                }),
            )?;
            observer.on(Event::SearchEpoch(&metrics));
            let [stop] = self.group.any([observer.stop()]);
            if stop && (epoch < epochs || self.goes_on(state)) {
                return Err(Error::Stopped { epoch });
            }
        }
        Ok(())
    }

    /// The steps of an epoch that are left. Behind the last no wish for a checkpoint is heard: the end of the epoch writes one.
    fn take_steps(
        &self,
        stepper: &Bilevel<'_>,
        state: &mut SearchState,
        moment: Moment,
        rates: Rates,
        observer: &mut dyn Observer,
        save: &mut SaveSearch<'_>,
    ) -> Result<(), Error> {
        let (epoch, steps) = (moment.epoch, self.steps());
        while state.progress.steps_done < steps {
            let step = state.progress.steps_done;
            let moment = moment.at_step(step);
            let draw = Draw::new(self.seed, moment);
            let batches = self.batches(draw, rates)?;
            let (arch, weights) = self
                .step(stepper, state, &batches, draw, rates)
                .map_err(|found| found.at(Stage::Search, epoch, step + 1, state.progress.rollbacks))?;
            self.harden(state, moment);
            state.progress.add(arch, weights);
            self.tell_step(state, epoch, steps, observer);
            let done = state.progress.steps_done;
            if done < steps {
                between_steps(&self.group, observer, epoch, done, || {
                    self.sound(state, epoch)?;
                    save(state, None)
                })?;
            }
        }
        Ok(())
    }

    /// Refuses a state with a number that is none, which no loss has shown: a variance may overflow and the loss stay finite.
    fn sound(&self, state: &SearchState, epoch: usize) -> Result<(), Error> {
        let SearchProgress {
            steps_done, rollbacks, ..
        } = state.progress;
        let values = NotFinite::in_values(&state.weights, &state.statistics, &self.backbone);
        values.map_err(|found| found.at(Stage::Search, epoch, steps_done, rollbacks))
    }

    /// The batches of a step: the weights' own, and the architecture's where it is its turn.
    fn batches(&self, draw: Draw, rates: Rates) -> Result<Batches, Error> {
        let (epoch, step) = (draw.moment.epoch as u64, draw.moment.step as u64);
        let trains = rates.alpha > 0.0 || rates.beta > 0.0;
        let turn = ((draw.moment.epoch - 1) * self.steps() + draw.moment.step).is_multiple_of(self.settings.arch_every);
        let training = self.weight_loader.batch(epoch, step)?;
        Ok(match (trains && turn, self.settings.one_level) {
            (false, _) => Batches::Weights(training),
            (true, true) => Batches::Joint(training),
            (true, false) => Batches::Bilevel(self.arch_loader.batch(epoch, step)?, training),
        })
    }

    /// One step: the architecture, where it is its turn, then the weights.
    fn step(
        &self,
        stepper: &Bilevel<'_>,
        state: &mut SearchState,
        batches: &Batches,
        draw: Draw,
        rates: Rates,
    ) -> Result<(Option<Reading>, Reading), NotFinite> {
        let (arch, training) = match batches {
            Batches::Weights(training) => (None, training),
            Batches::Joint(training) => {
                let both = stepper.half_step(state, Trains::Both, training, draw, rates)?;
                return Ok((Some(both), both));
            }
            Batches::Bilevel(batch, training) => {
                let arch = if self.settings.second_order {
                    stepper.second_order_step(state, batch, training, draw, rates)?
                } else {
                    stepper.half_step(state, Trains::Arch, batch, draw, rates)?
                };
                (Some(arch), training)
            }
        };
        Ok((arch, stepper.half_step(state, Trains::Weights, training, draw, rates)?))
    }

    /// Takes α and β along the path, if there is one, after the step at `moment`.
    fn harden(&self, state: &mut SearchState, moment: Moment) {
        let Some(halves) = self.method.follows_path() else {
            return;
        };
        if moment.epoch < moment.warmup.max(1) {
            return;
        }
        let hardening = &self.settings.hardening;
        let step = (moment.epoch - 1) * moment.steps + moment.step;
        let all = moment.epochs * moment.steps;
        state.progress.hardening.advance(hardening.left(step, all));
        let position = state.progress.hardening.position;
        hardening.project(&mut state.arch, &self.space, &self.target, position, halves);
    }

    /// Where in the search `state` stands.
    pub fn moment(&self, state: &SearchState) -> Moment {
        Moment {
            epoch: state.progress.epochs_done + 1,
            epochs: self.settings.epochs,
            warmup: self.settings.warmup_epochs,
            step: state.progress.steps_done,
            steps: self.steps(),
        }
    }

    /// Steps an epoch: a pass over the images of the weights. Where those of the architecture are fewer they come round again, as in DARTS.
    fn steps(&self) -> usize {
        self.weight_loader.steps_per_epoch() as usize
    }

    /// Samples of a step, those of all processes together.
    fn global_batch(&self) -> usize {
        self.settings.batch_size * self.group.size()
    }

    /// Learning rates at `moment`: halved as often as the search had to go back.
    fn rates(&self, moment: Moment, state: &SearchState) -> Rates {
        let settings = &self.settings;
        let (alpha, beta) = self.arch_rates();
        let shares = self.method.trains(moment);
        // Where every edge stays there is no β, and nothing that a step of it would be for.
        let has_beta = self.space.kinds().iter().any(|&kind| {
            let (graph, target) = (self.space.graph, self.target.kind(kind));
            graph.all_nodes().any(|node| target.has_beta(graph, node))
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

    fn tell_step(&self, state: &SearchState, epoch: usize, steps: usize, observer: &mut dyn Observer) {
        let done = state.progress.steps_done;
        observer.on(Event::Step {
            stage: Stage::Search,
            epoch,
            step: done,
            steps,
            loss: state.progress.cross_entropy / done as f64,
            accuracy: 100.0 * state.progress.correct as f64 / (done * self.global_batch()) as f64,
        });
    }
}
