//! The fused CPU path against the reference in f64, on random cells of every kind.

#![allow(clippy::unwrap_used)]

mod plans;
mod reference;

use da2s_engine::CellPlan;
use da2s_engine::cpu::{CellKernel, Forward, Gradients, Statistics, Workspace};
use plans::{
    Numbers, activated_chain, chain, darts, every_side, final_network, head, nas_bench_201, reduction, residual,
    squeezed_chain, stem,
};

/// A cell, how to call it, and the expected results.
struct Case {
    name: &'static str,
    plan: CellPlan,
    call: reference::Call,
    d_output: Vec<f64>,
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

/// Random numbers for `plan`; all of them are exact in f32.
fn case(name: &'static str, plan: CellPlan, sizes: &[(usize, usize)], batch: usize, seed: u64) -> Case {
    let mut numbers = Numbers::new(seed);
    let inputs = sizes
        .iter()
        .zip(&plan.input_channels)
        .map(|(&(height, width), &channels)| numbers.take(batch * height * width * channels))
        .collect();
    let call = reference::Call {
        batch,
        sizes: sizes.to_vec(),
        inputs,
        weights: numbers.take(plan.weight_count),
        mixture: numbers.take(plan.choice_count()).iter().map(|x| x.abs()).collect(),
        active: vec![true; plan.choice_count()],
        drop: vec![1.0; plan.choice_count() * batch],
        running: None,
    };
    let output = reference::run(&plan, &call, &[]).output;
    let d_output = numbers.take(output.len());
    Case {
        name,
        plan,
        call,
        d_output,
    }
}

/// The case with weights so large that values reach all pieces of an activation function.
fn wide(mut case: Case) -> Case {
    case.call.weights.iter_mut().for_each(|weight| *weight *= 8.0);
    case
}

/// All results of one call.
#[derive(Clone, Debug, PartialEq)]
struct Got {
    output: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    d_inputs: Vec<Vec<f32>>,
    d_weights: Vec<f32>,
    d_mixture: Vec<f32>,
}

/// The same call in f32, with separate memory for everything.
struct Narrow {
    inputs: Vec<Vec<f32>>,
    weights: Vec<f32>,
    mixture: Vec<f32>,
    drop: Vec<f32>,
    running: Option<(Vec<f32>, Vec<f32>)>,
}

impl Narrow {
    fn new(call: &reference::Call) -> Self {
        Self {
            inputs: call.inputs.iter().map(|input| narrow(input)).collect(),
            weights: narrow(&call.weights),
            mixture: narrow(&call.mixture),
            drop: narrow(&call.drop),
            running: call
                .running
                .as_ref()
                .map(|(mean, variance)| (narrow(mean), narrow(variance))),
        }
    }
}

fn forward(kernel: &mut CellKernel, case: &Case, keep: bool) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let call = Narrow::new(&case.call);
    let inputs: Vec<&[f32]> = call.inputs.iter().map(Vec::as_slice).collect();
    let mut output = vec![f32::NAN; kernel.output_len()];
    let (mut mean, mut variance) = (
        vec![f32::NAN; case.plan.norm_channels],
        vec![f32::NAN; case.plan.norm_channels],
    );
    let statistics = match &call.running {
        Some((mean, variance)) => Statistics::Running { mean, variance },
        None => Statistics::Batch {
            mean: &mut mean,
            variance: &mut variance,
        },
    };
    let forward = Forward {
        inputs: &inputs,
        weights: &call.weights,
        mixture: Some(&call.mixture),
        active: Some(&case.call.active),
        drop: Some(&call.drop),
        statistics,
        keep,
        mixture_gradient: keep,
    };
    kernel.forward(forward, &mut output);
    (output, mean, variance)
}

fn backward(kernel: &mut CellKernel, case: &Case, wants: [bool; 3]) -> (Vec<Vec<f32>>, Vec<f32>, Vec<f32>) {
    let call = Narrow::new(&case.call);
    let inputs: Vec<&[f32]> = call.inputs.iter().map(Vec::as_slice).collect();
    let mut d_inputs: Vec<Vec<f32>> = inputs.iter().map(|input| vec![f32::NAN; input.len()]).collect();
    let mut d_weights = vec![f32::NAN; call.weights.len()];
    let mut d_mixture = vec![f32::NAN; call.mixture.len()];
    let gradients = Gradients {
        inputs: d_inputs
            .iter_mut()
            .map(|gradient| wants[0].then_some(&mut gradient[..]))
            .collect(),
        weights: wants[1].then_some(&mut d_weights[..]),
        mixture: wants[2].then_some(&mut d_mixture[..]),
    };
    kernel.backward(&inputs, &call.weights, &narrow(&case.d_output), gradients);
    (d_inputs, d_weights, d_mixture)
}

fn kernel(case: &Case) -> CellKernel {
    CellKernel::new(&case.plan, &case.call.sizes, case.call.batch, &Workspace::new())
}

fn run(case: &Case) -> Got {
    let mut kernel = kernel(case);
    let (output, mean, variance) = forward(&mut kernel, case, true);
    let (d_inputs, d_weights, d_mixture) = backward(&mut kernel, case, [true; 3]);
    Got {
        output,
        mean,
        variance,
        d_inputs,
        d_weights,
        d_mixture,
    }
}

/// Distance relative to the norm of the expected values.
fn distance(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let error: f64 = got
        .iter()
        .zip(expected)
        .map(|(&got, expected)| (f64::from(got) - expected).powi(2))
        .sum();
    let norm: f64 = expected.iter().map(|x| x * x).sum();
    assert!(error.is_finite(), "a number is not finite");
    (error / norm.max(1e-12)).sqrt()
}

fn check(case: &Case) {
    let got = run(case);
    let expected = reference::run(&case.plan, &case.call, &case.d_output);
    let close = |what: &str, got: &[f32], expected: &[f64], tolerance: f64| {
        let distance = distance(got, expected);
        assert!(distance <= tolerance, "{}: {what} is off by {distance:e}", case.name);
    };
    close("output", &got.output, &expected.output, 1e-4);
    if case.call.running.is_none() {
        close("mean", &got.mean, &expected.mean, 1e-5);
        close("variance", &got.variance, &expected.variance, 1e-4);
    }
    for (got, expected) in got.d_inputs.iter().zip(&expected.d_inputs) {
        close("gradient of an input", got, expected, 1e-3);
    }
    close("gradient of the weights", &got.d_weights, &expected.d_weights, 1e-3);
    close("gradient of the mixture", &got.d_mixture, &expected.d_mixture, 1e-3);
}

fn all() -> Vec<Case> {
    vec![
        case("normal cell", darts(6, 4, 3), &[(6, 5); 2], 3, 1),
        case("normal cell of 16 channels", darts(16, 16, 2), &[(8, 8); 2], 2, 2),
        case("reduction cell", reduction(4, 6), &[(7, 5); 2], 3, 3),
        case("final network", final_network(5, 9), &[(12, 8), (6, 4)], 3, 4),
        case("NAS-Bench-201 cell", nas_bench_201(7), &[(5, 6)], 3, 5),
        case("stem", stem(), &[(9, 7)], 3, 6),
        case("auxiliary head", head(), &[(8, 8)], 2, 7),
        case("every side", every_side(5, 1), &[(9, 6)], 3, 13),
        case("every side at stride 2", every_side(6, 2), &[(8, 7)], 3, 14),
        case("chain of bottlenecks", chain(5, 7, 1), &[(6, 5)], 3, 15),
        case("chain of bottlenecks at stride 2", chain(16, 6, 2), &[(9, 8)], 3, 16),
        wide(case("activation functions", activated_chain(5, 7, 1), &[(6, 5)], 3, 23)),
        wide(case(
            "activation functions at stride 2",
            activated_chain(16, 6, 2),
            &[(9, 8)],
            3,
            24,
        )),
        case("squeeze-and-excitation", squeezed_chain(5, 7, 1), &[(6, 5)], 3, 27),
        case(
            "squeeze-and-excitation at stride 2",
            squeezed_chain(16, 6, 2),
            &[(9, 8)],
            3,
            28,
        ),
        case("residual layers", residual(5, 7, 1), &[(6, 5)], 3, 19),
        case("residual layers at stride 2", residual(16, 6, 2), &[(9, 8)], 3, 20),
    ]
}

#[test]
fn cells_match_the_reference() {
    all().iter().for_each(check);
}

#[test]
fn given_statistics_drop_path_and_inactive_choices_match_the_reference() {
    for mut case in all() {
        let mut numbers = Numbers::new(77);
        let choices = case.plan.choice_count();
        for (at, active) in case.call.active.iter_mut().enumerate() {
            *active = choices < 10 || at % 3 != 1;
        }
        for (at, factor) in case.call.drop.iter_mut().enumerate() {
            *factor = [0.0, 1.25, 1.0][at % 3];
        }
        check(&case);
        let channels = case.plan.norm_channels;
        let variance = numbers.take(channels).iter().map(|x| x * x + 0.5).collect();
        case.call.running = Some((numbers.take(channels), variance));
        check(&case);
        // If nothing is kept, images are computed one at a time.
        let kept = run(&case).output;
        let (output, ..) = forward(&mut kernel(&case), &case, false);
        assert_eq!(output, kept, "{}", case.name);
    }
}

#[test]
fn a_cell_without_live_choices_is_zero() {
    let mut case = case("no choice", darts(6, 4, 3), &[(6, 5); 2], 2, 9);
    case.call.active.fill(false);
    assert!(run(&case).output.iter().all(|&x| x == 0.0));
}

#[test]
fn choices_of_weight_zero_still_have_a_gradient() {
    let mut case = case("zero weights", darts(6, 4, 3), &[(6, 5); 2], 3, 8);
    for weight in case.call.mixture.iter_mut().step_by(2) {
        *weight = 0.0;
    }
    check(&case);
}

#[test]
fn omitting_gradients_does_not_change_the_others() {
    for case in all() {
        let all = run(&case);
        for wants in [
            [true, false, false],
            [false, true, false],
            [false, false, true],
            [true, true, false],
            [true, false, true],
        ] {
            let mut kernel = kernel(&case);
            forward(&mut kernel, &case, true);
            let (d_inputs, d_weights, d_mixture) = backward(&mut kernel, &case, wants);
            assert!(!wants[0] || d_inputs == all.d_inputs, "{} {wants:?}", case.name);
            assert!(!wants[1] || d_weights == all.d_weights, "{} {wants:?}", case.name);
            assert!(!wants[2] || d_mixture == all.d_mixture, "{} {wants:?}", case.name);
        }
    }
}

#[test]
fn a_forward_run_without_keep_leaves_saved_activations_alone() {
    let case = case("kept", darts(6, 4, 3), &[(6, 5); 2], 3, 10);
    let expected = run(&case);
    let workspace = Workspace::new();
    let mut kernels = [(); 2].map(|()| CellKernel::new(&case.plan, &case.call.sizes, case.call.batch, &workspace));
    for kernel in &mut kernels {
        forward(kernel, &case, true);
    }
    forward(&mut kernels[0], &case, false);
    for kernel in &mut kernels {
        let (d_inputs, d_weights, d_mixture) = backward(kernel, &case, [true; 3]);
        assert_eq!(
            (d_inputs, d_weights, d_mixture),
            (
                expected.d_inputs.clone(),
                expected.d_weights.clone(),
                expected.d_mixture.clone()
            )
        );
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for case in [
        case("threads", darts(16, 16, 3), &[(8, 8); 2], 37, 11),
        case("threads of a chain", chain(8, 16, 2), &[(9, 8)], 37, 17),
        case("threads of residual layers", residual(8, 16, 2), &[(9, 8)], 37, 21),
        case(
            "threads of squeeze-and-excitation",
            squeezed_chain(8, 16, 2),
            &[(9, 8)],
            37,
            29,
        ),
        wide(case(
            "threads of activation functions",
            activated_chain(8, 16, 2),
            &[(9, 8)],
            37,
            25,
        )),
    ] {
        let on = |threads: usize| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| run(&case))
        };
        let one = on(1);
        assert_eq!(one, on(2), "{}", case.name);
        assert_eq!(one, on(4), "{}", case.name);
    }
}

/// Fewer images than threads: steps of an image run in parallel.
#[test]
fn inference_of_few_images_is_the_same_on_any_number_of_threads() {
    let plans: [(CellPlan, &[(usize, usize)]); 6] = [
        (darts(6, 5, 3), &[(8, 7); 2]),
        (reduction(6, 5), &[(8, 6); 2]),
        (final_network(6, 8), &[(16, 16), (8, 8)]),
        (nas_bench_201(6), &[(7, 5)]),
        (chain(6, 8, 2), &[(7, 5)]),
        (residual(6, 8, 2), &[(7, 5)]),
    ];
    for (index, (plan, sizes)) in plans.into_iter().enumerate() {
        let mut case = case("few", plan, sizes, 2, 20 + index as u64);
        let mut numbers = Numbers::new(40 + index as u64);
        let mean = numbers.take(case.plan.norm_channels);
        let variance = numbers
            .take(case.plan.norm_channels)
            .iter()
            .map(|x| x.abs() + 0.5)
            .collect();
        case.call.running = Some((mean, variance));
        let expected = reference::run(&case.plan, &case.call, &[]).output;
        let on = |threads: usize| {
            let mut kernel = CellKernel::new(&case.plan, sizes, 2, &Workspace::new());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| forward(&mut kernel, &case, false)).0
        };
        let one = on(1);
        assert!(distance(&one, &expected) < 1e-4, "plan {index}");
        assert_eq!(one, on(3), "plan {index}");
        assert_eq!(one, on(8), "plan {index}");
    }
}

#[test]
fn every_level_matches_the_reference() {
    for level in da2s_kernels::Level::available() {
        for case in [
            case("levels", darts(9, 5, 3), &[(6, 5); 2], 3, 12),
            case("levels of a chain", chain(9, 5, 2), &[(7, 6)], 3, 18),
            case("levels of residual layers", residual(9, 5, 2), &[(7, 6)], 3, 22),
            case(
                "levels of squeeze-and-excitation",
                squeezed_chain(9, 5, 2),
                &[(7, 6)],
                3,
                30,
            ),
            wide(case(
                "levels of activation functions",
                activated_chain(9, 5, 2),
                &[(7, 6)],
                3,
                26,
            )),
        ] {
            let expected = reference::run(&case.plan, &case.call, &case.d_output);
            let (sizes, batch) = (&case.call.sizes, case.call.batch);
            let mut kernel = CellKernel::with_level(&case.plan, sizes, batch, &Workspace::new(), level);
            let (output, ..) = forward(&mut kernel, &case, true);
            assert!(distance(&output, &expected.output) < 1e-4);
            let (_, d_weights, d_mixture) = backward(&mut kernel, &case, [true; 3]);
            assert!(distance(&d_weights, &expected.d_weights) < 1e-3);
            assert!(distance(&d_mixture, &expected.d_mixture) < 1e-3);
        }
    }
}

/// The reference itself: its gradients compared with central differences of its output.
#[test]
fn the_reference_agrees_with_central_differences() {
    for case in all() {
        let outcome = reference::run(&case.plan, &case.call, &case.d_output);
        let loss = |call: &reference::Call| -> f64 {
            reference::run(&case.plan, call, &[])
                .output
                .iter()
                .zip(&case.d_output)
                .map(|(x, d)| x * d)
                .sum()
        };
        let step = 1e-6;
        let mut call = reference::Call { ..case.call };
        let mut compare = |pick: fn(&mut reference::Call) -> &mut Vec<f64>, gradient: &[f64], what: &str| {
            let count = gradient.len();
            for at in (0..count).step_by((count / 5).max(1)) {
                let mut moved = |by: f64| {
                    pick(&mut call)[at] += by;
                    let loss = loss(&call);
                    pick(&mut call)[at] -= by;
                    loss
                };
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                let error = (difference - gradient[at]).abs();
                assert!(
                    error < 1e-4 * (1.0 + gradient[at].abs()),
                    "{} {what} {at}: {difference} {}",
                    case.name,
                    gradient[at]
                );
            }
        };
        compare(|call| &mut call.weights, &outcome.d_weights, "weight");
        compare(|call| &mut call.mixture, &outcome.d_mixture, "mixture");
        compare(|call| &mut call.inputs[0], &outcome.d_inputs[0], "input");
    }
}
