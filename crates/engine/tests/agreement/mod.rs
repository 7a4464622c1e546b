//! Cells with every block on two engines: outputs, batch statistics and all gradients must agree.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "every test takes a part of this")]

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{ActivationFunction, Block, Call, Cell, CellPlan, CellPlanBuilder, Engine, NormStatistics, PoolKind};

/// A stateless generator of numbers in −1 … 1.
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

pub fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    tensor_on(&Device::flex(), seed, shape)
}

fn tensor_on<const D: usize>(device: &Device, seed: u64, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(noise(seed, shape.iter().product()), shape), device)
}

fn all_blocks(stride: usize, channels: usize, moves: bool) -> Vec<Block> {
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
    let conv = |kernel: usize| Block::Conv {
        relu: true,
        kernel,
        stride,
        padding: kernel / 2,
        bias: true,
        norm: true,
    };
    let groups = if channels.is_multiple_of(2) { 2 } else { 1 };
    let keeps_size = [
        Block::Norm,
        Block::Relu,
        Block::Relu6,
        Block::HardSwish,
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
        conv(3),
        separable(1, 1, 2),
        separable(7, 1, 2),
        separable(7, 2, 1),
        conv(1),
        conv(7),
    ];
    if stride == 1 && moves {
        blocks.extend(keeps_size);
    }
    blocks
}

/// The values of [`Case::only`] that select an inverted bottleneck or a basic block. These blocks
/// are never tested together with others on an edge.
pub const BOTTLENECKS: Range<usize> = 100..113;

fn bottlenecks(stride: usize) -> Vec<Block> {
    let squeezed = |(relu, kernel, expansion), squeeze| Block::InvertedBottleneck {
        relu,
        kernel,
        stride,
        expansion,
        activation: ActivationFunction::Relu,
        squeeze,
    };
    let bottleneck = |shape| squeezed(shape, false);
    let others = [ActivationFunction::Relu6, ActivationFunction::HardSwish];
    let others = others
        .map(|activation| [(false, 5, 3), (true, 3, 1)].map(|shape| bottleneck(shape).with_activation(activation)));
    let basic = |kernel| Block::Basic { kernel, stride };
    [(false, 3, 1), (false, 5, 3), (true, 7, 2), (true, 3, 1)]
        .into_iter()
        .map(bottleneck)
        .chain([3, 5].map(basic))
        .chain(others.concat())
        .chain([(false, 3, 1), (true, 5, 3), (false, 7, 6)].map(|shape| squeezed(shape, true)))
        .collect()
}

/// Two preprocessed inputs, two nodes, every block on every edge. If `moves`, the blocks that only
/// move or normalise channels are included, and some channels of the last node are passed on and
/// shuffled.
pub fn plan(
    inputs: [usize; 2],
    channels: usize,
    stride: usize,
    affine: bool,
    moves: bool,
    only: Option<usize>,
) -> CellPlan {
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
        .node(channels);
    if moves {
        builder = builder.node(channels / 2).node(channels);
    }
    for (from, to) in [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)] {
        let stride = if from < 2 { stride } else { 1 };
        let choices = (0..)
            .zip(all_blocks(stride, channels, moves))
            .chain(BOTTLENECKS.zip(bottlenecks(stride)).filter(|_| only.is_some()))
            .filter(|(index, _)| only.is_none_or(|only| only == *index))
            .map(|(index, block)| (block, format!("{from}.{to}.{index}"), 0));
        builder = builder.edge(from, to, choices);
    }
    if !moves {
        return builder.output([2, 3]);
    }
    let (first, groups) = (channels - channels / 2, if channels.is_multiple_of(2) { 2 } else { 1 });
    builder
        .edge(3, 4, [(Block::Take { first }, "take".to_owned(), 0)])
        .edge(4, 5, [(Block::Shuffle { groups, first }, "shuffle".to_owned(), 0)])
        .output([2, 3, 5])
}

#[derive(Clone, Debug)]
pub struct Case {
    pub channels: usize,
    pub sides: (usize, usize),
    pub batch: usize,
    pub stride: usize,
    pub affine: bool,
    pub drop: bool,
    pub inactive: bool,
    pub running: bool,
    /// Which gradients are requested: first input, second input, weights, mixture.
    pub wants: [bool; 4],
    pub seed: u64,
    /// Whether blocks that only move or normalise channels are included.
    pub moves: bool,
    /// The only block on every edge; `None` for all of them.
    pub only: Option<usize>,
}

pub struct Result {
    output: Vec<f32>,
    statistics: Option<[Vec<f32>; 2]>,
    live: Option<Vec<bool>>,
    gradients: Vec<Option<Vec<f32>>>,
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn run(case: &Case, engine: &Engine, device: &Device) -> Result {
    let plan = plan(
        [3, case.channels],
        case.channels,
        case.stride,
        case.affine,
        case.moves,
        case.only,
    );
    let (count, weight_count, norm_channels) = (plan.choice_count(), plan.weight_count, plan.norm_channels);
    let cell = Cell::new(plan, engine);
    let (height, width) = case.sides;
    let leaf = |wanted: bool| move |tensor: Tensor<4>| tensor.autodiff().set_require_grad(wanted);
    let inputs = [
        leaf(case.wants[0])(tensor_on(device, case.seed, [case.batch, 3, height, width])),
        leaf(case.wants[1])(tensor_on(
            device,
            case.seed + 1,
            [case.batch, case.channels, height, width],
        )),
    ];
    let weights = (tensor_on(device, case.seed + 2, [weight_count]) * 0.5)
        .autodiff()
        .set_require_grad(case.wants[2]);
    let mixture = (tensor_on(device, case.seed + 3, [count]) + 1.2)
        .autodiff()
        .set_require_grad(case.wants[3]);
    let active: Vec<bool> = (0..count).map(|index| !case.inactive || index % 3 != 1).collect();
    let statistics = |seed| tensor_on(device, seed, [norm_channels]);
    let call = Call {
        inputs: inputs.to_vec(),
        weights: weights.clone(),
        mixture: Some(mixture.clone()),
        active: case.inactive.then(|| Arc::from(active)),
        drop_path: case
            .drop
            .then(|| (tensor_on(device, case.seed + 4, [count, case.batch]) + 1.0).autodiff()),
        statistics: case.running.then(|| NormStatistics {
            mean: statistics(5).autodiff(),
            variance: (statistics(6) + 1.5).autodiff(),
            live: None,
        }),
    };
    let result = cell.forward(call);
    let output = values(result.output.clone());
    let gradients = if case.wants.contains(&true) {
        let pull = tensor_on(device, case.seed + 7, result.output.dims()).autodiff();
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

pub fn close(what: &str, ours: &[f32], plain: &[f32], tolerance: f64) {
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
        "{what}: off by {error:e} of {norm:e} {:?} {:?}",
        &ours[..ours.len().min(6)],
        &plain[..plain.len().min(6)]
    );
}

/// Compares `engine` on `device` with the plain engine on the CPU.
pub fn compare(case: &Case, engine: &Engine, device: &Device) {
    let plain = run(case, &Engine::Plain, &Device::flex());
    let fused = run(case, engine, device);
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
