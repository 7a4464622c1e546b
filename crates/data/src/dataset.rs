//! What the training loops see of any data set: pictures with labels, divided into parts, and how
//! to normalise them.

use da2s_images::{Image, byte_table};

use super::error::DataError;
use super::image_files::ImageFiles;
pub use da2s_images::ImageShape;
use da2s_settings::words;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Most images that [`Normalisation::measure`] looks at: right to a few thousandths, and a folder
/// of a million files opens in seconds.
const MEASURED_IMAGES: usize = 4096;

/// How bytes become the numbers a network sees: `(byte / 255 − mean) / std`, per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Mean and standard deviation over the images of `split`, or over 4,096 of them, evenly
    /// spread, if there are more. A channel that never varies gets a standard deviation of 1, so
    /// that it becomes 0. The sums are integers: their order does not matter.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub fn measure(split: &Split) -> Result<Self, DataError> {
        let count = split.len().min(MEASURED_IMAGES);
        let sums = (0..count)
            .into_par_iter()
            .map(|i| split.image(i * split.len() / count).map(|image| moments(&image)))
            .try_reduce(Vec::new, |a, b| Ok(add(a, b)))?;
        let (mean, std) = sums
            .into_iter()
            .map(|[pixels, sum, squares]| {
                let mean = sum as f64 / pixels as f64;
                let variance = squares as f64 / pixels as f64 - mean * mean;
                let std = if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 };
                ((mean / 255.0) as f32, std as f32)
            })
            .unzip();
        Ok(Self { mean, std })
    }

    /// What each byte becomes, per channel.
    pub(super) fn table(&self) -> Vec<[f32; 256]> {
        byte_table(&self.mean, &self.std)
    }
}

/// Per channel: number of pixels, their sum, the sum of their squares.
fn moments(image: &Image) -> Vec<[u64; 3]> {
    let shape = image.shape();
    image
        .pixels()
        .chunks_exact(shape.height * shape.width)
        .map(|plane| {
            let sum = plane.iter().map(|&p| u64::from(p)).sum();
            let squares = plane.iter().map(|&p| u64::from(p).pow(2)).sum();
            [plane.len() as u64, sum, squares]
        })
        .collect()
}

/// Adds moments channel by channel; no moments at all are the zero.
fn add(a: Vec<[u64; 3]>, b: Vec<[u64; 3]>) -> Vec<[u64; 3]> {
    if a.is_empty() {
        return b;
    }
    if b.is_empty() {
        return a;
    }
    a.into_iter()
        .zip(b)
        .map(|(a, b)| std::array::from_fn(|i| a[i] + b[i]))
        .collect()
}

/// Where the pictures of a [`Split`] are.
#[derive(Debug)]
pub(super) enum Store {
    /// In memory, one after the other, all of the same shape.
    Memory { shape: ImageShape, pixels: Vec<u8> },
    /// In files, each read and decoded when asked for.
    Files(ImageFiles),
}

/// Labelled pictures: a part of a data set.
#[derive(Debug)]
pub struct Split {
    labels: Vec<u32>,
    store: Store,
    /// Damaged files that others stand in for, where the pictures are in memory.
    damaged: Vec<PathBuf>,
}

impl Split {
    /// # Panics
    /// If the number of pictures is not the number of labels.
    pub(super) fn new(labels: Vec<u32>, store: Store) -> Self {
        let pictures = match &store {
            Store::Memory { shape, pixels } => pixels.len() / shape.values(),
            Store::Files(files) => files.list.len(),
        };
        assert_eq!(pictures, labels.len(), "one label a picture");
        Self {
            labels,
            store,
            damaged: Vec::new(),
        }
    }

    /// The pictures in `files`, read when asked for.
    pub(super) fn lazy(files: ImageFiles) -> Self {
        Self::new(files.list.labels().to_vec(), Store::Files(files))
    }

    /// The pictures in `files`, which `pixels` holds in the data set's shape.
    pub(super) fn read(files: &ImageFiles, pixels: Vec<u8>) -> Self {
        let shape = files.fit.shape();
        Self {
            damaged: files.damaged(),
            ..Self::new(files.list.labels().to_vec(), Store::Memory { shape, pixels })
        }
    }

    /// No pictures, in the shape of a data set's.
    pub(super) fn empty(shape: ImageShape) -> Self {
        Self::new(
            Vec::new(),
            Store::Memory {
                shape,
                pixels: Vec::new(),
            },
        )
    }

    /// Bytes of the pictures that are held in memory.
    pub fn resident_bytes(&self) -> usize {
        match &self.store {
            Store::Memory { pixels, .. } => pixels.len(),
            Store::Files(_) => 0,
        }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture. In an opened data set only so for validation pictures that it
    /// does not have.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each picture, an index into the data set's class names.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Whether pictures are read from files when asked for, not kept in memory.
    #[cfg(test)]
    pub(crate) fn is_lazy(&self) -> bool {
        match self.store {
            Store::Memory { .. } => false,
            Store::Files(_) => true,
        }
    }

    /// Damaged files that others stand in for, see [`BadImages::Skip`](super::BadImages::Skip): all
    /// of them where the pictures are in memory, otherwise those that were asked for so far.
    pub fn damaged(&self) -> Vec<PathBuf> {
        match &self.store {
            Store::Memory { .. } => self.damaged.clone(),
            Store::Files(files) => files.damaged(),
        }
    }

    /// One picture, of the data set's shape.
    ///
    /// # Errors
    /// If its file cannot be read or decoded.
    ///
    /// # Panics
    /// If `index` is not below [`Split::len`].
    pub fn image(&self, index: usize) -> Result<Image, DataError> {
        match &self.store {
            Store::Memory { shape, pixels } => Ok(Image::new(
                *shape,
                pixels[index * shape.values()..][..shape.values()].to_vec(),
            )),
            Store::Files(files) => files.fitted(index),
        }
    }

    /// The picture that a random resized crop is cut from: the file's own pixels, of any size, if
    /// the data set was opened with `crop_from_original`; otherwise the same as [`Split::image`].
    ///
    /// # Errors
    /// If its file cannot be read or decoded.
    ///
    /// # Panics
    /// If `index` is not below [`Split::len`].
    pub(crate) fn image_to_crop(&self, index: usize) -> Result<Image, DataError> {
        match &self.store {
            Store::Files(files) if files.crop_from_original => files.picture(index),
            Store::Files(_) | Store::Memory { .. } => self.image(index),
        }
    }
}

words! {
    /// A part of a data set.
    #[strum(serialize_all = "lowercase")]
    pub enum Part {
        /// Those that weights and architecture learn from.
        Train,
        /// Those that only choose the epoch of the final network, where the data set has some of
        /// its own.
        Validation,
        /// Those that only the final accuracy is measured on.
        Test,
    }
}

/// A data set, opened.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The format's name, as the user writes it.
    pub name: String,
    /// Names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// Shape of every picture.
    pub shape: ImageShape,
    /// How to normalise them.
    pub normalisation: Normalisation,
    /// Training pictures.
    pub train: Arc<Split>,
    /// Validation pictures that the data set sets aside by itself; mostly none.
    pub validation: Arc<Split>,
    /// Test pictures.
    pub test: Arc<Split>,
    /// SHA-256 in hexadecimal of what [`Self::checksum_of`] says.
    pub checksum: String,
    /// What the checksum is of.
    pub checksum_of: ChecksumOf,
    /// What a user should know of how the images lie, in sentences: what is set aside, and what is
    /// passed over.
    pub notes: Vec<String>,
}

words! {
    /// What the checksum of a data set is of.
    #[strum(serialize_all = "lowercase")]
    pub enum ChecksumOf {
        /// Everything that was read.
        Contents,
        /// Of files that are read only when needed: their paths, their sizes, and three blocks of 4
        /// KiB of each, at its beginning, in its middle and at its end.
        Blocks,
    }
}

impl Dataset {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The pictures of a part.
    pub fn part(&self, part: Part) -> &Arc<Split> {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pictures(pixels: Vec<u8>) -> Split {
        let shape = ImageShape {
            channels: 2,
            height: 1,
            width: 2,
        };
        Split::new(vec![0, 1], Store::Memory { shape, pixels })
    }

    #[test]
    fn measured_moments_are_those_of_the_channels() {
        let split = two_pictures(vec![0, 255, 7, 7, 255, 0, 7, 7]);
        let Normalisation { mean, std } = Normalisation::measure(&split).unwrap();
        assert_eq!(mean, [0.5, 7.0 / 255.0]);
        assert_eq!(std, [0.5, 1.0]);
    }

    #[test]
    fn the_table_normalises() {
        let normalisation = Normalisation {
            mean: vec![0.5],
            std: vec![0.25],
        };
        let table = normalisation.table();
        assert_eq!([table[0][0], table[0][255]], [-2.0, 2.0]);
    }

    #[test]
    fn a_picture_is_its_own_slice() {
        let split = two_pictures((0..8).collect());
        assert_eq!(split.image(1).unwrap().pixels(), [4, 5, 6, 7]);
        assert_eq!(split.image_to_crop(1).unwrap(), split.image(1).unwrap());
    }
}
