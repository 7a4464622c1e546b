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
    let total = if smoothing > 0.0 { picked + log.sum() * (smoothing / classes as f64) } else { picked };
    total * (-1.0 / batch as f64)
}

/// How many of a batch have their label as the largest logit.
pub fn correct_count(logits: Tensor<2>, labels: &[u32]) -> usize {
    let predicted: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
    predicted.iter().zip(labels).filter(|(predicted, label)| **predicted == i64::from(**label)).count()
}
