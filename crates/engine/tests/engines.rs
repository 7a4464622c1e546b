//! The fused engine against the plain one: outputs, batch statistics and all gradients, on plans
//! with all blocks, odd sizes, drop-path, inactive choices and running statistics, with gradients
//! requested one at a time.

#![allow(clippy::unwrap_used)]

mod agreement;

use agreement::{BOTTLENECKS, Case, close, compare, plan, tensor, values};
use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{ActivationFunction, Block, Call, Cell, CellPlanBuilder, Engine, Weight};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_engines_agree(
        channels in prop_oneof![Just(2usize), Just(3), Just(8), Just(16), Just(17), Just(36)],
        height in 1usize..10,
        width in 1usize..10,
        batch in 1usize..5,
        stride in 1usize..=2,
        flags in any::<[bool; 4]>(),
        wants in any::<[bool; 4]>(),
        seed in 0u64..1_000_000,
    ) {
        // With one or two samples of few pixels, batch norm divides by almost zero, and the engines
        // may legitimately differ.
        prop_assume!(batch * height.div_ceil(stride) * width.div_ceil(stride) >= 16);
        let [affine, drop, inactive, running] = flags;
        let case = Case {
            channels, sides: (height, width), batch, stride, affine, drop, inactive, running, wants, seed, moves: true, only: None,
        };
        compare(&case, &Engine::fused(), &Device::flex());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each edge has only one block. If many bottlenecks, each with three convolutions, were summed
    /// on few pixels, rounding would decide on which side of a ReLU a value is.
    #[test]
    fn the_engines_agree_on_inverted_bottlenecks(
        channels in prop_oneof![Just(2usize), Just(3), Just(8), Just(17)],
        height in 4usize..10,
        width in 4usize..10,
        stride in 1usize..=2,
        only in BOTTLENECKS,
        flags in any::<[bool; 4]>(),
        wants in any::<[bool; 4]>(),
        seed in 0u64..1_000_000,
    ) {
        let [affine, drop, inactive, running] = flags;
        let case = Case {
            channels, sides: (height, width), batch: 4, stride, affine, drop, inactive, running, wants, seed,
            moves: false, only: Some(only),
        };
        compare(&case, &Engine::fused(), &Device::flex());
    }
}

/// A reduction of a single row or column has no second one to shift to; few of the cases above
/// cover this.
#[test]
fn the_engines_agree_on_sides_of_one_and_two() {
    for sides in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (4, 1)] {
        let case = Case {
            channels: 6,
            sides,
            batch: 24,
            stride: 2,
            affine: true,
            drop: false,
            inactive: false,
            running: false,
            wants: [true; 4],
            seed: 1,
            moves: true,
            only: None,
        };
        compare(&case, &Engine::fused(), &Device::flex());
    }
}

/// A channel that is dead before a batch norm without an affine map is exactly 0 after it.
#[test]
fn gradients_at_kinks_agree() {
    let pointwise = Block::Conv {
        relu: false,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: false,
    };
    for (block, slopes) in [
        (Block::Relu, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        (Block::Relu6, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (Block::HardSwish, [0.0, 0.0, 0.5, 1.5, 1.0, 1.0]),
    ] {
        for engine in [Engine::Plain, Engine::fused()] {
            let plan = CellPlanBuilder::new(true)
                .input(2)
                .node(2)
                .node(2)
                .edge(0, 1, [(block, "function".to_owned(), 0)])
                .edge(0, 2, [(pointwise, "other".to_owned(), 0)])
                .output([1, 2]);
            let cell = Cell::new(plan, &engine);
            let values_at = [-4.0f32, -3.0, 0.0, 3.0, 6.0, 7.0];
            let input = TensorData::new(values_at.to_vec(), [1, 2, 1, 3]);
            let input = Tensor::<4>::from_data(input, &Device::flex()).autodiff().require_grad();
            let output = cell.forward(Call {
                inputs: vec![input.clone()],
                weights: tensor(1, [4]).autodiff(),
                mixture: None,
                active: None,
                drop_path: None,
                statistics: None,
            });
            let mut gradients = output.output.narrow(1, 0, 2).sum().backward();
            let found = values(input.grad_remove(&mut gradients).unwrap());
            close(&format!("{block:?}, {engine:?}"), &found, &slopes, 1e-6);
        }
    }
}

/// Gates of squeeze-and-excitation whose u is the bias alone, at the bounds of the hard-sigmoid.
#[test]
fn gates_at_their_bounds_have_no_gradient() {
    let block = Block::InvertedBottleneck {
        relu: false,
        kernel: 3,
        stride: 1,
        expansion: 1,
        activation: ActivationFunction::Relu,
        squeeze: true,
    };
    let plan = CellPlanBuilder::new(true)
        .input(4)
        .node(4)
        .edge(0, 1, [(block, "gated".to_owned(), 0)])
        .output([1]);
    let [first, second] = plan.edges[0].choices[0].layout().squeeze.unwrap();
    let range = |weight: &Weight| weight.offset..weight.offset + weight.shape.iter().product::<usize>();
    let bias = range(&second.bias.unwrap());
    let mut numbers = values(tensor(1, [plan.weight_count]));
    numbers[range(&first.kernel)].fill(0.0);
    numbers[range(&first.bias.unwrap())].fill(0.0);
    numbers[bias.clone()].copy_from_slice(&[3.0, -3.0, 3.0, -3.0]);
    for engine in [Engine::Plain, Engine::fused()] {
        let cell = Cell::new(plan.clone(), &engine);
        let data = TensorData::new(numbers.clone(), [numbers.len()]);
        let weights = Tensor::<1>::from_data(data, &Device::flex()).autodiff().require_grad();
        let output = cell.forward(Call {
            inputs: vec![tensor(2, [3, 4, 5, 5]).autodiff()],
            weights: weights.clone(),
            mixture: None,
            active: None,
            drop_path: None,
            statistics: None,
        });
        let loss = (output.output * tensor(3, [3, 4, 5, 5]).autodiff()).sum();
        let gradient = values(weights.grad_remove(&mut loss.backward()).unwrap());
        assert_eq!(gradient[bias.clone()], [0.0; 4], "{engine:?}");
        assert!(gradient.iter().any(|slope| *slope != 0.0), "{engine:?}");
    }
}

#[test]
fn two_forward_passes_may_precede_their_backward_passes() {
    let plan = plan([3, 4], 4, 1, false, true, None);
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

/// Three cells and an operation of Burn's read the output of another cell, so the gradient of this
/// output is a sum. Burn's operation reads it before the three cells or after them.
#[test]
fn gradients_of_several_readers_are_summed() {
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
