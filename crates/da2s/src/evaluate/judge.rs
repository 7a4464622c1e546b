//! What a network makes of single images: prediction, probabilities, loss.
//!
//! Contract: probabilities are the softmax of the logits in double precision; of equal mistakes the
//! earlier image comes first.

use burn::tensor::{Device, Tensor};
use da2s_records::schema::JudgedImage;

use super::{DeviceBatch, EvaluateError, unless};
use crate::backbone::{Backbone, Pass};
use crate::data::Loader;
use crate::device::host;
use crate::finite::{OutputNotFinite, finite_outputs};

/// Judges all images of `loader`, in its order. `stop` is called before each batch.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Output`] if an output is NaN or infinite;
/// [`EvaluateError::Stopped`] if `stop` returns true.
pub fn judge(
    backbone: &Backbone,
    pass: Pass<'_>,
    loader: &Loader,
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<JudgedImage>, EvaluateError> {
    let mut images = Vec::with_capacity(loader.samples());
    for step in 0..loader.steps_per_epoch() {
        unless(stop)?;
        let batch = DeviceBatch::new(loader.batch(0, step)?, device);
        let logits = backbone.forward(batch.images.clone(), pass).logits;
        images.extend(judged(&batch, logits)?);
    }
    Ok(images)
}

/// The images of `batch`, judged by their logits, `[batch, classes]`.
pub(super) fn judged(batch: &DeviceBatch, logits: Tensor<2>) -> Result<Vec<JudgedImage>, OutputNotFinite> {
    let predictions: Vec<i64> = logits.clone().argmax(1).into_data().iter::<i64>().collect();
    let rows = host(&logits);
    finite_outputs(&rows)?;
    let rows = rows.chunks_exact(rows.len() / batch.labels.len());
    let images = batch.indices.iter().zip(&batch.labels).zip(predictions).zip(rows);
    Ok(images
        .map(|(((&index, &label), predicted), row)| of(index, label as usize, predicted as usize, row))
        .collect())
}

/// An image: its index, its class, the predicted class and one logit per class.
fn of(index: usize, class: usize, predicted: usize, logits: &[f32]) -> JudgedImage {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = |logit: f32| f64::from(logit - top).exp();
    let sum: f64 = logits.iter().map(|&logit| power(logit)).sum();
    let probability = |class: usize| logits.get(class).map_or(0.0, |&logit| power(logit) / sum);
    let own = logits
        .get(class)
        .map_or(f64::NEG_INFINITY, |&logit| f64::from(logit - top));
    JudgedImage {
        index: index as u64,
        path: None,
        class,
        predicted,
        class_probability: Some(probability(class)),
        predicted_probability: Some(probability(predicted)),
        loss: Some(sum.ln() - own),
        picture: None,
    }
}

/// The images with the highest loss first.
pub(super) fn worst_first(mut images: Vec<JudgedImage>) -> Vec<JudgedImage> {
    let loss = |image: &JudgedImage| image.loss.unwrap_or(f64::NEG_INFINITY);
    images.sort_by(|a, b| loss(b).total_cmp(&loss(a)));
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_mistakes_come_first_and_of_equal_ones_the_earlier() {
        let images = (1..40).map(|index| of(index, 0, 1, &[0.0, (index % 30) as f32]));
        let worst = worst_first(images.collect());
        let indices: Vec<u64> = worst.iter().map(|image| image.index).collect();
        assert_eq!(indices[..3], [29, 28, 27]);
        assert_eq!(indices[20..24], [9, 39, 8, 38]);
        let [loss, own, other] = [
            worst[0].loss,
            worst[0].class_probability,
            worst[0].predicted_probability,
        ]
        .map(Option::unwrap);
        assert!((loss + own.ln()).abs() < 1e-9);
        assert!((own + other - 1.0).abs() < 1e-12);
    }
}
