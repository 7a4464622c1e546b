//! What turns a picture of any size into what a trained network sees: the same as in its
//! evaluation.
//!
//! Contract: decode to `channels`, take the centred square of `centre_crop` of the shorter side,
//! resample it to `image_size`, normalise: [`Preprocessing::values`] gives the very numbers of the
//! evaluation. It is kept beside a network's weights, so that the network can be used where its
//! data set is not.

use serde::{Deserialize, Serialize};
use std::path::Path;

use crate::error::ImageError;
use crate::image::Image;

/// The constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows and columns that the network sees.
    pub image_size: usize,
    /// Part of the shorter side that the centred square takes.
    pub centre_crop: f32,
    /// Mean of each channel on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel on the scale 0 to 1.
    pub std: Vec<f32>,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
}

impl Preprocessing {
    /// What is wrong with constants that were read from a file, if anything is.
    pub fn problem(&self) -> Option<String> {
        let Self {
            channels, mean, std, ..
        } = self;
        if !matches!(channels, 1 | 3) {
            return Some(format!("channels is {channels}, not 1 or 3"));
        }
        if mean.len() != *channels || std.len() != *channels {
            return Some(format!("mean and std must have {channels} numbers, one a channel"));
        }
        if !(1..=4096).contains(&self.image_size) {
            return Some(format!("image_size is {}, not 1 to 4096", self.image_size));
        }
        if !(self.centre_crop > 0.0 && self.centre_crop <= 1.0) {
            return Some(format!(
                "centre_crop is {}, not more than 0 and at most 1",
                self.centre_crop
            ));
        }
        let usable = |number: &f32| number.is_finite();
        if !mean.iter().all(usable) || !std.iter().all(|std| usable(std) && *std > 0.0) {
            return Some("mean and std must be numbers, and std more than 0".to_owned());
        }
        (self.classes.is_empty()).then(|| "it names no classes".to_owned())
    }

    /// Number of values of a picture.
    pub fn len(&self) -> usize {
        self.channels * self.image_size * self.image_size
    }

    /// Whether a picture has no values; never so for constants without a [`Self::problem`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of the image in a file: channels × rows × columns.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub fn read(&self, path: &Path) -> Result<Vec<f32>, ImageError> {
        Ok(self.values(&Image::read(path, self.channels)?))
    }

    /// The values of a picture that has as many channels as the network sees.
    pub fn values(&self, image: &Image) -> Vec<f32> {
        let fitted = image.fit(self.image_size, self.centre_crop);
        let normalised = byte_table(&self.mean, &self.std);
        let planes = fitted.pixels().chunks_exact(self.image_size * self.image_size);
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

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Preprocessing);

    #[test]
    fn constants_that_cannot_be_are_named() {
        let good = Preprocessing {
            channels: 1,
            image_size: 8,
            centre_crop: 1.0,
            mean: vec![0.5],
            std: vec![0.25],
            classes: vec!["a".to_owned()],
        };
        assert_eq!(good.problem(), None);
        let cases: [(&str, Change); 6] = [
            ("channels is 2", |bad| bad.channels = 2),
            ("one a channel", |bad| bad.std.push(1.0)),
            ("image_size is 0", |bad| bad.image_size = 0),
            ("centre_crop is 0", |bad| bad.centre_crop = 0.0),
            ("more than 0", |bad| bad.std = vec![0.0]),
            ("no classes", |bad| bad.classes.clear()),
        ];
        for (say, change) in cases {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(bad.problem().unwrap().contains(say), "{say}");
        }
    }
}
