//! Cells of the NAS-Bench-201 super-network: dense convolutions, where little is to be fused.
//!
//! Reference: Dong, Yang, "NAS-Bench-201", ICLR 2020, section 2.1: 4 nodes, 6 edges, five candidates; here as in a search:
//! batch norms without scale and shift, forward and backward with the gradients of images, weights and mixture.

use burn::tensor::{Device, Distribution, Tensor};
use da2s_engine::{Call, Cell, CellPlan};

use super::clock::Laps;
use super::{Bench, Work};
use crate::space::Space;
use crate::supernet::cell::bench_plan;

/// Channels and side of an image in each of the three stages of the network.
const STAGES: [(usize, usize); 3] = [(16, 32), (32, 16), (64, 8)];
/// Multiply-adds in those of a forward pass: gradients of images and of weights.
const PASSES: u64 = 3;

/// A cell and what it is applied to.
struct Stage {
    cell: Cell,
    images: Tensor<4>,
    weights: Tensor<1>,
    mixture: Tensor<1>,
}

/// Measures one cell of each stage, one after the other.
pub(super) fn nas_bench_201(bench: &Bench, batch: usize) -> Work {
    let stages = STAGES.map(|(channels, side)| {
        let random = |scale: f64| Distribution::Uniform(-scale, scale);
        let cell = Cell::new(plan(channels), &bench.engine);
        let device: &Device = &bench.device;
        let (weights, choices) = (cell.plan().weight_count, cell.plan().choice_count());
        Stage {
            images: Tensor::random([batch, channels, side, side], random(1.0), device),
            weights: Tensor::random([weights], random(0.1), device),
            mixture: Tensor::full([choices], 0.2, device),
            cell,
        }
    });
    let mut laps = Laps::new(&bench.device);
    let mut repetitions_ms = Vec::with_capacity(bench.repeat);
    run(&stages, &mut Laps::new(&bench.device));
    for _ in 0..bench.repeat {
        repetitions_ms.push(run(&stages, &mut laps));
    }
    let multiply_adds = |(channels, side)| plan(channels).multiply_adds(&[(side, side)]);
    Work {
        repetitions_ms,
        phases: laps.phases(),
        multiply_adds: STAGES.into_iter().map(multiply_adds).sum(),
        passes: PASSES,
    }
}

/// Forward and backward passes of all stages; the milliseconds that they took.
fn run(stages: &[Stage], laps: &mut Laps) -> f64 {
    let begin = std::time::Instant::now();
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
    super::clock::elapsed_ms(begin)
}

/// A cell with every candidate on every edge.
fn plan(channels: usize) -> CellPlan {
    bench_plan(&Space::nas_bench_201(), channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_multiply_adds_of_its_convolutions() {
        assert_eq!(plan(16).choice_count(), 30);
        assert_eq!(plan(16).multiply_adds(&[(32, 32)]), 6 * 1024 * 16 * 16 * (9 + 1));
    }
}
