//! The search: THE LOOP.
//!
//! Reference: Tian et al. 2021, algorithm 1. Every epoch: for each step, the architecture on its half of the training
//! images, then the weights on theirs; then a look at the held-out images. Contract: a pure function of the
//! settings, the images and the seed; stopping and going on gives the same bits as never stopping.

mod bilevel;
mod da2s;
mod darts;
mod entropy;
mod fair_darts;
mod gdas;
mod method;
mod metrics;
mod random_search;
mod state;

pub use bilevel::{Bilevel, Rates, Reading};
pub use method::{ArchShares, Draw, Method, Moment, Penalty, SearchMethod};
pub use metrics::{ArchRecord, EpochMetrics, KindRecord};
pub use state::{ArchMoments, KindMoments, SearchProgress, SearchState};

use burn::tensor::Device;
use da2s_engine::Engine;

use crate::backbone::{Backbone, host};
use crate::config::{Config, SearchSettings};
use crate::data::{Dataset, Loader, Part, SearchSplit, Stream, TrainingOrder, stratified_subset};
use crate::discretize::{Decision, Genotype, KindStrengths, Pruned, Stage as Pruning, discretize};
use crate::error::Error;
use crate::objective::Target;
use crate::observer::{Event, Observer, Stage};
use crate::space::{CellKind, Space};
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
    settings: SearchSettings,
    seed: u64,
    device: Device,
    weight_loader: Loader,
    arch_loader: Loader,
    monitor: Loader,
    held_out: Loader,
    calibration: Loader,
}

/// What an epoch left behind, for the files of a run.
#[derive(Clone, Copy, Debug)]
pub struct EpochRecord<'a> {
    /// The epoch's numbers.
    pub metrics: &'a EpochMetrics,
    /// α, β, p and q at its end.
    pub arch: &'a ArchRecord,
}

/// Writes down a state: after every epoch with its record, without one when a search stops within an epoch.
pub type SaveSearch<'a> = dyn FnMut(&SearchState, Option<EpochRecord<'_>>) -> Result<(), Error> + 'a;

/// What the mixture of a state comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What stays.
    pub genotype: Genotype,
    /// How decided that is: normal, reduction.
    pub decisions: [Decision; 2],
    /// The mixtures: normal, reduction.
    pub strengths: [KindStrengths; 2],
}

impl Search {
    /// The search that `config` describes, on `dataset`.
    ///
    /// # Errors
    /// If the target does not fit the space, or the batches not the images.
    pub fn new(config: &Config, dataset: &Dataset, device: &Device, engine: &Engine) -> Result<Self, Error> {
        let settings = config.search.clone();
        let seed = config.run.seed;
        let space = Space::darts(config.space.none);
        let target = config.target.resolve(&space)?;
        let size = SupernetSize {
            skeleton: settings.skeleton,
            channels: settings.channels,
            cells: settings.cells,
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
        let watched = watched(&split.arch_half, dataset.train.labels(), settings.monitor_images, seed);
        Ok(Self {
            method: settings.method.build(&settings),
            weight_loader: Loader::training(
                dataset,
                split.weight_half.clone(),
                settings.batch_size,
                order(Stream::Weights),
            )?,
            arch_loader: Loader::training(
                dataset,
                split.arch_half.clone(),
                settings.batch_size,
                order(Stream::ArchParams),
            )?,
            monitor: evaluation(&watched)?,
            held_out: evaluation(&split.arch_half)?,
            calibration: evaluation(&split.weight_half)?,
            space,
            target,
            backbone,
            settings,
            seed,
            device: device.clone(),
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

    /// Held-out images, and those on which statistics are recalibrated.
    pub fn gap_loaders(&self) -> (&Loader, &Loader) {
        (&self.held_out, &self.calibration)
    }

    /// Searches from `state` to the end. `save` is called after every epoch with its record, and without one when
    /// the observer asks to stop within an epoch.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the observer asked to stop; images that cannot be read; a loss that is not finite; and
    /// whatever `save` returns.
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
        );
        let epochs = self.settings.epochs;
        observer.on(Event::Started {
            stage: Stage::Search,
            epochs,
            resumed_at: state.progress.epochs_done,
        });
        while state.progress.epochs_done < epochs {
            let epoch = state.progress.epochs_done + 1;
            let moment = Moment {
                epoch,
                epochs,
                warmup: self.settings.warmup_epochs,
            };
            let rates = self.rates(moment);
            let steps = self.steps();
            while state.progress.steps_done < steps {
                let step = state.progress.steps_done;
                let draw = Draw {
                    seed: self.seed,
                    moment,
                    step,
                    kind: CellKind::Normal,
                };
                let arch = if rates.alpha > 0.0 || rates.beta > 0.0 {
                    let batch = self.arch_loader.batch(epoch as u64, step as u64)?;
                    Some(stepper.arch_step(state, &batch, draw, rates))
                } else {
                    None
                };
                let batch = self.weight_loader.batch(epoch as u64, step as u64)?;
                let weights = stepper.weight_step(state, &batch, draw, rates);
                finite(
                    "the architecture's loss",
                    arch.map_or(0.0, |arch| arch.loss),
                    epoch,
                    step + 1,
                )?;
                finite("the weights' loss", weights.loss, epoch, step + 1)?;
                finite(
                    "the norm of the weights' gradient",
                    weights.gradient_norm,
                    epoch,
                    step + 1,
                )?;
                state.progress.add(arch, weights);
                self.tell_step(state, epoch, steps, observer);
                if observer.stop() && state.progress.steps_done < steps {
                    save(state, None)?;
                    return Err(Error::Stopped { epoch });
                }
            }
            let outcome = self.outcome(state);
            let metrics = self.look(state, &outcome, moment, rates)?;
            let arch = self.arch_record(state, &outcome, epoch);
            state.progress = SearchProgress {
                epochs_done: epoch,
                ..SearchProgress::default()
            };
            save(
                state,
                Some(EpochRecord {
                    metrics: &metrics,
                    arch: &arch,
                }),
            )?;
            observer.on(Event::SearchEpoch(&metrics));
            if observer.stop() && epoch < epochs {
                return Err(Error::Stopped { epoch });
            }
        }
        Ok(())
    }

    /// What the mixture of `state` comes to.
    pub fn outcome(&self, state: &SearchState) -> Outcome {
        let of = |kind: CellKind| {
            let target = self.target.kind(kind);
            let strengths = self.host_strengths(state, kind);
            let (genotype, decision) = discretize(&strengths, &self.space, target, kind.name());
            (genotype, decision, strengths)
        };
        let (normal, normal_decision, normal_strengths) = of(CellKind::Normal);
        let (reduction, reduction_decision, reduction_strengths) = of(CellKind::Reduction);
        Outcome {
            genotype: Genotype { normal, reduction },
            decisions: [normal_decision, reduction_decision],
            strengths: [normal_strengths, reduction_strengths],
        }
    }

    /// The super-network of `state` with what `outcome` prunes.
    pub fn pruned<'a>(&'a self, state: &'a SearchState, outcome: &'a Outcome) -> Pruned<'a> {
        let [normal, reduction] = &outcome.strengths;
        Pruned {
            backbone: &self.backbone,
            weights: &state.weights,
            statistics: &state.statistics,
            space: &self.space,
            strengths: [normal, reduction],
            genotype: &outcome.genotype,
        }
    }

    /// α, β, p and q of `state` as the files of a run have them.
    pub fn arch_record(&self, state: &SearchState, outcome: &Outcome, epoch: usize) -> ArchRecord {
        let of = |kind: CellKind, strengths: &KindStrengths| {
            KindRecord::new(&self.space, self.target.kind(kind), state.arch.kind(kind), strengths)
        };
        ArchRecord::new(
            epoch,
            of(CellKind::Normal, &outcome.strengths[0]),
            of(CellKind::Reduction, &outcome.strengths[1]),
        )
    }

    /// Steps an epoch: the shorter of the two halves decides.
    fn steps(&self) -> usize {
        self.weight_loader
            .steps_per_epoch()
            .min(self.arch_loader.steps_per_epoch()) as usize
    }

    /// Learning rates at `moment`.
    fn rates(&self, moment: Moment) -> Rates {
        let settings = &self.settings;
        let (alpha, beta) = self.arch_rates();
        let shares = self.method.trains(moment);
        let phase = std::f64::consts::PI * (moment.epoch - 1) as f64 / moment.epochs as f64;
        let range = settings.learning_rate - settings.learning_rate_min;
        Rates {
            weights: settings.learning_rate_min + range * (1.0 + phase.cos()) / 2.0,
            alpha: shares.alpha * alpha,
            beta: shares.beta * beta,
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
        let supernet = pruned.accuracy(Pruning::Supernet, &self.monitor, &self.device)?;
        let discretized = pruned.accuracy(Pruning::Both, &self.monitor, &self.device)?;
        let penalty = self.method.penalty(&state.arch, &self.space, &self.target, moment);
        let samples = self.steps() * self.settings.batch_size;
        Ok(
            EpochMetrics::new(&state.progress, samples, moment, rates, supernet, discretized)
                .with_mixture(self, state, outcome)
                .with_penalty(penalty),
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
            accuracy: 100.0 * state.progress.correct as f64 / (done * self.settings.batch_size) as f64,
        });
    }
}

fn finite(what: &str, value: f64, epoch: usize, step: usize) -> Result<(), Error> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite {
        what: what.to_owned(),
        value,
        stage: "the search",
        epoch,
        step,
    })
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
