//! The search step: one half-step for the architecture, one for the weights.

use da2s::Error;
use da2s::data::DataSettings;
use da2s::memory::Needs;
use da2s::network::cost;
use da2s::search::{Search, SearchSettings, SearchSetup};

use super::clock::time_steps;
use super::{Bench, SEED, Work, images};

/// The sizes of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub channels: usize,
    pub cells: usize,
    /// Side of an image in pixels.
    pub side: usize,
    /// Images per half-step.
    pub batch: usize,
}

/// Arithmetic of a step, in units of a forward pass. Each half-step computes a forward pass
/// and the gradients of the inputs of every cell; the half-step for the weights also computes the
/// gradients of the weights.
const PASSES: u64 = 2 + 3;

/// Measures a search step of `size`.
pub(super) fn step(bench: &Bench, size: Size) -> Result<Work, Error> {
    let dataset = images(size.side)?;
    let search = Search::new(&setup(size), &dataset, &bench.device, &bench.engine)?;
    let multiply_adds = cost(&search.backbone, size.side).multiply_adds;
    let threads = rayon::current_num_threads();
    let needs = Needs::of_search(&search.backbone, size.batch, size.side, threads, false).beside(&dataset);
    let (repetitions_ms, laps) = time_steps(search, &bench.device, bench.repeat, Search::with_probe)?;
    Ok(Work {
        repetitions_ms,
        phases: laps.phases(),
        multiply_adds,
        passes: PASSES,
        needs: Some(needs),
    })
}

fn setup(size: Size) -> SearchSetup {
    SearchSetup {
        data: DataSettings {
            image_size: Some(size.side),
            ..DataSettings::default()
        },
        search: SearchSettings {
            batch_size: size.batch,
            channels: size.channels,
            cells: size.cells,
            // The evaluation at the end of an epoch is not measured, so it is kept short.
            monitor_images: size.batch,
            ..SearchSettings::default()
        },
        seed: SEED,
        ..SearchSetup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use da2s_engine::Engine;

    #[test]
    fn a_small_search_is_measured() {
        let bench = Bench {
            device: Device::flex(),
            engine: Engine::Plain,
            repeat: 2,
        };
        let size = Size {
            channels: 2,
            cells: 3,
            side: 8,
            batch: 4,
        };
        let work = step(&bench, size).unwrap();
        let phases: Vec<&str> = work.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(work.repetitions_ms.len(), 2);
        assert_eq!(
            phases,
            [
                "weight data",
                "arch data",
                "arch forward",
                "arch backward",
                "arch optimiser",
                "weight forward",
                "weight backward",
                "weight optimiser"
            ]
        );
        assert!(work.multiply_adds > 0);
    }
}
