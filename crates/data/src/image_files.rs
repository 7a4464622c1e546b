//! Image files in the folders of their classes, read when requested: compact storage of their
//! names, and handling of damaged files.
//!
//! Contract: the result of [`ImageFiles::picture`] for an index depends only on the files, not on
//! earlier requests. With [`BadImages::Skip`] the next decodable image of the same class replaces a
//! damaged one, so that numbers, labels and batches stay the same; the names of damaged files are
//! recorded.

use da2s_images::{Image, ImageError};

use super::dataset::ImageShape;
use super::error::DataError;
use super::options::BadImages;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Names of files in the folders of their classes, ordered by class: about 50 bytes per file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileList {
    /// The folder of each class.
    folders: Vec<PathBuf>,
    labels: Vec<u32>,
    /// All names, concatenated.
    names: String,
    /// End offset of each name.
    ends: Vec<usize>,
}

impl FileList {
    /// An empty list, for classes with these folders.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            ..Self::default()
        }
    }

    /// Adds the file `name`, a path within the folder of the class `label`. Files are added in
    /// ascending order of their labels.
    pub fn push(&mut self, label: u32, name: &str) {
        self.labels.push(label);
        self.names.push_str(name);
        self.ends.push(self.names.len());
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Releases the memory that further files would have used.
    fn shrink(&mut self) {
        self.labels.shrink_to_fit();
        self.names.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Number of bytes in memory, without the folders.
    pub fn bytes(&self) -> usize {
        self.names.len() + size_of_val(&*self.labels) + size_of_val(&*self.ends)
    }

    /// Whether there is a file of the class `label`.
    pub fn has(&self, label: u32) -> bool {
        self.labels.binary_search(&label).is_ok()
    }

    /// The class of each file, in ascending order.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn name(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.names[start..self.ends[index]]
    }

    pub fn path(&self, index: usize) -> PathBuf {
        self.folders[self.labels[index] as usize].join(self.name(index))
    }

    /// The files at the indices `kept`, which are in ascending order.
    pub fn select(&self, kept: &[usize]) -> Self {
        let mut list = Self::new(self.folders.clone());
        for &index in kept {
            list.push(self.labels[index], self.name(index));
        }
        list
    }

    /// The other files of the class of `index`, starting with the next one.
    fn same_class(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let label = self.labels[index];
        let start = self.labels.partition_point(|&other| other < label);
        let end = self.labels.partition_point(|&other| other <= label);
        (index + 1..end).chain(start..index)
    }
}

/// How a file's image of any size is converted to the data set's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// Channels to decode to: 1 or 3.
    pub channels: usize,
    /// Rows and columns.
    pub size: usize,
    /// Fraction of the shorter side that is used, see [`Image::fit`].
    pub centre_crop: f32,
}

impl Fit {
    /// The shape of every converted image.
    pub const fn shape(self) -> ImageShape {
        ImageShape {
            channels: self.channels,
            height: self.size,
            width: self.size,
        }
    }
}

/// The files of one part of a data set.
#[derive(Debug)]
pub(super) struct ImageFiles {
    pub list: FileList,
    pub fit: Fit,
    pub crop_from_original: bool,
    pub bad_images: BadImages,
    /// The damaged files found so far.
    damaged: Mutex<BTreeSet<usize>>,
}

impl ImageFiles {
    pub fn new(mut list: FileList, fit: Fit, crop_from_original: bool, bad_images: BadImages) -> Self {
        list.shrink();
        Self {
            list,
            fit,
            crop_from_original,
            bad_images,
            damaged: Mutex::new(BTreeSet::new()),
        }
    }

    /// The image at `index` with the file's own pixels, or its replacement.
    pub fn picture(&self, index: usize) -> Result<Image, DataError> {
        let path = self.list.path(index);
        self.decode(index, Image::read(&path, self.fit.channels))
    }

    /// The image at `index`, in the data set's shape.
    pub fn fitted(&self, index: usize) -> Result<Image, DataError> {
        Ok(self.fit(&self.picture(index)?))
    }

    /// Converts `image` to the data set's shape.
    pub fn fit(&self, image: &Image) -> Image {
        image.fit(self.fit.size, self.fit.centre_crop)
    }

    /// The image at `index`, given `own` as the result of reading it, or its replacement.
    pub fn decode(&self, index: usize, own: Result<Image, ImageError>) -> Result<Image, DataError> {
        match (own, self.bad_images) {
            (Err(error), BadImages::Skip) => {
                self.damaged
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(index);
                let others = self.list.same_class(index);
                let read = |other| Image::read(&self.list.path(other), self.fit.channels).ok();
                Ok(others.filter_map(read).next().ok_or(error)?)
            }
            (own, BadImages::Refuse | BadImages::Skip) => Ok(own?),
        }
    }

    /// Whether the file with this index was found to be damaged.
    pub fn is_damaged(&self, index: usize) -> bool {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.contains(&index)
    }

    /// The damaged files found so far, in order.
    pub fn damaged(&self) -> Vec<PathBuf> {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.iter().map(|&index| self.list.path(index)).collect()
    }
}
