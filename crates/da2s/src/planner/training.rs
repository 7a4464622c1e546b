//! What the solver can choose for the training: sizes and numbers of epochs, with their times. The
//! training is that of the final network, of the same network from other seeds, and of the
//! baselines.

use da2s_engine::Engine;

use super::cost::{ImageCounts, TrainRates, TrainWork, Whose};
use super::epochs::Epochs;
use super::ladder::{CHANNEL_STEP, Ladder, sizes};
use super::measure::Measure;
use super::solve::{Choice, Chosen};
use super::{Goal, Inputs, Lesson, PlanError};
use crate::config::{Config, baseline_of};
use crate::discretize::random_genotype;
use crate::network::{
    CHANNELS, LatencyTable, Resource, cost, exceeded, limits, network, wider, widest, widest_in_table,
};
use crate::search::SearchError;
use crate::space::{Genotype, PlainNetwork, Target};

/// The arguments `least` and `good` of [`Epochs::of_steps`] for a training.
const EPOCHS: ([usize; 2], [usize; 3]) = ([5, 60], [60, 1000, 20_000]);
/// The most epochs of a training in a given time: those of DARTS.
pub const MOST_EPOCHS: usize = 600;
/// Genotypes that are drawn to find a typical one.
const DRAWN: u64 = 9;

/// Times of the training of the network and of each baseline.
#[derive(Clone, Debug)]
pub(super) struct TrainingRates {
    network: TrainRates,
    baselines: Vec<TrainRates>,
}

/// The training of the final network, and of the baselines with it.
pub(super) struct Training<'a> {
    config: Config,
    genotype: Genotype,
    depth: Vec<usize>,
    ladder: Ladder,
    epochs: Epochs,
    work: TrainWork,
    measure: Measure<'a>,
}

impl<'a> Training<'a> {
    /// # Errors
    /// If the network does not fit the images.
    pub fn new(
        config: &Config,
        goal: Option<&Goal>,
        images: &ImageCounts,
        measure: Measure<'a>,
    ) -> Result<Self, PlanError> {
        let (inputs, shape, training) = (measure.inputs, &config.network.shape, &config.network.training);
        let may = |key| goal.is_some_and(|goal| goal.freedom.may(key));
        let free = ["network.channels", "network.cells"].map(may);
        let (genotype, depth) = match inputs.genotype {
            Some(genotype) => (genotype.clone(), genotype.cells.normal.depth()),
            None => {
                let space = config.space.build();
                let target = config.target.resolve(&space).map_err(SearchError::from)?;
                (typical(config, inputs, &target)?, target.normal.depth(space.graph))
            }
        };
        let mut own = Self {
            config: config.clone(),
            genotype,
            depth,
            ladder: Ladder::default(),
            epochs: Epochs::fixed(training.epochs),
            work: TrainWork {
                read_s: inputs.read_s,
                steps: (images.train / training.batch_size).max(1),
                validation: images.validation,
                // The test images, and as many of those that the network was trained on.
                evaluated: images.test + images.test.min(images.train),
                latency_threads: match config.run.measure_latency {
                    true => rayon::current_num_threads(),
                    false => 0,
                },
            },
            measure,
        };
        for size in sizes([shape.channels, shape.cells], free, CHANNEL_STEP) {
            let sized = own.sized(size);
            let multiply_adds = multiply_adds(&sized, inputs, &own.genotype);
            match multiply_adds {
                Ok(multiply_adds) if own.ladder.is_empty() || sized.check().is_ok() => {
                    own.ladder.push(size, multiply_adds);
                }
                // The first size is the one in the settings: only its error is of use to the user.
                Err(error) if own.ladder.is_empty() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if let Some(goal) = goal.filter(|_| may("network.epochs")) {
            let most = if goal.at_most { training.epochs } else { MOST_EPOCHS };
            let (least, good) = EPOCHS;
            let shortest = training.warmup_epochs + 1;
            let least = [least[0].max(shortest), least[1]];
            own.epochs = Epochs::of_steps(own.work.steps, least, good, most.max(shortest));
        }
        Ok(own)
    }

    /// Allows at most `most` epochs.
    pub fn limit_epochs(&mut self, most: usize) {
        let Epochs { least, good, .. } = self.epochs;
        self.epochs = Epochs {
            least: least.min(most),
            good: good.min(most),
            most,
        };
    }

    fn sized(&self, [channels, cells]: [usize; 2]) -> Config {
        let mut config = self.config.clone();
        (config.network.shape.channels, config.network.shape.cells) = (channels, cells);
        config
    }

    /// `config` with the width that its network will get after the search, estimated from a typical
    /// genotype.
    fn widened(&self, mut config: Config) -> Result<Config, PlanError> {
        let inputs = self.measure.inputs;
        let shape = &config.network.shape;
        let range = config.widths_to_try().filter(|_| inputs.genotype.is_none());
        if let Some(range) = range {
            let table = config.target.latency_table.as_deref();
            let table = table.map(LatencyTable::read).transpose()?;
            let size = shape.size(&config.space, inputs.dataset.shape, inputs.dataset.classes());
            if let Some(channels) = wider(&config.target, range, table.as_ref(), &self.genotype, &size)? {
                config.network.shape.channels = channels;
            }
        }
        Ok(config)
    }

    /// Writes a size and a number of epochs into `config`.
    pub fn apply(&self, config: &mut Config, size: usize, epochs: usize) {
        let shape = &mut config.network.shape;
        [shape.channels, shape.cells] = self.ladder.size(size);
        config.network.training.epochs = epochs;
    }

    /// Times of discretization, training and evaluation of each network: that of the run, the same
    /// from its other seeds, and the baselines.
    pub fn times(&self, chosen: &Chosen<TrainingRates>) -> Vec<(Whose, [f64; 3])> {
        let of_one = |(whose, rates): (Whose, &TrainRates)| {
            let train_s = self.work.train_s(rates, chosen.epochs);
            (whose, [self.work.read_s, train_s, self.work.evaluate_s(rates, whose)])
        };
        let own = std::iter::once((Whose::Run, &chosen.rates.network));
        own.chain(self.beside(&chosen.rates)).map(of_one).collect()
    }

    /// The networks that are trained after that of the run.
    fn beside<'r>(&self, rates: &'r TrainingRates) -> impl Iterator<Item = (Whose, &'r TrainRates)> {
        let more = self.config.network.beside.trainings() - 1;
        let seeds = std::iter::repeat_n((Whose::Seed, &rates.network), more);
        seeds.chain(rates.baselines.iter().map(|rates| (Whose::Baseline, rates)))
    }

    pub fn lesson(&self, chosen: &Chosen<TrainingRates>) -> Lesson {
        let steps = [chosen.epochs, self.work.steps, self.config.network.training.batch_size];
        Lesson {
            depth: self.depth.clone(),
            ..self.ladder.lesson(chosen.size, steps, chosen.rates.network.step_s)
        }
    }
}

/// Multiply-adds of the network of `genotype` for one image.
fn multiply_adds(config: &Config, inputs: &Inputs<'_>, genotype: &Genotype) -> Result<f64, PlanError> {
    let shape = inputs.dataset.shape;
    let size = config
        .network
        .shape
        .size(&config.space, shape, inputs.dataset.classes());
    let backbone = network(genotype, size, &Engine::Plain)?;
    Ok(cost(&backbone, shape.height).multiply_adds.max(1) as f64)
}

/// A random genotype of the target: of several, the one whose network has the median number of
/// multiply-adds. The genotype of a search is unknown before it, and costs as much as this one
/// within a factor of two.
fn typical(config: &Config, inputs: &Inputs<'_>, target: &Target) -> Result<Genotype, PlanError> {
    let space = config.space.build();
    let seeds = config.run.seed..config.run.seed.saturating_add(DRAWN);
    let drawn = seeds.map(|seed| {
        let genotype = random_genotype(&space, target, seed);
        Ok((multiply_adds(config, inputs, &genotype)?, genotype))
    });
    let mut drawn: Vec<(f64, Genotype)> = drawn.collect::<Result<_, PlanError>>()?;
    drawn.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let middle = drawn.len() / 2;
    Ok(drawn.swap_remove(middle).1)
}

/// The settings of the baseline `baseline` of a network of `genotype`, with the width that it will
/// have. `None` if even the narrowest one costs more than this network, or more than the target
/// allows.
fn baseline(
    config: &Config,
    inputs: &Inputs<'_>,
    genotype: &Genotype,
    baseline: PlainNetwork,
) -> Result<Option<Config>, PlanError> {
    let (shape, classes) = (inputs.dataset.shape, inputs.dataset.classes());
    let mut of_baseline = baseline_of(config, baseline);
    let beside = &config.network.beside;
    let channels = match beside.baseline_width {
        Some(width) => {
            Some(((baseline.stem_channels() as f64 * width).round() as usize).clamp(CHANNELS[0], CHANNELS[1]))
        }
        None => {
            let size = config.network.shape.size(&config.space, shape, classes);
            let own = network(genotype, size, &Engine::Plain)?;
            let size = of_baseline.network.shape.size(&of_baseline.space, shape, classes);
            let (precision, side, plain) = (config.target.precision, shape.height, baseline.genotype());
            let mut limits = limits(&of_baseline.target);
            match (beside.matched(), &config.target.latency_table) {
                (Resource::Latency, Some(path)) => {
                    let table = LatencyTable::read(path)?;
                    let limit_ms = table.of_network(&own, side)?;
                    let fits = |one: &_| exceeded(&limits, precision, one, side).is_none();
                    widest_in_table(&plain, &size, CHANNELS, (&table, limit_ms), fits)?
                }
                (resource, _) => {
                    let most = resource.of(&cost(&own, side), precision);
                    limits.extend(most.map(|most| (resource, most)));
                    widest(&plain, &size, CHANNELS, |one| {
                        exceeded(&limits, precision, one, side).is_none()
                    })?
                }
            }
        }
    };
    Ok(channels.map(|channels| {
        of_baseline.network.shape.channels = channels;
        of_baseline
    }))
}

impl Choice for Training<'_> {
    type Rates = TrainingRates;

    fn work(&self) -> &[f64] {
        &self.ladder.multiply_adds
    }

    fn epochs(&self) -> Epochs {
        self.epochs
    }

    fn time_s(&self, rates: &TrainingRates, epochs: usize) -> f64 {
        let of_one = |(whose, rates)| self.work.train_s(rates, epochs) + self.work.evaluate_s(rates, whose);
        let beside = self.beside(rates).map(|one| self.work.read_s + of_one(one));
        // A given genotype is discretized, which reads the images as well.
        let own_s = if self.measure.inputs.searches || self.measure.inputs.discretized {
            0.0
        } else {
            self.work.read_s
        };
        own_s + of_one((Whose::Run, &rates.network)) + beside.sum::<f64>()
    }

    fn scaled(rates: &TrainingRates, factor: f64) -> TrainingRates {
        let scaled = |rates: &TrainRates| TrainRates {
            step_s: factor * rates.step_s,
            image_s: factor * rates.image_s,
        };
        TrainingRates {
            network: scaled(&rates.network),
            baselines: rates.baselines.iter().map(scaled).collect(),
        }
    }

    fn measure(&mut self, size: usize) -> Result<TrainingRates, PlanError> {
        let config = self.widened(self.sized(self.ladder.size(size)))?;
        let (network, needs) = self.measure.training(&config, &self.genotype)?;
        self.ladder.needs(size, needs);
        let mut baselines = Vec::new();
        for &plain in config.network.beside.baselines.iter().flatten() {
            if let Some(own) = baseline(&config, self.measure.inputs, &self.genotype, plain)? {
                baselines.push(self.measure.training(&own, &plain.genotype())?.0);
            }
        }
        Ok(TrainingRates { network, baselines })
    }
}
