//! A batch norm of an exported network, as trained and as `scale · x + shift`.
//!
//! Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2. Contract: scale and shift are
//! computed in 64 bits from the running statistics. When folded into the preceding convolution, the
//! scale multiplies its weights and the shift becomes its bias.

use da2s_engine::NORM_EPSILON;
use da2s_records::Named;

use crate::export::ExportError;

/// A batch norm as trained. Every field except the name has one value per channel.
pub(super) struct Norm<'a> {
    pub(super) name: String,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) mean: &'a [f32],
    pub(super) variance: &'a [f32],
}

impl<'a> Norm<'a> {
    /// The batch norm called `name`, with its tensors found by `tensor`; if it has no scale and
    /// shift, these are 1 and 0.
    ///
    /// # Errors
    /// Those of `tensor`.
    pub(super) fn of(
        tensor: impl Fn(&str) -> Result<&'a Named, ExportError>,
        name: String,
        affine: bool,
    ) -> Result<Self, ExportError> {
        let part = |part: &str| tensor(&format!("{name}.{part}")).map(|tensor| tensor.data.as_slice());
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let (gamma, beta) = if affine {
            (part("weight")?.to_vec(), part("bias")?.to_vec())
        } else {
            (vec![1.0; mean.len()], vec![0.0; mean.len()])
        };
        Ok(Self {
            gamma,
            beta,
            mean,
            variance,
            name,
        })
    }

    /// The factor of each channel.
    pub(super) fn scale(&self) -> Vec<f64> {
        let parts = self.gamma.iter().zip(self.variance);
        parts
            .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + NORM_EPSILON).sqrt())
            .collect()
    }

    /// The bias after the scaled convolution; an existing bias of the convolution is scaled too.
    pub(super) fn shift(&self, scale: &[f64], bias: Option<&[f32]>) -> Vec<f32> {
        let parts = self.beta.iter().zip(self.mean).zip(scale).enumerate();
        parts
            .map(|(at, ((&beta, &mean), scale))| {
                let bias = bias.map_or(0.0, |bias| f64::from(bias[at]));
                (f64::from(beta) + (bias - f64::from(mean)) * scale) as f32
            })
            .collect()
    }

    /// The first `count` channels, and the others.
    pub(super) fn split(&self, count: usize) -> (Norm<'_>, Norm<'_>) {
        let part = |part: &str, range: std::ops::Range<usize>| Norm {
            name: format!("{}.{part}", self.name),
            gamma: self.gamma[range.clone()].to_vec(),
            beta: self.beta[range.clone()].to_vec(),
            mean: &self.mean[range.clone()],
            variance: &self.variance[range],
        };
        (part("1", 0..count), part("2", count..self.gamma.len()))
    }
}
