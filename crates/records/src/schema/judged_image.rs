//! What a network predicts for one image: its label, the prediction, and their probabilities.

use serde::{Deserialize, Serialize};

/// An image with its label and the network's prediction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgedImage {
    /// Its index within its part of the data set, from 0.
    pub index: u64,
    /// Its file, relative to the folder of the data set; absent for images that are not separate
    /// files, and in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its class according to its label, an index into the class names.
    pub class: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The network's probability for the class of its label, 0 to 1.
    pub class_probability: Option<f64>,
    /// The network's probability for the predicted class.
    pub predicted_probability: Option<f64>,
    /// Cross-entropy of the image, nats.
    pub loss: Option<f64>,
    /// The image as a PNG file, filled in by the reader: in a run it is a separate file.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
}

impl JudgedImage {
    /// Whether the prediction differs from the label.
    pub fn is_mistake(&self) -> bool {
        self.class != self.predicted
    }

    /// Its file, or its number if it has none: `test/cat/17.jpg`, or `image 1982`.
    pub fn name(&self) -> String {
        self.path.clone().unwrap_or_else(|| format!("image {}", self.index))
    }
}
