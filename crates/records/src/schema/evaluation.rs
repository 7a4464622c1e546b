//! `network/evaluation.json`: the final network on the test images.
//!
//! A number that is absent, `null` or not finite is `None`.

use serde::{Deserialize, Serialize};

use super::{Calibration, Fit, JudgedImage};
use crate::statistics::interval_of;

/// `network/evaluation.json`: the final network on the test set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Test images.
    pub images: Option<u64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Accuracy on images that the network was trained on, percent, without augmentation; absent in
    /// runs of earlier versions, and for imported weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Number of these images: all, or as many as there are test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<u64>,
    /// Indices of all misclassified images, ascending; absent in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Vec<u64>>,
    /// Class names.
    #[serde(default)]
    pub classes: Vec<String>,
    /// `confusion[true class][predicted class]`, images.
    #[serde(default)]
    pub confusion: Vec<Vec<u64>>,
    /// How far its probabilities can be believed; absent in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Misclassified images, the worst first. The file has some of them, `network/mistakes.csv`
    /// all.
    #[serde(default)]
    pub mistakes: Vec<JudgedImage>,
}

impl Evaluation {
    /// Wilson's 95 % interval of the accuracy, percent.
    pub fn interval(&self) -> Option<[f64; 2]> {
        interval_of(self.accuracy?, self.images?)
    }

    /// Compares this network with another one, which misclassifies the `wrong` of its `images` test
    /// images: the number that only this network has right, and the number that only the other one
    /// has right. Both lists ascend. `None` if the numbers of images differ.
    pub(super) fn against(&self, images: Option<u64>, wrong: &[u64]) -> Option<[u64; 2]> {
        let own = self.wrong.as_deref().filter(|_| self.images == images)?;
        let only = |right_in: &[u64], wrong_in: &[u64]| {
            let wrong = |image: &&u64| right_in.binary_search(image).is_err();
            wrong_in.iter().filter(wrong).count() as u64
        };
        Some([only(own, wrong), only(wrong, own)])
    }

    /// How well the network fits the images that it was trained on, compared with the test images.
    pub fn fit(&self) -> Option<Fit> {
        Some(Fit {
            train: self.train_accuracy?,
            test: self.accuracy?,
            interval: self.interval()?,
        })
    }

    /// Checks that the confusion matrix is square with one row per class, that the mistakes are of
    /// these classes, and that the calibration can be drawn.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        let classes = self.classes.len();
        let unknown = |mistake: &&JudgedImage| mistake.class.max(mistake.predicted) >= classes;
        if let Some(mistake) = self.mistakes.iter().find(unknown) {
            return Err(format!(
                "{classes} classes, but image {} is of class {} and taken for {}",
                mistake.index, mistake.class, mistake.predicted
            ));
        }
        self.calibration.as_ref().map_or(Ok(()), Calibration::check)?;
        if self.confusion.is_empty() {
            return Ok(());
        }
        if self.confusion.len() != classes {
            return Err(format!(
                "{classes} classes, but the confusion matrix has {} rows",
                self.confusion.len()
            ));
        }
        match self.confusion.iter().find(|row| row.len() != classes) {
            Some(row) => Err(format!(
                "{classes} classes, but a row of the confusion matrix has {} entries",
                row.len()
            )),
            None => Ok(()),
        }
    }
}
