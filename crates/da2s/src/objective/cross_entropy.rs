//! The loss on the data: cross-entropy, with label smoothing (Szegedy et al., "Rethinking the
//! Inception Architecture", 2016, section 7), and with class weights.

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
}
