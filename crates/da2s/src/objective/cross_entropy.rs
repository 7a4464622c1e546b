//! The data's loss: cross-entropy, with label smoothing (Szegedy et al., "Rethinking the Inception
//! Architecture", 2016, section 7).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Mean cross-entropy over a batch, one element. `logits` is `[batch, classes]`, `labels` `[batch]`; with
/// `smoothing` ε the target is 1 − ε on the label plus ε spread over all classes.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let log = log_softmax(logits, 1);
    let picked = log.clone().gather(1, labels.reshape([batch, 1])).sum() * (1.0 - smoothing);
    let total = if smoothing > 0.0 {
        picked + log.sum() * (smoothing / classes as f64)
    } else {
        picked
    };
    total * (-1.0 / batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

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
}
