//! The float32 weights of a step, with its batch norm folded in.
//!
//! Reference: Jacob et al. 2018, section 3.2. Contract: computed in 64 bits, like the graphs with
//! folded batch norms that `da2s export` writes.

use std::collections::HashMap;

use da2s_engine::{ConvolutionStep, NORM_EPSILON};
use da2s_records::Named;

use super::quantise::QuantiseError;

/// Tensors by their names.
pub(super) struct ByName<'a>(HashMap<&'a str, &'a Named>);

impl<'a> ByName<'a> {
    pub(super) fn new(tensors: &'a [Named]) -> Self {
        Self(tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect())
    }

    /// The first `len` elements of a tensor.
    pub(super) fn get(&self, name: &str, len: usize) -> Result<&'a [f32], QuantiseError> {
        let tensor = self.0.get(name).filter(|tensor| tensor.data.len() >= len);
        let data = tensor.ok_or_else(|| QuantiseError::Missing { name: name.to_owned() })?;
        Ok(&data.data[..len])
    }
}

/// Weights `[outputs, inputs / groups, height, width]`, and a bias per output.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Folded {
    pub(super) fn new(step: &ConvolutionStep, tensors: &ByName<'_>) -> Result<Self, QuantiseError> {
        let outputs = step.outputs;
        let per_output = step.per_output();
        let mut weights = match &step.weights {
            Some(name) => tensors.get(name, outputs * per_output)?.to_vec(),
            None => vec![1.0; outputs],
        };
        let mut bias = match &step.bias {
            Some(name) => tensors.get(name, outputs)?.to_vec(),
            None => vec![0.0; outputs],
        };
        if let Some((norm, first)) = &step.norm {
            let part = |part: &str| {
                let all = tensors.get(&format!("{norm}.{part}"), first + outputs)?;
                Ok::<_, QuantiseError>(&all[*first..first + outputs])
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
        Ok(Self { weights, bias })
    }
}
