//! Cells of the NAS-Bench-201 super-network: dense convolutions, which leave little to fuse.
//!
//! Reference: Dong, Yang, "NAS-Bench-201", ICLR 2020, section 2.1: 4 nodes, 6 edges, five
//! candidates. As in a search, batch norms have no scale and shift, and the passes run forward and
//! backward with gradients of images, weights and mixture.

use burn::tensor::{Distribution, Tensor};
use da2s::backbone::{NetworkSize, Stem};
use da2s::memory::Needs;
use da2s::space::{ChainShape, Reductions, Space};
use da2s::supernet::supernet;
use da2s_engine::{Call, Cell, Engine};

use super::clock::{Laps, Start, Times};
use super::{Bench, Work};

/// Channels of the first of the three stages; each subsequent stage has twice as many.
const CHANNELS: usize = 16;
/// Side of an image in each stage.
const SIDES: [usize; 3] = [32, 16, 8];
/// Arithmetic of all passes, in units of a forward pass: one forward, plus gradients of images and
/// weights.
const PASSES: u64 = 3;

/// A cell and its inputs.
struct SizedCell {
    cell: Cell,
    images: Tensor<4>,
    weights: Tensor<1>,
    mixture: Tensor<1>,
}

/// Measures one cell of each stage, one stage after another.
pub(super) fn nas_bench_201(bench: &Bench, batch: usize) -> Work {
    let random = |scale: f64| Distribution::Uniform(-scale, scale);
    let cells = cells(&bench.engine);
    let multiply_adds = cells.iter().zip(SIDES);
    let multiply_adds = multiply_adds.map(|(cell, side)| cell.plan().multiply_adds(&[(side, side)]));
    let multiply_adds = multiply_adds.sum();
    let sized = cells.iter().zip(SIDES).map(|(cell, side)| (cell.plan(), (side, side)));
    let needs = Needs::of_cells(sized, batch, rayon::current_num_threads());
    let stages = cells.into_iter().zip(SIDES).map(|(cell, side)| {
        let (device, plan) = (&bench.device, cell.plan());
        SizedCell {
            images: Tensor::random([batch, plan.input_channels[0], side, side], random(1.0), device),
            weights: Tensor::random([plan.weight_count], random(0.1), device),
            mixture: Tensor::full([plan.choice_count()], 0.2, device),
            cell,
        }
    });
    let stages: Vec<SizedCell> = stages.collect();
    let laps = Laps::new(&bench.device);
    run(&stages, &Laps::new(&bench.device));
    let mut times = Times::default();
    for _ in 0..bench.repeat {
        let start = Start::now();
        run(&stages, &laps);
        times.add(start, 1);
    }
    Work {
        times,
        phases: laps.phases(),
        multiply_adds,
        passes: PASSES,
        needs: Some(needs),
    }
}

/// Forward and backward passes of all stages.
fn run(stages: &[SizedCell], laps: &Laps) {
    laps.start();
    let mut losses = Vec::with_capacity(stages.len());
    for stage in stages {
        let leaf = |tensor: &Tensor<1>| tensor.clone().autodiff().require_grad();
        let output = stage.cell.forward(Call {
            inputs: vec![stage.images.clone().autodiff().require_grad()],
            weights: leaf(&stage.weights),
            mixture: Some(leaf(&stage.mixture)),
            active: None,
            drop_path: None,
            statistics: None,
        });
        losses.push(output.output.mean());
    }
    laps.lap("forward");
    for loss in losses {
        drop(loss.backward());
    }
    laps.lap("backward");
}

/// The cells of a super-network with one cell in each stage.
fn cells(engine: &Engine) -> Vec<Cell> {
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: CHANNELS,
        cells: 1,
        reductions: Reductions::THIRDS,
        image_channels: 3,
        image_size: SIDES[0],
        classes: 10,
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let network = supernet(&Space::nas_bench_201(), size, 1, engine);
    let searched = network.stages().iter().filter(|stage| stage.kind.is_some());
    searched.map(|stage| stage.cell.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cells_have_the_multiply_adds_of_their_convolutions() {
        let cells = cells(&Engine::Plain);
        assert_eq!(cells.len(), 3);
        for (cell, (channels, side)) in cells.iter().zip([(16, 32), (32, 16), (64, 8)]) {
            assert_eq!(cell.plan().choice_count(), 30);
            let expected = 6 * side * side * channels * channels * (9 + 1);
            assert_eq!(cell.plan().multiply_adds(&[(side, side)]), expected as u64);
        }
    }
}
