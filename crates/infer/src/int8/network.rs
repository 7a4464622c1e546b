//! A network in int8 as plain data.
//!
//! Contract: what it computes follows from the steps, the numbers here and float32 arithmetic in a
//! fixed order, so da2s-infer and an ONNX graph in QDQ form are made from the same numbers.

use da2s_engine::{NetworkPlan, Step, Steps};
use da2s_records::schema::Preprocessing;

/// Which number a byte of a tensor stands for: scale · (byte − zero point).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// Positive and finite.
    pub scale: f32,
    /// The byte of the number 0.
    pub zero_point: u8,
}

impl Quantisation {
    /// The quantisation of numbers between two ends. Zero is always among them, since padding and
    /// ReLU need it to be exact (Jacob et al. 2018, section 2.1).
    pub fn of_range(low: f32, high: f32) -> Self {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let scale = (high - low) / 255.0;
        if scale < f64::from(f32::MIN_POSITIVE) {
            // Nothing but zeros.
            return Self {
                scale: 1.0,
                zero_point: 0,
            };
        }
        Self {
            scale: scale as f32,
            zero_point: (-low / scale).round_ties_even() as u8,
        }
    }

    /// The byte of a number.
    pub fn byte(self, value: f32) -> u8 {
        let rounded = (value / self.scale).round_ties_even() + f32::from(self.zero_point);
        // Saturates.
        rounded as u8
    }

    /// The number of a byte.
    pub fn number(self, byte: u8) -> f32 {
        self.scale * (f32::from(byte) - f32::from(self.zero_point))
    }
}

/// The weights of a convolution, with its batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Convolution {
    /// `[outputs, inputs / groups, height, width]`, −127 to 127.
    pub weights: Vec<i8>,
    /// Scale of each output's weights.
    pub scales: Vec<f32>,
    /// In units of the input's scale times that of the weights.
    pub bias: Vec<i32>,
}

/// The classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Classifier {
    /// `[classes, features]`.
    pub weights: Vec<i8>,
    /// Scale of each class.
    pub scales: Vec<f32>,
    /// Bias of each class.
    pub bias: Vec<f32>,
}

/// A network in int8.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Network {
    /// The network.
    pub plan: NetworkPlan,
    /// The preprocessing of images.
    pub preprocessing: Preprocessing,
    /// Its steps, which follow from the plan.
    pub steps: Steps,
    /// The quantisation of each tensor; tensors that share one have equal entries.
    pub tensors: Vec<Quantisation>,
    /// The weights of each step that is a convolution.
    pub convolutions: Vec<Option<Int8Convolution>>,
    /// The classifier.
    pub classifier: Int8Classifier,
}

impl Int8Network {
    /// Each step with the index of its tensor, its weights, and the quantisation of its tensor.
    pub fn each_step(&self) -> impl Iterator<Item = (usize, &Step, Option<&Int8Convolution>, Quantisation)> {
        let steps = self.steps.steps.iter().zip(&self.convolutions).enumerate();
        steps.map(|(index, (step, weights))| (index + 1, step, weights.as_ref(), self.tensors[index + 1]))
    }

    /// Bytes of all weights, biases and scales.
    pub fn size_bytes(&self) -> u64 {
        let convolutions = self.convolutions.iter().flatten();
        let of_convolutions = convolutions.map(|one| one.weights.len() + 8 * one.scales.len());
        let classifier = self.classifier.weights.len() + 8 * self.classifier.scales.len();
        (of_convolutions.sum::<usize>() + classifier) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_ends_are_kept() {
        for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (-5.0, 0.1), (0.5, 2.0), (-3.0, -1.0)] {
            let one = Quantisation::of_range(low, high);
            assert_eq!(one.number(one.byte(0.0)), 0.0);
            for value in [low, high, 0.3 * high + 0.7 * low] {
                assert!(
                    (one.number(one.byte(value)) - value).abs() <= 0.51 * one.scale,
                    "{value}: {one:?}"
                );
            }
            assert_eq!([one.byte(-1e30), one.byte(1e30)], [0, 255]);
        }
        assert_eq!(Quantisation::of_range(0.0, 0.0).number(0), 0.0);
    }
}
