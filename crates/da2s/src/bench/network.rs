//! The final network: its retraining step, and inference.

use burn::tensor::Tensor;

use super::clock::{Laps, StepTimes, elapsed_ms};
use super::{Bench, SEED, Work, images, loader};
use crate::Error;
use crate::backbone::{Backbone, Pass, Statistics, Weights, correct_count, cross_entropy};
use crate::config::NetworkSettings;
use crate::data::{Dataset, Stream};
use crate::discretize::Genotype;
use crate::network::{NetworkSize, Skeleton, cost, network};
use crate::parallel::Group;
use crate::random::Purpose;
use crate::space::Reductions;
use crate::train::{Retraining, TrainState, images_on, labels_on};
use std::time::Instant;

/// The published cell of second-order DARTS, which networks of this family are compared on.
const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
    ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
    normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
    ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
    reduce_concat=range(2, 6))";

/// Sizes of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub channels: usize,
    pub cells: usize,
    /// Side of an image in pixels.
    pub side: usize,
}

/// The published network for CIFAR.
pub(super) const PUBLISHED: Size = Size {
    channels: 36,
    cells: 20,
    side: 32,
};

/// Multiply-adds of a training step in those of a forward pass: gradients of images and of weights.
const TRAINING_PASSES: u64 = 3;

/// Measures the retraining step on `batch` images, with the auxiliary head.
pub(super) fn retraining(bench: &Bench, size: Size, batch: usize) -> Result<Work, Error> {
    let dataset = images(size.side)?;
    let network = build(bench, size, &dataset, true)?;
    let settings = NetworkSettings {
        auxiliary: true,
        batch_size: batch,
        ..NetworkSettings::default()
    };
    let training = Retraining {
        network: &network,
        settings: &settings,
        seed: SEED,
        group: Group::alone(),
        loader: loader(&dataset, batch, Stream::Network)?,
        validation: None,
        device: &bench.device,
    };
    let mut state = training.start();
    let mut times = StepTimes::new(bench.repeat);
    match training.run(&mut state, &mut times, &mut |_, _| Ok(())) {
        Ok(()) | Err(Error::Stopped { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut laps = Laps::new(&bench.device);
    for step in 0..bench.repeat as u64 {
        step_apart(&training, &mut state, step, &mut laps)?;
    }
    Ok(Work {
        repetitions_ms: times.counted(),
        phases: laps.phases(),
        multiply_adds: cost(&network, size.side).multiply_adds,
        passes: TRAINING_PASSES,
    })
}

/// Measures inference of `batch` images; a repetition is the mean of `runs`.
pub(super) fn inference(bench: &Bench, size: Size, batch: usize, runs: u32) -> Result<Work, Error> {
    let dataset = images(size.side)?;
    let network = build(bench, size, &dataset, false)?;
    let weights = Weights::new(&network, SEED, Purpose::NetworkWeights, &bench.device);
    let statistics = Statistics::new(&network, &bench.device);
    let images = images_on(&loader(&dataset, batch, Stream::Network)?.batch(1, 0)?, &bench.device);
    let pass = Pass::new(&weights).with_statistics(&statistics);
    let infer = || network.forward(images.clone(), pass).logits.into_data();
    infer();
    let repetition = |_| {
        let start = Instant::now();
        for _ in 0..runs {
            infer();
        }
        elapsed_ms(start) / f64::from(runs)
    };
    Ok(Work {
        repetitions_ms: (0..bench.repeat).map(repetition).collect(),
        phases: Vec::new(),
        multiply_adds: cost(&network, size.side).multiply_adds,
        passes: 1,
    })
}

fn build(bench: &Bench, size: Size, dataset: &Dataset, auxiliary: bool) -> Result<Backbone, Error> {
    let genotype = Genotype::parse(DARTS_V2).map_err(|error| Error::Genotype { path: None, error })?;
    let size = NetworkSize {
        skeleton: Skeleton::Cifar,
        channels: size.channels,
        cells: size.cells,
        reductions: Reductions::THIRDS,
        image_channels: dataset.shape.channels,
        image_size: size.side,
        classes: dataset.classes(),
        auxiliary,
    };
    Ok(network(&genotype, size, &bench.engine)?)
}

/// The first epoch's step of [`Retraining`] taken apart: no drop-path yet.
fn step_apart(training: &Retraining<'_>, state: &mut TrainState, step: u64, laps: &mut Laps) -> Result<(), Error> {
    let settings = training.settings;
    laps.start();
    let batch = training.loader.batch(1, step)?;
    laps.lap("data");
    let device = training.device.clone().autodiff();
    let weights = state.weights.on_graph(true);
    let pass = Pass {
        auxiliary: training.network.auxiliary().is_some(),
        ..Pass::new(&weights)
    };
    let forward = training.network.forward(images_on(&batch, &device), pass);
    if let Some(statistics) = &forward.statistics {
        state.statistics.update(statistics);
    }
    correct_count(forward.logits.clone().without_autodiff(), &batch.labels);
    let labels = labels_on(&batch, &device);
    let mut loss: Tensor<1> = cross_entropy(forward.logits, labels.clone(), settings.label_smoothing);
    if let Some(logits) = forward.auxiliary {
        loss = loss + cross_entropy(logits, labels, settings.label_smoothing) * settings.auxiliary_weight;
    }
    loss.clone().into_scalar::<f32>();
    laps.lap("forward");
    let gradients = weights.gradients(loss.backward());
    laps.lap("backward");
    let moved = state
        .sgd
        .step(settings.learning_rate, &mut state.weights, gradients, training.network);
    moved.map_err(|found| found.at(crate::observer::Stage::Train, 1, step as usize + 1, 0))?;
    laps.lap("optimiser");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineName;
    use burn::tensor::Device;
    use da2s_engine::Engine;

    const SMALL: Size = Size {
        channels: 2,
        cells: 3,
        side: 32,
    };

    fn bench() -> Bench {
        Bench {
            device: Device::flex(),
            engine: Engine::fused(),
            engine_name: EngineName::Auto,
            repeat: 2,
        }
    }

    #[test]
    fn the_step_taken_apart_is_the_step_of_the_training() {
        let bench = bench();
        let dataset = images(SMALL.side).unwrap();
        let network = build(&bench, SMALL, &dataset, true).unwrap();
        let settings = NetworkSettings {
            auxiliary: true,
            batch_size: 4,
            ..NetworkSettings::default()
        };
        let training = Retraining {
            network: &network,
            settings: &settings,
            seed: SEED,
            group: Group::alone(),
            loader: loader(&dataset, 4, Stream::Network).unwrap(),
            validation: None,
            device: &bench.device,
        };
        let (mut ours, mut theirs) = (training.start(), training.start());
        step_apart(&training, &mut ours, 0, &mut Laps::new(&bench.device)).unwrap();
        let stopped = training.run(&mut theirs, &mut StepTimes::new(0), &mut |_, _| Ok(()));
        assert!(matches!(stopped, Err(Error::Stopped { epoch: 1 })), "{stopped:?}");
        assert_eq!(ours.weights.named(&network), theirs.weights.named(&network));
        assert_eq!(ours.statistics.named(&network), theirs.statistics.named(&network));
    }

    #[test]
    fn inference_is_measured() {
        let work = inference(&bench(), SMALL, 1, 2).unwrap();
        assert_eq!((work.repetitions_ms.len(), work.passes), (2, 1));
    }
}
