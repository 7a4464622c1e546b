//! Accuracy, loss and confusion of a backbone on a set of images.

mod judge;

use burn::tensor::{Device, Int, Tensor, TensorData};
use da2s_records::Kind;
use da2s_records::schema::{Calibration, Evaluation};

pub use self::judge::judge;
use self::judge::{judged, worst_first};
use crate::backbone::{Backbone, Pass};
use crate::data::{Batch, DataError, Loader};
use crate::finite::OutputNotFinite;
use crate::hint::Hint;
use crate::objective::cross_entropy;
use crate::parallel::Group;

/// Why a network could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// An image that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Outputs that are not finite and so indicate no class.
    #[error(transparent)]
    Output(#[from] OutputNotFinite),
    /// `stop`, which is called before each batch, returned true; the partial results are discarded.
    #[error("stopped while a network was being measured")]
    Stopped,
}

impl EvaluateError {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Data(error) => error.kind(),
            Self::Output(_) => Kind::Numbers,
            Self::Stopped => Kind::Stopped,
        }
    }

    /// What the user can do about it, beyond the message itself.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Data(_) | Self::Output(_) => Vec::new(),
            Self::Stopped => vec![Hint::Repeat, Hint::Resume],
        }
    }
}

/// A batch whose images are a tensor. They are moved there, and the fused engine reads them in the
/// order in which the loader wrote them, so no step copies them.
#[derive(Clone, Debug)]
pub struct DeviceBatch {
    /// The images, `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// The class of each image.
    pub labels: Vec<u32>,
    /// The index of each image in its part of the data.
    pub indices: Vec<usize>,
}

impl DeviceBatch {
    /// Moves `batch` to `device`.
    pub fn new(batch: Batch, device: &Device) -> Self {
        let Batch {
            images,
            labels,
            shape: [samples, channels, height, width],
            indices,
        } = batch;
        let images = Tensor::<4>::from_data(TensorData::new(images, [samples, height, width, channels]), device);
        Self {
            images: images.permute([0, 3, 1, 2]),
            labels,
            indices,
        }
    }
}

/// The labels of a batch as a tensor, `[batch]`.
pub(crate) fn labels_on(labels: &[u32], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}

/// The number of images in a batch whose largest logit is at their label.
pub(crate) fn correct_count(logits: Tensor<2>, labels: &[u32]) -> usize {
    let predicted: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
    predicted
        .iter()
        .zip(labels)
        .filter(|(predicted, label)| **predicted == i64::from(**label))
        .count()
}

/// Accuracy in percent on the images of `loader` and those of the other processes of `group`: the
/// same number as on all images in one process. `stop` is called before each batch, and must return
/// the same in each process.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Stopped`] if `stop` returns true.
pub fn accuracy(
    backbone: &Backbone,
    pass: Pass<'_>,
    loader: &Loader,
    group: &Group,
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<f64, EvaluateError> {
    let (mut images, mut correct) = (0, 0);
    for step in 0..loader.steps_per_epoch() {
        unless(stop)?;
        let batch = DeviceBatch::new(loader.batch(0, step)?, device);
        let logits = backbone.forward(batch.images.clone(), pass).logits;
        images += batch.labels.len();
        correct += correct_count(logits, &batch.labels);
    }
    // Counts are integers, so their sums are exact.
    let [images, correct] = group.sum([images as f64, correct as f64]);
    Ok(100.0 * if images == 0.0 { 0.0 } else { correct / images })
}

/// Returns an error if `stop` returns true.
pub(crate) fn unless(stop: &dyn Fn() -> bool) -> Result<(), EvaluateError> {
    if stop() { Err(EvaluateError::Stopped) } else { Ok(()) }
}

/// Evaluates on all images of `loader`; without class names there are only accuracy and loss, and
/// outputs that are not finite are not an error. All misclassified images are listed, the worst
/// first. `stop` is called before each batch.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Output`] if class names are given and an output is
/// NaN or infinite; [`EvaluateError::Stopped`] if `stop` returns true.
pub fn evaluate(
    backbone: &Backbone,
    pass: Pass<'_>,
    loader: &Loader,
    classes: &[String],
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<Evaluation, EvaluateError> {
    let mut confusion = vec![vec![0u64; classes.len()]; classes.len()];
    let (mut mistakes, mut predictions) = (Vec::new(), Vec::new());
    let (mut images, mut correct, mut loss) = (0, 0, 0.0);
    for step in 0..loader.steps_per_epoch() {
        unless(stop)?;
        let batch = DeviceBatch::new(loader.batch(0, step)?, device);
        let logits = backbone.forward(batch.images.clone(), pass).logits;
        let mean = cross_entropy(logits.clone(), labels_on(&batch.labels, device), 0.0).into_scalar::<f32>();
        loss += f64::from(mean) * batch.labels.len() as f64;
        images += batch.labels.len();
        if classes.is_empty() {
            correct += correct_count(logits, &batch.labels);
            continue;
        }
        for image in judged(&batch, logits)? {
            correct += usize::from(!image.is_mistake());
            confusion[image.class][image.predicted] += 1;
            predictions.push((image.predicted_probability.unwrap_or_default(), !image.is_mistake()));
            if image.is_mistake() {
                mistakes.push(image);
            }
        }
    }
    let share = |sum: f64| if images == 0 { 0.0 } else { sum / images as f64 };
    let wrong = mistakes.iter().map(|image| image.index).collect();
    Ok(Evaluation {
        images: Some(images as u64),
        loss: Some(share(loss)),
        accuracy: Some(100.0 * share(correct as f64)),
        train_accuracy: None,
        train_images: None,
        wrong: (!classes.is_empty()).then_some(wrong),
        classes: classes.to_vec(),
        confusion,
        calibration: (!classes.is_empty()).then(|| Calibration::of(predictions)),
        mistakes: worst_first(mistakes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logit_is_the_prediction() {
        let logits = TensorData::from([[1.0f32, -2.0, 0.5], [0.0, 3.0, -1.0]]);
        let logits = Tensor::from_data(logits, &Device::flex());
        assert_eq!(correct_count(logits.clone(), &[2, 1]), 1);
        assert_eq!(correct_count(logits, &[0, 1]), 2);
    }
}
