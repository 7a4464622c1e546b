//! The fused engine against the plain one: outputs, batch statistics and every gradient, on plans with all blocks, odd
//! sizes, drop-path, inactive choices, running statistics, and gradients asked for one at a time.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{Block, Call, Cell, CellPlan, CellPlanBuilder, Engine, NormStatistics, PoolKind};
use proptest::prelude::*;

/// A generator of numbers in −1 … 1 that needs no state between uses.
fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mix = |index: u64| {
        let mut z = (seed ^ (index << 20))
            .wrapping_add(0x9E37_79B9_7F4A_7C15)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^= z >> 29;
        z = z.wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    };
    (0..length as u64).map(mix).collect()
}

fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(noise(seed, shape.iter().product()), shape),
        &Device::flex(),
    )
}

fn all_blocks(stride: usize, channels: usize) -> Vec<Block> {
    let pool = |kind| Block::Pool {
        kind,
        kernel: 3,
        stride,
        padding: 1,
        norm: true,
    };
    let separable = |kernel, dilation, stages| Block::Separable {
        kernel,
        stride,
        dilation,
        stages,
    };
    let groups = if channels.is_multiple_of(2) { 2 } else { 1 };
    let keeps_size = [
        Block::Norm,
        Block::Take { first: 0 },
        Block::Shuffle { groups, first: 0 },
    ];
    let mut blocks = vec![
        Block::Zero { stride },
        pool(PoolKind::Max),
        pool(PoolKind::Average),
        if stride == 1 {
            Block::Identity
        } else {
            Block::FactorizedReduce
        },
        separable(3, 1, 2),
        separable(5, 1, 2),
        separable(3, 2, 1),
        separable(5, 2, 1),
        Block::Conv {
            relu: true,
            kernel: 3,
            stride,
            padding: 1,
            bias: true,
            norm: true,
        },
    ];
    if stride == 1 {
        blocks.extend(keeps_size);
    }
    blocks
}

/// Two preprocessed inputs, two nodes, every block on every edge; some channels of the last go on and are shuffled.
fn plan(inputs: [usize; 2], channels: usize, stride: usize, affine: bool) -> CellPlan {
    let pointwise = Block::Conv {
        relu: true,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    let mut builder = CellPlanBuilder::new(affine)
        .preprocessed_input(inputs[0], channels, pointwise, "preprocess0.op", 0)
        .preprocessed_input(inputs[1], channels, pointwise, "preprocess1.op", 0)
        .node(channels)
        .node(channels)
        .node(channels / 2)
        .node(channels);
    for (from, to) in [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)] {
        let stride = if from < 2 { stride } else { 1 };
        let choices = all_blocks(stride, channels)
            .into_iter()
            .enumerate()
            .map(|(index, block)| (block, format!("{from}.{to}.{index}"), 0));
        builder = builder.edge(from, to, choices);
    }
    let (first, groups) = (channels - channels / 2, if channels.is_multiple_of(2) { 2 } else { 1 });
    builder
        .edge(3, 4, [(Block::Take { first }, "take".to_owned(), 0)])
        .edge(4, 5, [(Block::Shuffle { groups, first }, "shuffle".to_owned(), 0)])
        .output([2, 3, 5])
}

#[derive(Clone, Debug)]
struct Case {
    channels: usize,
    sides: (usize, usize),
    batch: usize,
    stride: usize,
    affine: bool,
    drop: bool,
    inactive: bool,
    running: bool,
    /// Which gradients are asked for: first input, second input, weights, mixture.
    wants: [bool; 4],
    seed: u64,
}

struct Result {
    output: Vec<f32>,
    statistics: Option<[Vec<f32>; 2]>,
    live: Option<Vec<bool>>,
    gradients: Vec<Option<Vec<f32>>>,
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn run(case: &Case, engine: &Engine) -> Result {
    let plan = plan([3, case.channels], case.channels, case.stride, case.affine);
    let (count, weight_count, norm_channels) = (plan.choice_count(), plan.weight_count, plan.norm_channels);
    let cell = Cell::new(plan, engine);
    let (height, width) = case.sides;
    let leaf = |wanted: bool| move |tensor: Tensor<4>| tensor.autodiff().set_require_grad(wanted);
    let inputs = [
        leaf(case.wants[0])(tensor(case.seed, [case.batch, 3, height, width])),
        leaf(case.wants[1])(tensor(case.seed + 1, [case.batch, case.channels, height, width])),
    ];
    let weights = (tensor(case.seed + 2, [weight_count]) * 0.5)
        .autodiff()
        .set_require_grad(case.wants[2]);
    let mixture = (tensor(case.seed + 3, [count]) + 1.2)
        .autodiff()
        .set_require_grad(case.wants[3]);
    let active: Vec<bool> = (0..count).map(|index| !case.inactive || index % 3 != 1).collect();
    let statistics = |seed| tensor(seed, [norm_channels]);
    let call = Call {
        inputs: inputs.to_vec(),
        weights: weights.clone(),
        mixture: Some(mixture.clone()),
        active: case.inactive.then(|| Arc::from(active)),
        drop_path: case
            .drop
            .then(|| (tensor(case.seed + 4, [count, case.batch]) + 1.0).autodiff()),
        statistics: case.running.then(|| NormStatistics {
            mean: statistics(5).autodiff(),
            variance: (statistics(6) + 1.5).autodiff(),
            live: None,
        }),
    };
    let result = cell.forward(call);
    let output = values(result.output.clone());
    let gradients = if case.wants.contains(&true) {
        let pull = tensor(case.seed + 7, result.output.dims()).autodiff();
        let mut gradients = (result.output * pull).sum().backward();
        let mut of_inputs: Vec<_> = inputs
            .iter()
            .map(|input| input.grad_remove(&mut gradients).map(values))
            .collect();
        of_inputs.push(weights.grad_remove(&mut gradients).map(values));
        of_inputs.push(mixture.grad_remove(&mut gradients).map(values));
        of_inputs
    } else {
        vec![None; 4]
    };
    let live = result
        .statistics
        .as_ref()
        .and_then(|seen| seen.live.as_ref().map(|live| live.to_vec()));
    let statistics = result.statistics.map(|seen| [values(seen.mean), values(seen.variance)]);
    Result {
        output,
        statistics,
        live,
        gradients,
    }
}

fn close(what: &str, ours: &[f32], plain: &[f32], tolerance: f64) {
    assert_eq!(ours.len(), plain.len(), "{what}");
    let norm = plain.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let error = ours
        .iter()
        .zip(plain)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(
        error <= tolerance * norm.max(1e-3),
        "{what}: off by {error:e} of {norm:e}"
    );
}

fn compare(case: &Case) {
    let (plain, fused) = (run(case, &Engine::Plain), run(case, &Engine::fused()));
    close("output", &fused.output, &plain.output, 1e-4);
    assert_eq!(fused.statistics.is_some(), plain.statistics.is_some(), "statistics");
    assert_eq!(fused.live, plain.live, "which norms ran");
    if let (Some(fused), Some(plain)) = (&fused.statistics, &plain.statistics) {
        close("means", &fused[0], &plain[0], 1e-4);
        close("variances", &fused[1], &plain[1], 1e-4);
    }
    for (index, (fused, plain)) in fused.gradients.iter().zip(&plain.gradients).enumerate() {
        assert_eq!(fused.is_some(), plain.is_some(), "gradient {index}");
        if let (Some(fused), Some(plain)) = (fused, plain) {
            close(&format!("gradient {index}"), fused, plain, 2e-3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_engines_agree(
        channels in prop_oneof![Just(2usize), Just(3), Just(8), Just(16), Just(17), Just(36)],
        height in 3usize..10,
        width in 3usize..10,
        batch in 1usize..5,
        stride in 1usize..=2,
        flags in any::<[bool; 4]>(),
        wants in any::<[bool; 4]>(),
        seed in 0u64..1_000_000,
    ) {
        // With a sample or two of few pixels batch norm divides by almost nothing, and both engines are right to differ.
        prop_assume!(batch * height.div_ceil(stride) * width.div_ceil(stride) >= 16);
        let [affine, drop, inactive, running] = flags;
        compare(&Case { channels, sides: (height, width), batch, stride, affine, drop, inactive, running, wants, seed });
    }
}

#[test]
fn two_forwards_may_wait_for_their_backwards() {
    let plan = plan([3, 4], 4, 1, false);
    let (count, weight_count) = (plan.choice_count(), plan.weight_count);
    let cell = Cell::new(plan, &Engine::fused());
    let weights = tensor(1, [weight_count]).autodiff().require_grad();
    let call = |seed| Call {
        inputs: vec![
            tensor(seed, [2, 3, 6, 6]).autodiff(),
            tensor(seed + 1, [2, 4, 6, 6]).autodiff(),
        ],
        weights: weights.clone(),
        mixture: Some(Tensor::ones([count], &Device::flex()).autodiff()),
        active: None,
        drop_path: None,
        statistics: None,
    };
    let alone = |seed| {
        let output = cell.forward(call(seed)).output;
        values(weights.grad_remove(&mut output.sum().backward()).unwrap())
    };
    let (first, second) = (alone(10), alone(20));
    let (a, b) = (cell.forward(call(10)).output.sum(), cell.forward(call(20)).output.sum());
    assert_eq!(values(weights.grad_remove(&mut b.backward()).unwrap()), second);
    assert_eq!(values(weights.grad_remove(&mut a.backward()).unwrap()), first);
}

/// Gradients of three cells that read the output of a first one, and of an operation of Burn's that reads it too, before or after.
#[test]
fn gradients_of_a_tensor_that_many_read_are_their_sum() {
    let pointwise = Block::Conv {
        relu: true,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    let plan = CellPlanBuilder::new(true)
        .preprocessed_input(4, 4, pointwise, "preprocess", 0)
        .node(4)
        .edge(0, 1, [(Block::Identity, "identity".to_owned(), 0)])
        .output([1]);
    let gradients = |engine: &Engine, burn_reads_first: bool| {
        let cells: Vec<Cell> = (0..4).map(|_| Cell::new(plan.clone(), engine)).collect();
        let input = tensor::<4>(1, [3, 4, 6, 5]).autodiff().require_grad();
        let weights = tensor::<1>(2, [plan.weight_count]).autodiff().require_grad();
        let forward = |cell: &Cell, input: Tensor<4>| {
            let call = Call {
                inputs: vec![input],
                weights: weights.clone(),
                mixture: None,
                active: None,
                drop_path: None,
                statistics: None,
            };
            cell.forward(call).output
        };
        let shared = forward(&cells[0], input.clone());
        let scale = tensor::<4>(3, [3, 4, 6, 5]).autodiff();
        let by_burn = |shared: &Tensor<4>| (shared.clone() * scale.clone()).sum();
        let mut loss = Tensor::<1>::zeros([1], &Device::flex()).autodiff();
        if burn_reads_first {
            loss = loss + by_burn(&shared);
        }
        for (at, cell) in cells[1..].iter().enumerate() {
            let weight = tensor::<4>(4 + at as u64, [3, 4, 6, 5]).autodiff();
            loss = loss + (forward(cell, shared.clone()) * weight).sum();
        }
        if !burn_reads_first {
            loss = loss + by_burn(&shared);
        }
        let gradients = loss.backward();
        (
            values(input.grad(&gradients).unwrap()),
            values(weights.grad(&gradients).unwrap()),
        )
    };
    for burn_reads_first in [false, true] {
        let (fused, plain) = (
            gradients(&Engine::fused(), burn_reads_first),
            gradients(&Engine::Plain, burn_reads_first),
        );
        close("gradient of the input", &fused.0, &plain.0, 1e-4);
        close("gradient of the weights", &fused.1, &plain.1, 1e-4);
    }
}
