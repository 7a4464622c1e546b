//! The search: THE LOOP.
//!
//! Reference: Tian et al. 2021, algorithm 1. Every epoch: for each step, the architecture on its half of the training
//! images, then the weights on theirs; then a look at the held-out images. Contract: a pure function of the
//! settings, the images, the seed and the number of processes; stopping and going on gives the same bits as never stopping.

mod arch_optimizer;
mod bilevel;
mod da2s;
mod darts;
mod entropy;
mod fair_darts;
mod gdas;
mod limit;
mod method;
mod metrics;
mod pc_darts;
mod random_search;
mod second_order;
mod state;

pub use arch_optimizer::{ArchOptimizer, Moment as ArchMoment};
pub use bilevel::{Bilevel, Rates, Reading};
pub use method::{ArchShares, Draw, Method, Moment, Penalty, SearchMethod};
pub use metrics::{ArchRecord, EpochMetrics, KindRecord};
pub use state::{ArchMoments, KindMoments, SearchProgress, SearchState};

use burn::tensor::Device;
use da2s_engine::Engine;

use crate::backbone::{Backbone, host};
use crate::config::{Config, SearchSettings};
use crate::data::{Batch, Dataset, Loader, Part, SearchSplit, Stream, TrainingOrder, stratified_subset};
use crate::discretize::{Decision, Genotype, KindStrengths, Pruned, Stage as Pruning, discretize};
use crate::error::Error;
use crate::finite::NotFinite;
use crate::objective::{CostLimit, Hardening, Target};
use crate::observer::{Event, Observer, Stage};
use crate::parallel::Group;
use crate::space::{CellKind, PerKind, Space};
use crate::supernet::{SupernetSize, supernet};

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

/// What the mixture of a state comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What stays.
    pub genotype: Genotype,
    /// How decided that is.
    pub decisions: PerKind<Decision>,
    /// The mixtures.
    pub strengths: PerKind<KindStrengths>,
}

impl Search {
    /// The search that `config` describes, on `dataset`.
    ///
    /// # Errors
    /// If a setting cannot be, the target does not fit the space, or the batches not the images.
    pub fn new(config: &Config, dataset: &Dataset, device: &Device, engine: &Engine) -> Result<Self, Error> {
        Self::in_group(config, dataset, device, engine, Group::alone())
    }

    /// The same as one of the processes of `group`, each with batches of its own.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn in_group(
        config: &Config,
        dataset: &Dataset,
        device: &Device,
        engine: &Engine,
        group: Group,
    ) -> Result<Self, Error> {
        config.check()?;
        let settings = config.search.clone();
        let seed = config.run.seed;
        let space = config.search_space();
        let target = config.target.resolve(&space)?;
        let size = SupernetSize {
            skeleton: settings.skeleton,
            channels: settings.channels,
            cells: settings.cells,
            reductions: settings.reduction_cells.clone(),
            partial: settings.partial(),
            image_channels: dataset.shape.channels,
            classes: dataset.classes(),
        };
        let backbone = supernet(&space, size, engine);
        let split = SearchSplit::new(
            dataset.train.labels(),
            config.data.arch_fraction,
            config.data.validation_fraction,
            seed,
        )?;
        let order = |stream| TrainingOrder {
            seed,
            stream,
            augmentation: settings.augmentation.clone(),
        };
        let evaluation =
            |indices: &[usize]| Loader::evaluation(dataset, Part::Train, indices.to_vec(), settings.batch_size);
        let some = |images| watched(&split.arch_half, dataset.train.labels(), images, seed);
        let by_edge = match config.discretize.edge_images {
            0 => None,
            images => Some(evaluation(&some(images))?),
        };
        Ok(Self {
            method: settings.method.build(&settings),
            weight_loader: Loader::training(
                dataset,
                split.weight_half.clone(),
                settings.batch_size,
                order(Stream::Weights),
            )?
            .sharded(group.shard())?,
            arch_loader: Loader::training(
                dataset,
                // One level: both train on the same batches, and the other images are only watched.
                if settings.one_level {
                    &split.weight_half
                } else {
                    &split.arch_half
                }
                .clone(),
                settings.batch_size,
                order(Stream::ArchParams),
            )?
            .sharded(group.shard())?,
            monitor: evaluation(&some(settings.monitor_images))?.sharded(group.shard())?,
            by_edge,
            held_out: evaluation(&split.arch_half)?,
            calibration: evaluation(&split.weight_half)?,
            limit: limit::of(config, dataset, &space, &target, engine)?,
            space,
            target,
            backbone,
            settings,
            seed,
            device: device.clone(),
            group,
        })
    }

    /// The state before the first step.
    pub fn start(&self) -> SearchState {
        SearchState::new(
            &self.backbone,
            &self.space,
            &self.target,
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
        (settings.alpha_rate.resolve(steps), settings.beta_rate.resolve(steps))
    }

    /// The path of the adaptive schedule.
    pub fn hardening(&self) -> &Hardening {
        &self.settings.hardening
    }

    /// The expected cost of the final network in parts of each limit on it.
    fn expected_cost(&self, state: &SearchState) -> Vec<f64> {
        let Some(limit) = &self.limit else { return Vec::new() };
        let mixtures = state.arch.kinds().map(|kind, arch| {
            let strengths = self.method.strengths(arch, &self.space, self.target.kind(kind), None);
            strengths.mixture(&self.space)
        });
        let shares = limit.expected(&mixtures).into_iter();
        shares.map(|share| f64::from(share.into_scalar::<f32>())).collect()
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
            let moment = Moment {
                epoch,
                epochs,
                warmup: self.settings.warmup_epochs,
            };
            let rates = self.rates(moment, state);
            let steps = self.steps();
            while state.progress.steps_done < steps {
                let step = state.progress.steps_done;
                let draw = Draw {
                    seed: self.seed,
                    moment,
                    step,
                    kind: CellKind::Normal,
                };
                let batches = self.batches(draw, rates)?;
                let (arch, weights) = self
                    .step(&stepper, state, &batches, draw, rates)
                    .map_err(|found| found.at("the search", epoch, step + 1, state.progress.rollbacks))?;
                self.harden(state, moment, step);
                state.progress.add(arch, weights);
                self.tell_step(state, epoch, steps, observer);
                if state.progress.steps_done == steps {
                    break;
                }
                let [stop, checkpoint] = self.group.any([observer.stop(), observer.checkpoint()]);
                if stop {
                    self.sound(state, epoch)?;
                    save(state, None)?;
                    return Err(Error::Stopped { epoch });
                }
                if checkpoint {
                    self.sound(state, epoch)?;
                    save(state, None)?;
                    let step = state.progress.steps_done;
                    observer.on(Event::Checkpoint { epoch, step });
                }
            }
            self.sound(state, epoch)?;
            let outcome = self.outcome(state);
            let metrics = self.look(state, &outcome, moment, rates)?;
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

    /// Refuses a state with a number that is none, which no loss has shown: a variance may overflow and the loss stay finite.
    fn sound(&self, state: &SearchState, epoch: usize) -> Result<(), Error> {
        let SearchProgress {
            steps_done, rollbacks, ..
        } = state.progress;
        let values = NotFinite::in_values(&state.weights, &state.statistics, &self.backbone);
        values.map_err(|found| found.at("the search", epoch, steps_done, rollbacks))
    }

    /// The batches of a step: the weights' own, and the architecture's where it is its turn.
    fn batches(&self, draw: Draw, rates: Rates) -> Result<Batches, Error> {
        let (epoch, step) = (draw.moment.epoch as u64, draw.step as u64);
        let trains = rates.alpha > 0.0 || rates.beta > 0.0;
        let turn = ((draw.moment.epoch - 1) * self.steps() + draw.step).is_multiple_of(self.settings.arch_every);
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
                let both = stepper.joint_step(state, training, draw, rates)?;
                return Ok((Some(both), both));
            }
            Batches::Bilevel(batch, training) if self.settings.second_order => {
                let arch = stepper.second_order_step(state, batch, training, draw, rates)?;
                (Some(arch), training)
            }
            Batches::Bilevel(batch, training) => (Some(stepper.arch_step(state, batch, draw, rates)?), training),
        };
        Ok((arch, stepper.weight_step(state, training, draw, rates)?))
    }

    /// Epochs with all that an undecided search may add.
    pub fn most_epochs(&self) -> usize {
        let extra = (self.settings.extra_epochs * self.settings.epochs as f64).round() as usize;
        self.settings.epochs + extra
    }

    /// Whether there are epochs left.
    pub fn is_unfinished(&self, state: &SearchState) -> bool {
        state.progress.epochs_done < self.settings.epochs || self.goes_on(state)
    }

    /// Whether a search whose epochs are done is undecided and has further ones to spend.
    pub fn goes_on(&self, state: &SearchState) -> bool {
        state.progress.epochs_done < self.most_epochs()
            && self
                .outcome(state)
                .decisions
                .values()
                .any(|decision| !decision.undecided.is_empty())
    }

    /// Takes α and β along the path, if there is one, behind step `step` of an epoch.
    fn harden(&self, state: &mut SearchState, moment: Moment, step: usize) {
        let Some(halves) = self.method.follows_path() else {
            return;
        };
        if moment.epoch < moment.warmup.max(1) {
            return;
        }
        let hardening = &self.settings.hardening;
        let (step, all) = ((moment.epoch - 1) * self.steps() + step, moment.epochs * self.steps());
        let left = hardening.left(step, all);
        if left > 0 {
            state.progress.hardening.advance(left);
        }
        let position = state.progress.hardening.position;
        hardening.project(&mut state.arch, &self.space, &self.target, position, halves);
    }

    /// What the mixture of `state` comes to.
    pub fn outcome(&self, state: &SearchState) -> Outcome {
        let strengths = PerKind::new(self.space.kinds(), |kind| self.host_strengths(state, kind));
        let discretized =
            strengths.map(|kind, strengths| discretize(strengths, &self.space, self.target.kind(kind), kind));
        Outcome {
            genotype: Genotype {
                cells: discretized.map(|_, (genotype, _)| genotype.clone()),
            },
            decisions: discretized.map(|_, (_, decision)| decision.clone()),
            strengths,
        }
    }

    /// The super-network of `state` with what `outcome` prunes.
    pub fn pruned<'a>(&'a self, state: &'a SearchState, outcome: &'a Outcome) -> Pruned<'a> {
        Pruned {
            backbone: &self.backbone,
            weights: &state.weights,
            statistics: &state.statistics,
            space: &self.space,
            strengths: &outcome.strengths,
            genotype: &outcome.genotype,
        }
    }

    /// α, β, p and q of `state` as the files of a run have them.
    pub fn arch_record(&self, state: &SearchState, outcome: &Outcome, epoch: usize) -> ArchRecord {
        let records = outcome.strengths.map(|kind, strengths| {
            KindRecord::new(&self.space, self.target.kind(kind), state.arch.kind(kind), strengths)
        });
        ArchRecord::new(epoch, &records)
    }

    /// Steps an epoch: the shorter of the two halves decides.
    fn steps(&self) -> usize {
        self.weight_loader
            .steps_per_epoch()
            .min(self.arch_loader.steps_per_epoch()) as usize
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

    /// p and q of one kind of cell on the host, and what its edges are ranked by.
    fn host_strengths(&self, state: &SearchState, kind: CellKind) -> KindStrengths {
        let arch = state.arch.kind(kind);
        let strengths = self.method.strengths(arch, &self.space, self.target.kind(kind), None);
        let p: Vec<Vec<f32>> = host(&strengths.p)
            .chunks(self.space.operations.len())
            .map(<[f32]>::to_vec)
            .collect();
        let edge_rank = self.method.edge_rank(&host(&arch.beta), &p, &self.space);
        KindStrengths {
            p,
            q: host(&strengths.q),
            edge_rank,
        }
    }

    /// Looks at the held-out images at the end of an epoch.
    fn look(
        &self,
        state: &SearchState,
        outcome: &Outcome,
        moment: Moment,
        rates: Rates,
    ) -> Result<EpochMetrics, Error> {
        let pruned = self.pruned(state, outcome);
        let accuracy = |stage| pruned.accuracy(stage, &self.monitor, &self.group, &self.device);
        let (supernet, discretized) = (accuracy(Pruning::Supernet)?, accuracy(Pruning::Both)?);
        let penalty = self.method.penalty(&state.arch, &self.space, &self.target, moment);
        let samples = self.steps() * self.global_batch();
        Ok(
            EpochMetrics::new(&state.progress, samples, moment, rates, supernet, discretized)
                .with_mixture(self, state, outcome)
                .with_penalty(penalty)
                .with_path(self, state)
                .with_cost(self.expected_cost(state)),
        )
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

/// At most `count` of the images at `half`, the same share of each class; 0 takes all.
fn watched(half: &[usize], labels: &[u32], count: usize, seed: u64) -> Vec<usize> {
    if count == 0 || count >= half.len() {
        return half.to_vec();
    }
    let own: Vec<u32> = half.iter().map(|&index| labels[index]).collect();
    stratified_subset(&own, count, seed)
        .into_iter()
        .map(|at| half[at])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::watched;

    #[test]
    fn a_watched_part_has_every_class_even_where_images_come_in_their_order() {
        let labels: Vec<u32> = (0..200).map(|index| index / 50).collect();
        let half: Vec<usize> = (0..200).step_by(2).collect();
        let some = watched(&half, &labels, 40, 1);
        for class in 0..4 {
            assert_eq!(some.iter().filter(|&&index| labels[index] == class).count(), 10);
        }
        assert!(some.iter().all(|index| half.contains(index)));
        assert_eq!(watched(&half, &labels, 0, 1), half);
        assert_eq!(watched(&half, &labels, 1000, 1), half);
    }
}
