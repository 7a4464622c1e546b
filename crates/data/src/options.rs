//! Options for opening a data set, and their implementation for all formats.

use da2s_images::Image;
use da2s_settings::words;

use super::Format;
use super::dataset::{ChecksumOf, Dataset, ImageShape, Normalisation, Split, Store};
use super::error::DataError;
use super::image_files::Fit;
use super::split::stratified_subset;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

words! {
    /// What happens to files in a folder of images that cannot be decoded.
    #[strum(serialize_all = "lowercase")]
    pub enum BadImages {
        /// The first one is an error.
        Refuse,
        /// Each is reported, and the next image of the same class takes its place.
        Skip,
    }
}

/// Options of [`open`](super::open).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// Rows and columns to which every image is resampled, 1 to 4096; the format's own size if not
    /// given. A folder of images has no size of its own.
    pub image_size: Option<usize>,
    /// Channels to which a folder of images is decoded: 1 (grey) or 3 (colour, the default). The
    /// other formats only accept their own.
    pub channels: Option<usize>,
    /// Maximum number of training images, with each class in proportion; all if not given.
    pub limit: Option<usize>,
    /// Maximum number of test images, and of validation images, with each class in proportion; all
    /// if not given.
    pub test_limit: Option<usize>,
    /// Determines which images the limits keep.
    pub seed: u64,
    /// A folder of images is kept in memory if its decoded and resampled images need no more than
    /// this; otherwise each file is read when a batch needs it. Both give the same batches.
    pub memory_limit_bytes: u64,
    /// Random resized crops of a folder of images are cut from the files' own pixels, not from
    /// images of `image_size`. Every file is then read again in every epoch.
    pub crop_from_original: bool,
    /// Side of the centred crop, as a fraction of a file's shorter side, above 0 and up to 1.
    /// ImageNet's convention of scaling to 256 and cropping to 224 is 0.875.
    pub centre_crop: f32,
    /// Handling of damaged files in a folder of images.
    pub bad_images: BadImages,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            image_size: None,
            channels: None,
            limit: None,
            test_limit: None,
            seed: 0,
            memory_limit_bytes: 4 << 30,
            crop_from_original: false,
            centre_crop: 1.0,
            bad_images: BadImages::Refuse,
        }
    }
}

impl DataOptions {
    /// Checks every option for `format`.
    ///
    /// # Errors
    /// [`DataError::Setting`] for the first that is out of range, or that `format` does not
    /// support.
    pub fn validate(&self, format: Format) -> Result<(), DataError> {
        if let Some(size) = self.image_size {
            DataError::require("image_size", size, (1..=4096).contains(&size), "1 to 4096")?;
        }
        for (option, limit) in [("limit", self.limit), ("test_limit", self.test_limit)] {
            DataError::require(option, 0, limit != Some(0), "at least 1")?;
        }
        let own_channels = match format.facts().shape {
            Some(shape) => vec![shape.channels],
            None => vec![1, 3],
        };
        if let Some(channels) = self.channels {
            let allowed: Vec<_> = own_channels.iter().map(usize::to_string).collect();
            let expected = format!("{} for {format}", allowed.join(" or "));
            DataError::require("channels", channels, own_channels.contains(&channels), expected)?;
        }
        let part = self.centre_crop;
        let allowed = part > 0.0 && part <= 1.0;
        DataError::require("centre_crop", part, allowed, "more than 0 and at most 1")?;
        if format == Format::Images {
            self.fit()?;
        } else {
            let expected = format!("false: {format} has no files of a larger size");
            DataError::require("crop_from_original", true, !self.crop_from_original, expected)?;
            let allowed = part == 1.0 || format == Format::Arrays;
            DataError::require("centre_crop", part, allowed, format!("1 for {format}"))?;
            let refuse = self.bad_images == BadImages::Refuse;
            DataError::require("bad_images", "skip", refuse, format!("refuse for {format}"))?;
        }
        Ok(())
    }

    /// How the files of a folder of images are converted.
    pub(super) fn fit(&self) -> Result<Fit, DataError> {
        match self.image_size {
            Some(size) => Ok(Fit {
                channels: self.channels.unwrap_or(3),
                size,
                centre_crop: self.centre_crop,
            }),
            None => {
                let expected = "a number of pixels: files in a folder may have any size";
                Err(DataError::setting("image_size", "(none)", expected))
            }
        }
    }

    /// Indices of the images with these labels that `limit` keeps.
    pub(super) fn kept(&self, labels: &[u32], limit: Option<usize>) -> Vec<usize> {
        stratified_subset(labels, limit.unwrap_or(usize::MAX), self.seed)
    }
}

/// All images of one part of a format: labels, and concatenated images of one shape, each channel
/// by channel, rows from the top.
pub(super) struct Pictures {
    pub labels: Vec<u32>,
    pub pixels: Vec<u8>,
}

impl Pictures {
    /// The images at `kept`, resampled to squares of `size`. If that changes nothing, the pixels
    /// are not copied.
    fn select(self, kept: &[usize], from: ImageShape, size: usize, centre_crop: f32) -> Split {
        let picture = |index: usize| &self.pixels[index * from.values()..][..from.values()];
        let shape = ImageShape {
            height: size,
            width: size,
            ..from
        };
        if shape == from && centre_crop == 1.0 && kept.iter().copied().eq(0..self.labels.len()) {
            let Self { labels, pixels } = self;
            return Split::new(labels, Store::Memory { shape, pixels });
        }
        let mut pixels = vec![0; kept.len() * shape.values()];
        pixels
            .par_chunks_exact_mut(shape.values())
            .zip(kept)
            .for_each(|(out, &index)| {
                if shape == from && centre_crop == 1.0 {
                    out.copy_from_slice(picture(index));
                } else {
                    let image = Image::new(from, picture(index).to_vec());
                    out.copy_from_slice(image.fit(size, centre_crop).pixels());
                }
            });
        let labels = kept.iter().map(|&index| self.labels[index]).collect();
        Split::new(labels, Store::Memory { shape, pixels })
    }
}

/// The complete content of a format, before the options are applied.
pub(super) struct Content {
    pub format: Format,
    pub class_names: Vec<String>,
    pub shape: ImageShape,
    /// The published statistics, if there are any.
    pub normalisation: Option<Normalisation>,
    pub train: Pictures,
    pub test: Pictures,
    pub checksum: String,
}

impl Content {
    /// Applies limits and size.
    pub(crate) fn into_dataset(self, options: &DataOptions) -> Result<Dataset, DataError> {
        let size = options.image_size.unwrap_or(self.shape.height);
        let shape = ImageShape {
            height: size,
            width: size,
            ..self.shape
        };
        let kept = options.kept(&self.train.labels, options.limit);
        let train = self.train.select(&kept, self.shape, size, options.centre_crop);
        let kept = options.kept(&self.test.labels, options.test_limit);
        let test = self.test.select(&kept, self.shape, size, options.centre_crop);
        let normalisation = match self.normalisation {
            Some(published) => published,
            None => Normalisation::measure(&train)?,
        };
        Ok(Dataset {
            name: self.format.name().into(),
            class_names: self.class_names,
            shape,
            normalisation,
            train: Arc::new(train),
            validation: Arc::new(Split::empty(shape)),
            test: Arc::new(test),
            checksum: self.checksum,
            checksum_of: ChecksumOf::Contents,
            notes: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_or_of_no_use_are_refused() {
        let default = DataOptions::default;
        for (format, options, message) in [
            (
                Format::Digits,
                DataOptions {
                    image_size: Some(0),
                    ..default()
                },
                "image_size = 0: expected 1 to 4096",
            ),
            (
                Format::Images,
                default(),
                "image_size = (none): expected a number of pixels: files in a folder may have any size",
            ),
            (
                Format::Digits,
                DataOptions {
                    limit: Some(0),
                    ..default()
                },
                "limit = 0: expected at least 1",
            ),
            (
                Format::Cifar10,
                DataOptions {
                    test_limit: Some(0),
                    ..default()
                },
                "test_limit = 0: expected at least 1",
            ),
            (
                Format::Cifar10,
                DataOptions {
                    channels: Some(1),
                    ..default()
                },
                "channels = 1: expected 3 for cifar10",
            ),
            (
                Format::Images,
                DataOptions {
                    image_size: Some(8),
                    channels: Some(2),
                    ..default()
                },
                "channels = 2: expected 1 or 3 for images",
            ),
            (
                Format::Images,
                DataOptions {
                    image_size: Some(8),
                    centre_crop: f32::NAN,
                    ..default()
                },
                "centre_crop = NaN: expected more than 0 and at most 1",
            ),
            (
                Format::Digits,
                DataOptions {
                    centre_crop: 0.5,
                    ..default()
                },
                "centre_crop = 0.5: expected 1 for digits",
            ),
            (
                Format::Digits,
                DataOptions {
                    crop_from_original: true,
                    ..default()
                },
                "crop_from_original = true: expected false: digits has no files of a larger size",
            ),
            (
                Format::Mnist,
                DataOptions {
                    bad_images: BadImages::Skip,
                    ..default()
                },
                "bad_images = skip: expected refuse for mnist",
            ),
        ] {
            assert_eq!(options.validate(format).unwrap_err().to_string(), message);
        }
        for format in Format::readable().filter(|format| format.facts().shape.is_some()) {
            default().validate(format).unwrap();
        }
    }
}
