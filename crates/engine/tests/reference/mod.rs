//! A cell in f64, computed by plain loops: the reference for the fused path.

mod block;
mod norm;
mod pixels;
mod tape;
mod windows;

use da2s_engine::CellPlan;

use self::block::block;
use self::tape::{Image, Tape};

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
