//! The search step: one half-step for the architecture, one for the weights.

use da2s::Error;
use da2s::data::DataSettings;
use da2s::memory::Needs;
use da2s::network::cost;
use da2s::search::{Search, SearchSettings, SearchSetup};
use da2s::space::{All, EdgeCount, SpaceName, SpaceSettings, TargetSpec};

use super::clock::time_steps;
use super::{Bench, SEED, Work, images};

/// The sizes of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub space: SpaceName,
    pub channels: usize,
    /// 1 in the space `mobile`, whose chain of layers is one cell.
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
    let (times, laps) = time_steps(search, &bench.device, bench.repeat, Search::with_probe)?;
    Ok(Work {
        times,
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
        space: SpaceSettings {
            name: size.space,
            ..SpaceSettings::default()
        },
        target: if size.space.is_chain() {
            // A chain has no edges to choose from.
            TargetSpec {
                edges: EdgeCount::All(All::All),
                ..TargetSpec::default()
            }
        } else {
            TargetSpec::default()
        },
        search: SearchSettings {
            batch_size: size.batch,
            channels: size.channels,
            cells: size.cells,
            // The evaluation at the end of an epoch is not measured, so it is kept short.
            monitor_images: size.batch,
            // The half-step for the architecture is part of every step.
            warmup_epochs: 0,
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

    const PHASES: [&str; 8] = [
        "weight data",
        "arch data",
        "arch forward",
        "arch backward",
        "arch optimiser",
        "weight forward",
        "weight backward",
        "weight optimiser",
    ];

    #[test]
    fn small_searches_are_measured() {
        let bench = Bench {
            device: Device::flex(),
            engine: Engine::fused(),
            repeat: 2,
        };
        for (space, cells) in [(SpaceName::Darts, 3), (SpaceName::Mobile, 1)] {
            let size = Size {
                space,
                channels: 2,
                cells,
                side: 8,
                batch: 4,
            };
            let work = step(&bench, size).unwrap();
            let phases: Vec<&str> = work.phases.iter().map(|phase| phase.name.as_str()).collect();
            assert_eq!(phases, PHASES);
            assert_eq!(work.times.wall_ms.len(), 2);
            assert_eq!(work.times.processor_ms.len(), if cfg!(unix) { 2 } else { 0 });
            assert!(work.multiply_adds > 0);
        }
    }
}
