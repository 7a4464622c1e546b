//! `network/int8.json`: the final network in int8, as `da2s quantise` measured it.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use crate::statistics::wilson;

/// The final network in int8 on the test images. Accuracies are in percent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Int8 {
    /// Training images that gave the ranges of the activations.
    pub calibration_images: Option<u64>,
    /// How the ranges follow from them: `mse` or `minmax`.
    pub range: Option<String>,
    /// Test images.
    pub images: Option<u64>,
    /// Accuracy in float32.
    pub float32_accuracy: Option<f64>,
    /// Accuracy in int8.
    pub accuracy: Option<f64>,
    /// Wilson's 95 % interval of that, percent.
    pub accuracy_interval: Option<[f64; 2]>,
    /// Points that int8 costs: `float32_accuracy − accuracy`.
    pub gap: Option<f64>,
    /// Test images that only float32 classifies correctly.
    pub only_float32: Option<u64>,
    /// Test images that only int8 classifies correctly.
    pub only_int8: Option<u64>,
    /// Bytes of weights, biases and scales.
    pub size_bytes: Option<u64>,
}

impl Int8 {
    /// The accuracy in int8, compared with the `evaluation` in float32; `wrong` has the indices of
    /// the test images that int8 classifies wrongly, in ascending order.
    pub fn beside(evaluation: &Evaluation, images: u64, wrong: &[u64]) -> Self {
        let correct = images.saturating_sub(wrong.len() as u64);
        let accuracy = (images > 0).then(|| 100.0 * correct as f64 / images as f64);
        let counts = evaluation.against(Some(images), wrong);
        Self {
            images: Some(images),
            float32_accuracy: evaluation.accuracy,
            accuracy,
            accuracy_interval: wilson(correct, images),
            gap: evaluation.accuracy.zip(accuracy).map(|(before, after)| before - after),
            only_float32: counts.map(|[float32, _]| float32),
            only_int8: counts.map(|[_, int8]| int8),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_in_points_and_disagreements_are_counted() {
        let evaluation = Evaluation {
            images: Some(200),
            accuracy: Some(98.0),
            wrong: Some(vec![3, 8, 9, 100]),
            ..Evaluation::default()
        };
        let found = Int8::beside(&evaluation, 200, &[3, 7, 8, 9, 150, 199]);
        assert_eq!((found.accuracy, found.gap), (Some(97.0), Some(1.0)));
        assert_eq!((found.only_float32, found.only_int8), (Some(3), Some(1)));
        assert_eq!(found.accuracy_interval, wilson(194, 200));
    }
}
