//! `network/evaluation.json`: the final network on the test images.
//!
//! A number that is absent, `null` or not finite is `None`.

use serde::{Deserialize, Serialize};

/// `network/evaluation.json`: the final network on the test set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Test images.
    pub images: Option<u64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Indices of all misclassified images, ascending; absent in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Vec<u64>>,
    /// Class names.
    #[serde(default)]
    pub classes: Vec<String>,
    /// `confusion[true class][predicted class]`, images.
    #[serde(default)]
    pub confusion: Vec<Vec<u64>>,
    /// Misclassified images, the worst first.
    #[serde(default)]
    pub mistakes: Vec<Mistake>,
}

/// A misclassified test image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its index among the test images, from 0.
    pub index: u64,
    /// Its class, an index into the class names.
    pub class: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The network's probability for its class.
    pub class_probability: Option<f64>,
    /// The network's probability for the predicted class.
    pub predicted_probability: Option<f64>,
    /// Cross-entropy of the image, nats.
    pub loss: Option<f64>,
    /// The image as a PNG file, filled in by the reader: in a run it is a separate file.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
}

impl Evaluation {
    /// Checks that the confusion matrix is square with one row per class, and that the mistakes are
    /// of these classes.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        let classes = self.classes.len();
        let unknown = |mistake: &&Mistake| mistake.class.max(mistake.predicted) >= classes;
        if let Some(mistake) = self.mistakes.iter().find(unknown) {
            return Err(format!(
                "{classes} classes, but image {} is of class {} and taken for {}",
                mistake.index, mistake.class, mistake.predicted
            ));
        }
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
