//! The search step: one half-step of the architecture, one of the weights.

use burn::tensor::{Device, Tensor};

use super::clock::{Laps, StepTimes};
use super::{Bench, SEED, Work, images, loader};
use crate::Error;
use crate::backbone::{Pass, Weights, correct_count, cross_entropy};
use crate::config::{Config, DataSettings, RunSettings, SearchSettings};
use crate::data::{Batch, Loader, Stream};
use crate::network::cost;
use crate::search::{Bilevel, Moment, Search, SearchState, When};
use crate::supernet::ArchParams;
use crate::train::{images_on, labels_on};

/// Sizes of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub channels: usize,
    pub cells: usize,
    /// Side of an image in pixels.
    pub side: usize,
    /// Images a half-step.
    pub batch: usize,
}

/// Multiply-adds of a step in those of a forward pass: the architecture's half-step computes the gradients of the images of
/// every cell, the weights' half-step those of the weights as well.
const PASSES: u64 = 2 + 3;

/// Measures the step of a search of `size`.
pub(super) fn step(bench: &Bench, size: Size) -> Result<Work, Error> {
    let config = config(bench, size);
    let dataset = images(size.side)?;
    let search = Search::new(&config, &dataset, &bench.device, &bench.engine)?;
    let mut state = search.start();
    let mut times = StepTimes::new(bench.repeat);
    match search.run(&mut state, &mut times, &mut |_, _| Ok(())) {
        Ok(()) | Err(Error::Stopped { .. }) => {}
        Err(error) => return Err(error),
    }

    let apart = Apart::new(&search, &config.search, &bench.device);
    let loader = loader(&dataset, size.batch, Stream::Weights)?;
    let mut laps = Laps::new(&bench.device);
    for repetition in 0..bench.repeat as u64 {
        apart.step(&mut state, &loader, repetition, &mut laps)?;
    }
    Ok(Work {
        repetitions_ms: times.counted(),
        phases: laps.phases(),
        multiply_adds: cost(&search.backbone, size.side).multiply_adds,
        passes: PASSES,
    })
}

fn config(bench: &Bench, size: Size) -> Config {
    Config {
        data: DataSettings {
            image_size: Some(size.side),
            ..DataSettings::default()
        },
        search: SearchSettings {
            batch_size: size.batch,
            channels: size.channels,
            cells: size.cells,
            // The look at the images at the end of an epoch is not measured: as short as can be.
            monitor_images: size.batch,
            ..SearchSettings::default()
        },
        run: RunSettings {
            seed: SEED,
            engine: bench.engine_name,
            ..RunSettings::default()
        },
        ..Config::default()
    }
}

/// The half-steps of [`Bilevel`] taken apart.
struct Apart<'a> {
    stepper: Bilevel<'a>,
    moment: Moment,
    rate: f64,
    on_graph: Device,
}

impl<'a> Apart<'a> {
    fn new(search: &'a Search, settings: &SearchSettings, device: &'a Device) -> Self {
        let Search {
            backbone,
            space,
            target,
            method,
            ..
        } = search;
        Self {
            stepper: Bilevel::new(backbone, space, target, &**method, settings, device),
            moment: Moment::of_epoch(1, settings.epochs, settings.warmup_epochs),
            rate: settings.learning_rate,
            on_graph: device.clone().autodiff(),
        }
    }

    /// One step. α and β, some hundred numbers, stay: their update takes no time to speak of. Returns the losses.
    fn step(&self, state: &mut SearchState, loader: &Loader, step: u64, laps: &mut Laps) -> Result<[f32; 2], Error> {
        laps.start();
        let batch = loader.batch(1, 2 * step)?;
        laps.lap("arch data");
        let (loss, arch_loss) = self.loss(state, &state.weights.on_graph(false), &state.arch.tracked(), &batch);
        laps.lap("arch forward");
        drop(loss.backward());
        laps.lap("arch backward");

        let batch = loader.batch(1, 2 * step + 1)?;
        laps.lap("weight data");
        let weights = state.weights.on_graph(true);
        let arch = state.arch.untracked();
        let (loss, weight_loss) = self.loss(state, &weights, &arch, &batch);
        laps.lap("weight forward");
        let gradients = weights.gradients(loss.backward());
        laps.lap("weight backward");
        let moved = state
            .sgd
            .step(self.rate, &mut state.weights, gradients, self.stepper.backbone);
        moved.map_err(|found| found.at(crate::observer::Stage::Search, 1, step as usize + 1, 0))?;
        laps.lap("weight optimiser");
        Ok([arch_loss, weight_loss])
    }

    /// As the loss of a half-step: the running statistics move, and loss and accuracy are read.
    fn loss(&self, state: &mut SearchState, weights: &Weights, arch: &ArchParams, batch: &Batch) -> (Tensor<1>, f32) {
        let Bilevel {
            backbone,
            space,
            target,
            method,
            ..
        } = &self.stepper;
        let mixtures = self.stepper.mixtures(arch, When::Reading(self.moment));
        let pass = Pass::new(weights).with_mixtures(&mixtures);
        let forward = backbone.forward(images_on(batch, &self.on_graph), pass);
        if let Some(statistics) = &forward.statistics {
            state.statistics.update(statistics);
        }
        correct_count(forward.logits.clone().without_autodiff(), &batch.labels);
        let cross_entropy = cross_entropy(forward.logits, labels_on(batch, &self.on_graph), 0.0);
        let loss = match method.penalty(arch, space, target, self.moment).loss() {
            Some(penalty) => cross_entropy + penalty,
            None => cross_entropy,
        };
        let value = loss.clone().into_scalar::<f32>();
        (loss, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineName;
    use crate::search::{Draw, Rates, Trains};
    use da2s_engine::Engine;

    #[test]
    fn the_step_taken_apart_is_the_step_of_the_search() {
        let bench = Bench {
            device: Device::flex(),
            engine: Engine::fused(),
            engine_name: EngineName::Auto,
            repeat: 1,
        };
        let size = Size {
            channels: 2,
            cells: 3,
            side: 8,
            batch: 4,
        };
        let (config, dataset) = (config(&bench, size), images(size.side).unwrap());
        let search = Search::new(&config, &dataset, &bench.device, &bench.engine).unwrap();
        let loader = loader(&dataset, size.batch, Stream::Weights).unwrap();
        let apart = Apart::new(&search, &config.search, &bench.device);

        let (mut ours, mut theirs) = (search.start(), search.start());
        let losses = apart
            .step(&mut ours, &loader, 0, &mut Laps::new(&bench.device))
            .unwrap();
        // At rate 0 the architecture stays, as it does in the step taken apart.
        let rates = Rates {
            weights: apart.rate,
            alpha: 0.0,
            beta: 0.0,
        };
        let batch = |step| loader.batch(1, step).unwrap();
        let draw = Draw::new(1, apart.moment);
        let mut half = |trains, step| apart.stepper.half_step(&mut theirs, trains, &batch(step), draw, rates);
        let (arch, weights) = (half(Trains::Arch, 0).unwrap(), half(Trains::Weights, 1).unwrap());
        assert_eq!(losses.map(f64::from), [arch.loss, weights.loss]);
        let backbone = &search.backbone;
        assert_eq!(ours.weights.named(backbone), theirs.weights.named(backbone));
        assert_eq!(ours.statistics.named(backbone), theirs.statistics.named(backbone));
    }

    #[test]
    fn a_small_search_is_measured() {
        let bench = Bench {
            device: Device::flex(),
            engine: Engine::Plain,
            engine_name: EngineName::Plain,
            repeat: 2,
        };
        let work = step(
            &bench,
            Size {
                channels: 2,
                cells: 3,
                side: 8,
                batch: 4,
            },
        )
        .unwrap();
        assert_eq!((work.repetitions_ms.len(), work.phases.len()), (2, 7));
        assert!(work.multiply_adds > 0);
    }
}
