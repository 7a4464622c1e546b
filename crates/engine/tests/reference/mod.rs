//! A cell in f64, computed by plain loops: the reference for the fused path.

mod tape;

use da2s_engine::{ActivationFunction, Block, CellPlan, Choice};

use self::tape::{Image, Tape, Value};

/// A call in f64.
pub struct Call {
    pub batch: usize,
    pub sizes: Vec<(usize, usize)>,
    pub inputs: Vec<Vec<f64>>,
    pub weights: Vec<f64>,
    pub mixture: Vec<f64>,
    pub active: Vec<bool>,
    pub drop: Vec<f64>,
    /// Mean and variance, if they are given.
    pub running: Option<(Vec<f64>, Vec<f64>)>,
}

/// What the reference computes.
pub struct Outcome {
    pub output: Vec<f64>,
    pub mean: Vec<f64>,
    /// Unbiased.
    pub variance: Vec<f64>,
    pub d_inputs: Vec<Vec<f64>>,
    pub d_weights: Vec<f64>,
    pub d_mixture: Vec<f64>,
}

/// Runs `plan` forward, and backward from `d_output` (empty: zeros).
pub fn run(plan: &CellPlan, call: &Call, d_output: &[f64]) -> Outcome {
    let mut tape = Tape::default();
    let weights = tape.leaf(call.weights.clone());
    let mixture = tape.leaf(call.mixture.clone());
    let mut statistics = (vec![0.0; plan.norm_channels], vec![0.0; plan.norm_channels]);
    let mut leaves = Vec::new();
    let mut nodes: Vec<Option<Image>> = vec![None; plan.node_channels.len()];
    for (at, input) in call.inputs.iter().enumerate() {
        let value = tape.leaf(input.clone());
        leaves.push(value);
        let (height, width) = call.sizes[at];
        let image = Image {
            value,
            batch: call.batch,
            height,
            width,
            channels: plan.input_channels[at],
        };
        nodes[at] = Some(match &plan.preprocess[at] {
            Some(choice) => block(&mut tape, choice, image, weights, call, &mut statistics).unwrap(),
            None => image,
        });
    }
    let sizes = plan.node_sizes(&call.sizes);
    for node in call.inputs.len()..plan.node_channels.len() {
        let mut parts = Vec::new();
        let mut index = 0;
        for edge in &plan.edges {
            for choice in &edge.choices {
                if edge.to == node && call.active[index] {
                    let from = nodes[edge.from].unwrap();
                    if let Some(image) = block(&mut tape, choice, from, weights, call, &mut statistics) {
                        let factors = call.drop[index * call.batch..(index + 1) * call.batch].to_vec();
                        parts.push((image, Some((mixture, index)), factors));
                    }
                }
                index += 1;
            }
        }
        let (height, width) = sizes[node];
        let shape = Image {
            value: 0,
            batch: call.batch,
            height,
            width,
            channels: plan.node_channels[node],
        };
        nodes[node] = Some(tape.weighted_sum(shape, parts));
    }
    let parts: Vec<Image> = plan.output.iter().map(|&node| nodes[node].unwrap()).collect();
    let output = tape.concatenate(&parts).value;
    let seed = if d_output.is_empty() {
        vec![0.0; tape.value(output).len()]
    } else {
        d_output.to_vec()
    };
    let gradients = tape.gradients(output, &seed);
    Outcome {
        output: tape.value(output).to_vec(),
        mean: statistics.0,
        variance: statistics.1,
        d_inputs: leaves.iter().map(|&leaf| gradients[leaf].clone()).collect(),
        d_weights: gradients[weights].clone(),
        d_mixture: gradients[mixture].clone(),
    }
}

/// One block; `None` for zero.
fn block(
    tape: &mut Tape,
    choice: &Choice,
    x: Image,
    weights: Value,
    call: &Call,
    statistics: &mut (Vec<f64>, Vec<f64>),
) -> Option<Image> {
    let outputs = choice.outputs;
    let mut weight = choice.weight_offset;
    let mut norm_at = choice.norm_offset;
    let mut norm = |tape: &mut Tape, x: Image, weight: &mut usize| {
        let range = norm_at..norm_at + x.channels;
        norm_at += x.channels;
        let affine = choice.affine.then_some((weights, *weight));
        if choice.affine {
            *weight += 2 * x.channels;
        }
        let given = call
            .running
            .as_ref()
            .map(|(mean, variance)| (&mean[range.clone()], &variance[range.clone()]));
        let (out, mean, variance) = tape.norm(x, affine, given);
        let count = (x.batch * x.height * x.width) as f64;
        statistics.0[range.clone()].copy_from_slice(&mean);
        for (to, v) in statistics.1[range].iter_mut().zip(variance) {
            *to = v * count / (count - 1.0);
        }
        out
    };
    Some(match choice.block {
        Block::Zero { .. } => return None,
        Block::Identity => x,
        Block::Relu => tape.relu(x),
        Block::Relu6 => tape.activated(x, ActivationFunction::Relu6),
        Block::HardSwish => tape.activated(x, ActivationFunction::HardSwish),
        Block::Norm | Block::Take { .. } | Block::Shuffle { .. } => {
            panic!("no plan of these tests contains this block: engines.rs compares it with the plain path")
        }
        Block::Pool {
            kind,
            kernel,
            stride,
            padding,
            norm: with_norm,
        } => {
            let out = tape.pool(x, kind, kernel, stride, padding);
            if with_norm { norm(tape, out, &mut weight) } else { out }
        }
        Block::FactorizedReduce => {
            let size = (x.height.div_ceil(2), x.width.div_ceil(2));
            let x = tape.relu(x);
            let half = outputs / 2;
            let first = tape.convolve(x, weights, weight, half, 1, 2, 1, 0, 1, size);
            let second = tape.convolve(
                x,
                weights,
                weight + half * x.channels,
                outputs - half,
                1,
                2,
                1,
                -1,
                1,
                size,
            );
            weight += outputs * x.channels;
            let both = tape.concatenate(&[first, second]);
            norm(tape, both, &mut weight)
        }
        Block::Conv {
            relu,
            kernel,
            stride,
            padding,
            bias,
            norm: with_norm,
        } => {
            let side = |side: usize| (side + 2 * padding - kernel) / stride + 1;
            let size = (side(x.height), side(x.width));
            let x = if relu { tape.relu(x) } else { x };
            let mut out = tape.convolve(
                x,
                weights,
                weight,
                outputs,
                kernel,
                stride,
                1,
                padding as isize,
                1,
                size,
            );
            weight += outputs * x.channels * kernel * kernel;
            if bias {
                out = tape.bias(out, weights, weight);
                weight += outputs;
            }
            if with_norm { norm(tape, out, &mut weight) } else { out }
        }
        Block::Separable {
            kernel,
            stride,
            dilation,
            stages,
        } => {
            let mut x = x;
            for stage in 0..stages {
                let stride = if stage == 0 { stride } else { 1 };
                let to = if stage + 1 == stages { outputs } else { x.channels };
                let padding = (dilation * (kernel - 1) / 2) as isize;
                let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
                let channels = x.channels;
                x = tape.relu(x);
                x = tape.convolve(
                    x, weights, weight, channels, kernel, stride, dilation, padding, channels, size,
                );
                weight += channels * kernel * kernel;
                x = tape.convolve(x, weights, weight, to, 1, 1, 1, 0, 1, size);
                weight += channels * to;
                x = norm(tape, x, &mut weight);
            }
            x
        }
        Block::Basic { kernel, stride } => {
            let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
            let padding = (kernel / 2) as isize;
            let mut x = x;
            for stride in [stride, 1] {
                let inputs = x.channels;
                x = tape.relu(x);
                x = tape.convolve(x, weights, weight, outputs, kernel, stride, 1, padding, 1, size);
                weight += inputs * outputs * kernel * kernel;
                x = norm(tape, x, &mut weight);
            }
            x
        }
        Block::InvertedBottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation,
            squeeze,
        } => {
            let (whole, hidden) = ((x.height, x.width), expansion * x.channels);
            let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
            let mut x = if relu { tape.relu(x) } else { x };
            if expansion > 1 {
                let inputs = x.channels;
                x = tape.convolve(x, weights, weight, hidden, 1, 1, 1, 0, 1, whole);
                weight += inputs * hidden;
                x = norm(tape, x, &mut weight);
                x = tape.activated(x, activation);
            }
            let padding = (kernel / 2) as isize;
            x = tape.convolve(x, weights, weight, hidden, kernel, stride, 1, padding, hidden, size);
            weight += hidden * kernel * kernel;
            x = norm(tape, x, &mut weight);
            x = tape.activated(x, activation);
            if squeeze {
                let squeezed = hidden.div_ceil(4);
                x = tape.squeeze(x, weights, weight, squeezed);
                weight += 2 * hidden * squeezed + hidden + squeezed;
            }
            x = tape.convolve(x, weights, weight, outputs, 1, 1, 1, 0, 1, size);
            weight += hidden * outputs;
            norm(tape, x, &mut weight)
        }
    })
}
