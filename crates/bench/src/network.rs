//! The final network: its retraining step, and inference.

use da2s::Error;
use da2s::backbone::{Backbone, NetworkSize, Pass, Statistics, Stem, Weights};
use da2s::data::{Dataset, Stream};
use da2s::evaluate::DeviceBatch;
use da2s::memory::Needs;
use da2s::network::{cost, network};
use da2s::parallel::Group;
use da2s::probe::Probe;
use da2s::random::Purpose;
use da2s::retrain::{Retraining, TrainSettings};
use da2s::space::{ChainShape, Genotype, PublishedGenotype, Reductions};

use super::clock::{Start, Times, time_steps};
use super::{Bench, SEED, Work, images, loader};

/// The sizes of a network.
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

/// Arithmetic of a training step, in units of a forward pass: one forward, plus gradients of images
/// and weights.
const TRAINING_PASSES: u64 = 3;

/// Measures the retraining step on `batch` images, with the auxiliary head.
pub(super) fn retraining(bench: &Bench, size: Size, batch: usize) -> Result<Work, Error> {
    let dataset = images(size.side)?;
    let network = build(bench, size, &dataset, true)?;
    let settings = TrainSettings {
        batch_size: batch,
        ..TrainSettings::default()
    };
    let training = Retraining {
        network: &network,
        settings: &settings,
        class_weights: None,
        seed: SEED,
        initial: None,
        group: Group::alone(),
        loader: loader(&dataset, batch, Stream::Network)?,
        validation: None,
        device: &bench.device,
        probe: Probe::default(),
    };
    let (times, laps) = time_steps(training, &bench.device, bench.repeat, |training, probe| Retraining {
        probe,
        ..training
    })?;
    Ok(Work {
        times,
        phases: laps.phases(),
        multiply_adds: cost(&network, size.side).multiply_adds,
        passes: TRAINING_PASSES,
        needs: Some(Needs::of_training(&network, batch, size.side, rayon::current_num_threads()).beside(&dataset)),
    })
}

/// Measures inference of `batch` images; a repetition is the mean of `runs` runs.
pub(super) fn inference(bench: &Bench, size: Size, batch: usize, runs: u32) -> Result<Work, Error> {
    let dataset = images(size.side)?;
    let network = build(bench, size, &dataset, false)?;
    let weights = Weights::new(&network, SEED, Purpose::NetworkWeights, &bench.device);
    let statistics = Statistics::new(&network, &bench.device);
    let first = loader(&dataset, batch, Stream::Network)?.batch(1, 0)?;
    let images = DeviceBatch::new(first, &bench.device).images;
    let pass = Pass::new(&weights).with_statistics(&statistics);
    let infer = || network.forward(images.clone(), pass).logits.into_data();
    infer();
    let mut times = Times::default();
    for _ in 0..bench.repeat {
        let start = Start::now();
        for _ in 0..runs {
            infer();
        }
        times.add(start, runs);
    }
    Ok(Work {
        times,
        phases: Vec::new(),
        multiply_adds: cost(&network, size.side).multiply_adds,
        passes: 1,
        needs: Some(Needs::of_inference(&network, batch, size.side, rayon::current_num_threads()).beside(&dataset)),
    })
}

fn build(bench: &Bench, size: Size, dataset: &Dataset, auxiliary: bool) -> Result<Backbone, Error> {
    let genotype =
        Genotype::parse(PublishedGenotype::DartsV2.text()).map_err(|error| Error::Genotype { path: None, error })?;
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: size.channels,
        cells: size.cells,
        reductions: Reductions::THIRDS,
        image_channels: dataset.shape.channels,
        image_size: size.side,
        classes: dataset.classes(),
        auxiliary,
        chain: ChainShape::default(),
    };
    Ok(network(&genotype, size, &bench.engine)?)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            repeat: 2,
        }
    }

    #[test]
    fn a_training_step_is_measured() {
        let work = retraining(&bench(), SMALL, 4).unwrap();
        let phases: Vec<&str> = work.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(phases, ["data", "forward", "backward", "optimiser"]);
        assert_eq!((work.times.wall_ms.len(), work.passes), (2, 3));
    }

    #[test]
    fn inference_is_measured() {
        let work = inference(&bench(), SMALL, 1, 2).unwrap();
        assert_eq!((work.times.wall_ms.len(), work.passes), (2, 1));
    }
}
