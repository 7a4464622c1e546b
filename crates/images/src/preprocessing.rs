//! Converts an image of any size to the input of a trained network, as in its evaluation.
//!
//! Contract: a [`Preprocessing`] has the rules and constants; the functions here follow them and
//! return exactly the numbers of the evaluation. The constants are stored with a network's weights,
//! so that the network can be used without its data set.

use std::path::Path;

use da2s_records::schema::Preprocessing;

use crate::error::ImageError;
use crate::image::Image;

impl Image {
    /// The network's input for the image in a file: channels × rows × columns.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub fn read_preprocessed(path: &Path, preprocessing: &Preprocessing) -> Result<Vec<f32>, ImageError> {
        Ok(Self::read(path, preprocessing.channels)?.preprocessed(preprocessing))
    }

    /// The network's input for this image, which must have as many channels as the network reads.
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

/// The value of each byte, per channel: `(byte / 255 − mean) / std`.
pub fn byte_table(mean: &[f32], std: &[f32]) -> Vec<[f32; 256]> {
    let value = |byte: usize, mean: f32, std: f32| (byte as f32 / 255.0 - mean) / std;
    let channels = mean.iter().zip(std);
    channels
        .map(|(&mean, &std)| core::array::from_fn(|byte| value(byte, mean, std)))
        .collect()
}
