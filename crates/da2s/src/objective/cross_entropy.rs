//! The loss on the data: cross-entropy, with label smoothing (Szegedy et al., "Rethinking the
//! Inception Architecture", 2016, section 7), with class weights, and for images that are mixed
//! from two (Zhang, Cissé, Dauphin, Lopez-Paz, "mixup", 2018, equation 1).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::parallel::Group;

/// Mean cross-entropy over a batch, one element. `logits` is `[batch, classes]`, `labels`
/// `[batch]`; with `smoothing` ε the target is 1 − ε on the label plus ε spread over all classes.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, _] = logits.dims();
    smoothed(log_softmax(logits, 1), labels, smoothing) * (-1.0 / batch as f64)
}

/// Σᵢ ((1 − ε) logᵢ(yᵢ) + ε/C Σ_c logᵢ(c)), one element: `log` is `[batch, classes]`, ε is
/// `smoothing`.
fn smoothed(log: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, classes] = log.dims();
    let picked = log.clone().gather(1, labels.reshape([batch, 1])).sum() * (1.0 - smoothing);
    if smoothing > 0.0 {
        picked + log.sum() * (smoothing / classes as f64)
    } else {
        picked
    }
}

/// Class weights, and the divisor of a batch's loss.
#[derive(Clone, Copy, Debug)]
pub struct Weighting<'a> {
    classes: &'a [f32],
    /// The sum of the weights of the batch's images. In a group of processes it is the mean of
    /// their sums, so that the mean of their losses is the loss of all images.
    pub total: f64,
}

impl<'a> Weighting<'a> {
    /// The weights `classes`, if any, for this process's labels of a batch.
    pub fn in_group(classes: Option<&'a [f32]>, labels: &[u32], group: &Group) -> Option<Self> {
        let own = Self::of(classes?, labels);
        let [total] = group.sum([own.total]);
        Some(Self {
            total: total / group.size() as f64,
            ..own
        })
    }

    /// The weights `classes` for a batch with these labels.
    pub fn of(classes: &'a [f32], labels: &[u32]) -> Self {
        let total = labels.iter().map(|&label| f64::from(classes[label as usize])).sum();
        Self { classes, total }
    }
}

/// [`cross_entropy`] with class weights, if any, as PyTorch's `CrossEntropyLoss(weight,
/// label_smoothing)`: with w the weights, y the labels and ℓ the negative logarithms of the
/// probabilities, Σᵢ ((1 − ε) w(yᵢ) ℓᵢ(yᵢ) + ε/C Σ_c w(c) ℓᵢ(c)) / Σᵢ w(yᵢ).
pub fn weighted_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    smoothing: f64,
    weighting: Option<Weighting<'_>>,
) -> Tensor<1> {
    let Some(Weighting { classes, total }) = weighting else {
        return cross_entropy(logits, labels, smoothing);
    };
    let weights = TensorData::new(classes.to_vec(), [1, classes.len()]);
    let log = log_softmax(logits, 1);
    let log = log.clone() * Tensor::from_data(weights, &log.device());
    smoothed(log, labels, smoothing) * (-1.0 / total)
}

/// A second label for each image of a batch whose images are mixed from two.
#[derive(Clone, Debug)]
pub struct SecondLabels {
    /// `[batch]`: a permutation of the first labels.
    pub labels: Tensor<1, Int>,
    /// The share λ of the first label; the second has 1 − λ.
    pub first_share: f64,
}

/// [`weighted_cross_entropy`] for the targets λ·y + (1 − λ)·z of labels y and `second` labels z, if
/// there are any. With t the mixed target of an image and t' = (1 − ε) t + ε/C this is
///
/// ```text
/// Σᵢ Σ_c w(c) t'ᵢ(c) ℓᵢ(c) / Σᵢ Σ_c w(c) tᵢ(c)
/// ```
///
/// It is linear in t, and since z is a permutation of y, the divisor does not depend on λ. So it is
/// λ times the loss of y plus 1 − λ times the loss of z. (PyTorch's `CrossEntropyLoss` divides by
/// the number of images if targets are probabilities, whatever their weights.)
pub fn mixed_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    second: Option<SecondLabels>,
    smoothing: f64,
    weighting: Option<Weighting<'_>>,
) -> Tensor<1> {
    let Some(SecondLabels {
        labels: others,
        first_share,
    }) = second
    else {
        return weighted_cross_entropy(logits, labels, smoothing, weighting);
    };
    let own = weighted_cross_entropy(logits.clone(), labels, smoothing, weighting);
    let other = weighted_cross_entropy(logits, others, smoothing, weighting);
    own * first_share + other * (1.0 - first_share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn smoothing_is_that_of_the_definition() {
        let device = Device::flex();
        let rows: [[f64; 3]; 2] = [[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]];
        let logits = Tensor::from_data(TensorData::from(rows.map(|row| row.map(|x| x as f32))), &device);
        let labels = Tensor::from_data(TensorData::from([2i64, 1]), &device);
        for smoothing in [0.0, 0.1] {
            let of_row = |(row, label): (&[f64; 3], usize)| {
                let norm = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                let weight = |class| smoothing / 3.0 + if class == label { 1.0 - smoothing } else { 0.0 };
                (0..3).map(|class| -weight(class) * (row[class] - norm)).sum::<f64>()
            };
            let expected = rows.iter().zip([2, 1]).map(of_row).sum::<f64>() / 2.0;
            let ours = f64::from(cross_entropy(logits.clone(), labels.clone(), smoothing).into_scalar::<f32>());
            assert!((ours - expected).abs() < 1e-5, "{ours} != {expected}");
        }
    }
    /// Logits, labels and weights of three images of four classes.
    const LOGITS: [[f32; 4]; 3] = [[1.0, -2.0, 0.5, 0.0], [0.0, 3.0, -1.0, 2.0], [-0.5, 0.25, 0.75, 1.5]];
    const LABELS: [u32; 3] = [2, 1, 0];
    const WEIGHTS: [f32; 4] = [4.0, 0.5, 1.0, 2.0];

    fn weighted(logits: [[f32; 4]; 3], smoothing: f64) -> (Tensor<2>, Tensor<1>) {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_data(TensorData::from(logits), &device).require_grad();
        let labels = Tensor::from_data(TensorData::from(LABELS.map(i64::from)), &device);
        let weighting = Some(Weighting::of(&WEIGHTS, &LABELS));
        (
            logits.clone(),
            weighted_cross_entropy(logits, labels, smoothing, weighting),
        )
    }

    fn value(logits: [[f32; 4]; 3], smoothing: f64) -> f64 {
        f64::from(weighted(logits, smoothing).1.into_scalar::<f32>())
    }

    /// Values of torch.nn.CrossEntropyLoss(weight=torch.tensor([4., .5, 1., 2.]),
    /// label_smoothing=…) in PyTorch 2.
    #[test]
    fn weighted_values_are_those_of_pytorch() {
        for (smoothing, expected) in [(0.0, 2.1711450967), (0.1, 2.1547972559)] {
            let ours = value(LOGITS, smoothing);
            assert!((ours - expected).abs() < 1e-6, "{ours} != {expected}");
        }
    }

    #[test]
    fn without_weights_and_with_equal_ones_it_is_the_mean() {
        let device = Device::flex();
        let logits = || Tensor::from_data(TensorData::from(LOGITS), &device);
        let labels = || Tensor::from_data(TensorData::from(LABELS.map(i64::from)), &device);
        let equal = [3.0; 4];
        for smoothing in [0.0, 0.1] {
            let mean = cross_entropy(logits(), labels(), smoothing).into_scalar::<f32>();
            let none = weighted_cross_entropy(logits(), labels(), smoothing, None).into_scalar::<f32>();
            let weighting = Some(Weighting::of(&equal, &LABELS));
            let same = weighted_cross_entropy(logits(), labels(), smoothing, weighting).into_scalar::<f32>();
            assert_eq!(mean.to_bits(), none.to_bits());
            assert!((mean - same).abs() < 1e-6, "{mean} != {same}");
        }
    }

    #[test]
    fn the_weighted_gradient_is_that_of_the_value() {
        const STEP: f32 = 1e-2;
        for smoothing in [0.0, 0.1] {
            let (logits, loss) = weighted(LOGITS, smoothing);
            let gradient = logits.grad(&loss.backward()).unwrap();
            let gradient: Vec<f32> = gradient.into_data().iter::<f32>().collect();
            for (place, &own) in gradient.iter().enumerate() {
                let moved = |step: f32| {
                    let mut logits = LOGITS;
                    logits[place / 4][place % 4] += step;
                    value(logits, smoothing)
                };
                let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
                assert!((numeric - f64::from(own)).abs() < 1e-4, "{place}: {own} != {numeric}");
            }
        }
    }

    const SECOND: [u32; 3] = [0, 2, 1];
    const SHARE: f64 = 0.7;

    fn mixed(logits: [[f32; 4]; 3], smoothing: f64, weights: Option<&[f32]>) -> (Tensor<2>, Tensor<1>) {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_data(TensorData::from(logits), &device).require_grad();
        let tensor = |labels: [u32; 3]| Tensor::from_data(TensorData::from(labels.map(i64::from)), &device);
        let second = SecondLabels {
            labels: tensor(SECOND),
            first_share: SHARE,
        };
        let weighting = weights.map(|weights| Weighting::of(weights, &LABELS));
        let loss = mixed_cross_entropy(logits.clone(), tensor(LABELS), Some(second), smoothing, weighting);
        (logits, loss)
    }

    /// The definition with soft targets, and its gradient by finite differences.
    #[test]
    fn mixed_labels_are_soft_targets() {
        const STEP: f64 = 1e-5;
        let defined = |logits: &[[f64; 4]; 3], smoothing: f64, weights: [f64; 4]| {
            let (mut sum, mut divisor) = (0.0, 0.0);
            for (image, row) in logits.iter().enumerate() {
                let norm = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                for class in 0..4 {
                    let is = |label: u32| f64::from(u8::from(label as usize == class));
                    let target = SHARE * is(LABELS[image]) + (1.0 - SHARE) * is(SECOND[image]);
                    let smoothed = (1.0 - smoothing) * target + smoothing / 4.0;
                    sum += weights[class] * smoothed * (norm - row[class]);
                    divisor += weights[class] * target;
                }
            }
            sum / divisor
        };
        for (smoothing, weights) in [(0.0, None), (0.1, None), (0.0, Some(WEIGHTS)), (0.1, Some(WEIGHTS))] {
            let (logits, loss) = mixed(LOGITS, smoothing, weights.as_ref().map(|weights| &weights[..]));
            let weights = weights.unwrap_or([1.0; 4]).map(f64::from);
            let rows = LOGITS.map(|row| row.map(f64::from));
            let expected = defined(&rows, smoothing, weights);
            let ours = f64::from(loss.clone().into_scalar::<f32>());
            assert!((ours - expected).abs() < 1e-6, "{ours} != {expected}");

            let gradient = logits.grad(&loss.backward()).unwrap();
            for (place, own) in gradient.into_data().iter::<f32>().enumerate() {
                let moved = |step: f64| {
                    let mut rows = rows;
                    rows[place / 4][place % 4] += step;
                    defined(&rows, smoothing, weights)
                };
                let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!((numeric - f64::from(own)).abs() < 1e-6, "{place}: {own} != {numeric}");
            }
        }
    }
}
