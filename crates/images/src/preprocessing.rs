//! What turns a picture of any size into what a trained network sees: the same as in its
//! evaluation.
//!
//! Contract: a [`Preprocessing`] has the rules and constants; what is here follows them to the very
//! numbers of the evaluation. They are kept beside a network's weights, so that the network can be
//! used where its data set is not.

use std::path::Path;

use da2s_records::schema::Preprocessing;

use crate::error::ImageError;
use crate::image::Image;

impl Image {
    /// What the network sees of the image in a file: channels × rows × columns.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub fn read_preprocessed(path: &Path, preprocessing: &Preprocessing) -> Result<Vec<f32>, ImageError> {
        Ok(Self::read(path, preprocessing.channels)?.preprocessed(preprocessing))
    }

    /// What the network sees of a picture that has as many channels as it.
    pub fn preprocessed(&self, preprocessing: &Preprocessing) -> Vec<f32> {
        let side = preprocessing.image_size;
        let fitted = self.fit(side, preprocessing.centre_crop);
        let normalised = byte_table(&preprocessing.mean, &preprocessing.std);
        let planes = fitted.pixels().chunks_exact(side * side);
        planes
            .zip(&normalised)
            .flat_map(|(plane, values)| plane.iter().map(|&byte| values[usize::from(byte)]))
            .collect()
    }
}

/// What each byte becomes, per channel: `(byte / 255 − mean) / std`.
pub fn byte_table(mean: &[f32], std: &[f32]) -> Vec<[f32; 256]> {
    let value = |byte: usize, mean: f32, std: f32| (byte as f32 / 255.0 - mean) / std;
    let channels = mean.iter().zip(std);
    channels
        .map(|(&mean, &std)| core::array::from_fn(|byte| value(byte, mean, std)))
        .collect()
}
