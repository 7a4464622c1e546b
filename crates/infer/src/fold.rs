//! The float32 weights of a step, with its batch norm folded in.
//!
//! Reference: Jacob et al. 2018, section 3.2. Contract: computed in 64 bits, like the graphs with
//! folded batch norms that `da2s export` writes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use da2s_engine::deployed::StepWeights;
use da2s_engine::{ConvolutionStep, NORM_EPSILON, Operation, Step};
use da2s_records::Named;

/// A tensor that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tensor {name} is missing or too short")]
pub struct Missing {
    /// Its name.
    pub name: String,
}

/// Tensors by their names.
pub(crate) struct ByName<'a>(HashMap<Cow<'a, str>, Cow<'a, [f32]>>);

impl<'a> ByName<'a> {
    pub(crate) fn new(tensors: &'a [Named]) -> Self {
        let one = |tensor: &'a Named| (tensor.name.as_str().into(), tensor.data.as_slice().into());
        Self(tensors.iter().map(one).collect())
    }

    pub(crate) fn of_file(tensors: Vec<(String, Cow<'a, [f32]>)>) -> Self {
        Self(tensors.into_iter().map(|(name, data)| (name.into(), data)).collect())
    }

    /// The first `len` elements of a tensor.
    pub(crate) fn get(&self, name: &str, len: usize) -> Result<&[f32], Missing> {
        let data = self.0.get(name).and_then(|data| data.get(..len));
        data.ok_or_else(|| Missing { name: name.to_owned() })
    }
}

/// The weights of some outputs of a step (of a squeeze-and-excitation, all weights), with its batch
/// norm folded in.
pub(crate) fn weights(step: &Step, outputs: Range<usize>, tensors: &ByName<'_>) -> Result<StepWeights, Missing> {
    Ok(match &step.operation {
        Operation::Convolution(convolution) => folded(convolution, outputs, tensors)?,
        Operation::Squeeze(squeeze) => {
            let mut all = Vec::new();
            let matrix = squeeze.channels * squeeze.squeezed;
            let lengths = [[matrix, squeeze.squeezed], [matrix, squeeze.channels]];
            for (name, len) in squeeze.weights.iter().flatten().zip(lengths.into_iter().flatten()) {
                all.extend_from_slice(tensors.get(name, len)?);
            }
            StepWeights::Squeeze(all)
        }
        _ => StepWeights::None,
    })
}

fn folded(step: &ConvolutionStep, outputs: Range<usize>, tensors: &ByName<'_>) -> Result<StepWeights, Missing> {
    let per_output = step.per_output();
    let mut weights = match &step.weights {
        Some(name) => tensors.get(name, outputs.end * per_output)?[outputs.start * per_output..].to_vec(),
        None => vec![1.0; outputs.len()],
    };
    let mut bias = match &step.bias {
        Some(name) => tensors.get(name, outputs.end)?[outputs.clone()].to_vec(),
        None => vec![0.0; outputs.len()],
    };
    if let Some((norm, first)) = &step.norm {
        let part = |part: &str| {
            let all = tensors.get(&format!("{norm}.{part}"), first + outputs.end)?;
            Ok::<_, Missing>(&all[first + outputs.start..])
        };
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        for (output, row) in weights.chunks_mut(per_output).enumerate() {
            let scale = f64::from(gamma[output]) / (f64::from(variance[output]) + NORM_EPSILON).sqrt();
            for weight in row {
                *weight = (f64::from(*weight) * scale) as f32;
            }
            let centred = f64::from(bias[output]) - f64::from(mean[output]);
            bias[output] = (f64::from(beta[output]) + centred * scale) as f32;
        }
    }
    Ok(StepWeights::Convolution(weights, bias))
}
