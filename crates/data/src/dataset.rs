//! An opened data set, the interface of all formats to training: labelled images, divided into
//! parts, and their normalisation.

use da2s_images::{Image, byte_table};

use super::error::DataError;
use super::image_files::{FileList, ImageFiles};
pub use da2s_images::ImageShape;
use da2s_records::schema::{DatasetImages, Sides};
use da2s_settings::words;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Maximum number of images that [`Normalisation::measure`] reads: accurate to a few thousandths,
/// and a folder with a million files opens in seconds.
const MEASURED_IMAGES: usize = 4096;

/// Maximum number of files that [`Split::sides_in_files`] reads.
const SIZED_IMAGES: usize = 256;

/// Converts bytes to the network's input: `(byte / 255 − mean) / std`, per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Mean and standard deviation over the images of `split`, or over 4,096 of them, evenly
    /// spaced, if there are more. A constant channel gets a standard deviation of 1, so that it
    /// becomes 0. The sums are integers: their order does not matter.
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

    /// The normalised value of each byte, per channel.
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

/// Adds moments channel by channel; an empty list is zero.
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

/// Location of the images of a [`Split`].
#[derive(Debug)]
pub(super) enum Store {
    /// Concatenated in memory, all of the same shape.
    Memory { shape: ImageShape, pixels: Vec<u8> },
    /// In files, each read and decoded when requested.
    Files(ImageFiles),
}

/// Labelled images: a part of a data set.
#[derive(Debug)]
pub struct Split {
    labels: Vec<u32>,
    store: Store,
    /// The files of images in memory, if each image has its own file.
    files: Option<ReadFiles>,
}

/// The files from which images in memory were read.
#[derive(Debug)]
struct ReadFiles {
    list: FileList,
    /// Those that were replaced by others.
    damaged: Vec<PathBuf>,
    sides: Option<Sides>,
}

impl Split {
    /// # Panics
    /// If the numbers of images and labels differ.
    pub(super) fn new(labels: Vec<u32>, store: Store) -> Self {
        let pictures = match &store {
            Store::Memory { shape, pixels } => pixels.len() / shape.values(),
            Store::Files(files) => files.list.len(),
        };
        assert_eq!(pictures, labels.len(), "one label per image");
        Self {
            labels,
            store,
            files: None,
        }
    }

    /// The images in `files`, read when requested.
    pub(super) fn lazy(files: ImageFiles) -> Self {
        Self::new(files.list.labels().to_vec(), Store::Files(files))
    }

    /// The images in `files`, with `pixels` as their content in the data set's shape; in the files
    /// they have these `sizes`, rows and columns.
    pub(super) fn read(files: &ImageFiles, pixels: Vec<u8>, sizes: &[(usize, usize)]) -> Self {
        let shape = files.fit.shape();
        Self {
            files: Some(ReadFiles {
                list: files.list.clone(),
                damaged: files.damaged(),
                sides: Sides::of(sizes.iter().copied()),
            }),
            ..Self::new(files.list.labels().to_vec(), Store::Memory { shape, pixels })
        }
    }

    /// An empty part, with the shape of a data set.
    pub(super) fn empty(shape: ImageShape) -> Self {
        Self::new(
            Vec::new(),
            Store::Memory {
                shape,
                pixels: Vec::new(),
            },
        )
    }

    /// Number of bytes in memory: of the images, of their labels, and of the list of their files.
    pub fn resident_bytes(&self) -> usize {
        let images = match &self.store {
            Store::Memory { pixels, .. } => pixels.len(),
            Store::Files(files) => files.list.bytes(),
        };
        let list = self.files.as_ref().map_or(0, |files| files.list.bytes());
        images + list + size_of_val(&*self.labels)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images. In an opened data set only true for missing validation images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each image, an index into the data set's class names.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Whether images are read from files when requested, instead of being kept in memory.
    #[cfg(test)]
    pub(crate) fn is_lazy(&self) -> bool {
        match self.store {
            Store::Memory { .. } => false,
            Store::Files(_) => true,
        }
    }

    /// Damaged files that were replaced by others, see [`BadImages::Skip`](super::BadImages::Skip):
    /// all of them if the images are in memory, otherwise those that were requested so far.
    pub fn damaged(&self) -> Vec<PathBuf> {
        match &self.store {
            Store::Memory { .. } => self
                .files
                .as_ref()
                .map(|files| files.damaged.clone())
                .unwrap_or_default(),
            Store::Files(files) => files.damaged(),
        }
    }

    /// The file of an image; `None` if it has none of its own, or its own is damaged and another
    /// image took its place.
    ///
    /// # Panics
    /// If `index` is not below [`Split::len`].
    pub fn path(&self, index: usize) -> Option<PathBuf> {
        let (path, is_replaced) = match &self.store {
            Store::Memory { .. } => {
                let files = self.files.as_ref()?;
                let path = files.list.path(index);
                let is_replaced = files.damaged.contains(&path);
                (path, is_replaced)
            }
            Store::Files(files) => (files.list.path(index), files.is_damaged(index)),
        };
        (!is_replaced).then_some(path)
    }

    /// The sizes of the images in their files; if images are read only when requested, those of
    /// some images, evenly spaced. `None` if the images have no files, or none of the files can be
    /// read.
    pub fn sides_in_files(&self) -> Option<Sides> {
        self.sides_of(SIZED_IMAGES)
    }

    /// The same for at most `most` images, if they are read only when requested.
    pub fn sides_of(&self, most: usize) -> Option<Sides> {
        match &self.store {
            Store::Memory { .. } => self.files.as_ref()?.sides,
            Store::Files(files) => {
                let count = self.len().min(most);
                let size = |at: usize| {
                    let shape = files.picture(at * self.len() / count).ok()?.shape();
                    Some((shape.height, shape.width))
                };
                let sizes: Vec<_> = (0..count).into_par_iter().filter_map(size).collect();
                let sampled = (count < self.len()).then_some(count as u64);
                Sides::of(sizes).map(|sides| Sides { sampled, ..sides })
            }
        }
    }

    /// One image, in the data set's shape.
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

    /// The image from which a random resized crop is cut: the file's own pixels, of any size, if
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
        /// Those that only choose the epoch of the final network, if the data set has such a part.
        Validation,
        /// Those that only the final accuracy is measured on.
        Test,
    }
}

/// An opened data set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The format's name, as the user writes it.
    pub name: String,
    /// Names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// Shape of every image.
    pub shape: ImageShape,
    /// Normalisation of the images.
    pub normalisation: Normalisation,
    /// Training images.
    pub train: Arc<Split>,
    /// Validation images that the data set itself provides; usually empty.
    pub validation: Arc<Split>,
    /// Test images.
    pub test: Arc<Split>,
    /// SHA-256 in hexadecimal over what [`Self::checksum_of`] names.
    pub checksum: String,
    /// What the checksum covers.
    pub checksum_of: ChecksumOf,
    /// Notes for the user about the layout of the images, one sentence each: what is set aside, and
    /// what is skipped.
    pub notes: Vec<String>,
}

words! {
    /// What the checksum of a data set covers.
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
    /// Whether all images are in memory, and none is read from a file when it is needed.
    pub fn is_in_memory(&self) -> bool {
        self.checksum_of == ChecksumOf::Contents
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The images of a part.
    pub fn part(&self, part: Part) -> &Arc<Split> {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }

    /// Number of images of each class in a part.
    pub fn class_counts(&self, part: Part) -> Vec<usize> {
        class_counts(self.part(part).labels(), self.classes())
    }

    /// The images at a glance: how many of each class, and their sizes. `set_aside` are those of
    /// the training images that only choose the epoch.
    pub fn images(&self, set_aside: &[usize]) -> DatasetImages {
        let counts = |labels: &[u32]| -> Vec<u64> {
            let counts = class_counts(labels, self.classes());
            counts.into_iter().map(|count| count as u64).collect()
        };
        let labels = self.train.labels();
        let aside: Vec<u32> = set_aside.iter().map(|&index| labels[index]).collect();
        let aside = counts(&aside);
        let (all, own) = (counts(labels), counts(self.validation.labels()));
        DatasetImages {
            classes: self.class_names.clone(),
            train: all.iter().zip(&aside).map(|(all, aside)| all - aside).collect(),
            validation: match self.validation.is_empty() && set_aside.is_empty() {
                true => Vec::new(),
                false => own.iter().zip(&aside).map(|(own, aside)| own + aside).collect(),
            },
            test: counts(self.test.labels()),
            files: self.train.sides_in_files(),
            input: Some([self.shape.height as u64, self.shape.width as u64]),
        }
    }
}

/// Number of labels of each class.
pub(super) fn class_counts(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    counts
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
    fn an_image_is_its_part_of_the_pixels() {
        let split = two_pictures((0..8).collect());
        assert_eq!(split.image(1).unwrap().pixels(), [4, 5, 6, 7]);
        assert_eq!(split.image_to_crop(1).unwrap(), split.image(1).unwrap());
    }
}
