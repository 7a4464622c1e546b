//! Data sets, one file per format, and their conversion to batches.
//!
//! [`open`] reads one of the [`Format`]s into a [`Dataset`], and [`Arrays`] are a data set in
//! memory; the training loops use nothing else. A [`SearchSplit`] divides the training images
//! between weights and architecture; a [`Loader`] creates [`Batch`]es of them, each a pure function
//! of (seed, epoch, step), with an [`Augmentation`] applied. A [`Shard`] is the part of every batch
//! for one process of several. All random numbers of da2s come from [`random`].

#![forbid(unsafe_code)]

mod ahead;
mod arrays;
mod augment;
mod check;
mod cifar;
mod class_weights;
mod dataset;
mod digits;
mod error;
mod evaluated;
mod idx;
mod image_files;
mod images;
mod label_table;
mod layout;
mod listing;
mod loader;
mod mirror;
mod options;
mod pixel_operations;
pub mod random;
mod random_erasing;
mod settings;
mod shard;
mod split;
mod thumbnail;
mod trivial_augment;
mod walk;

pub use arrays::{Arrays, LabelledImages};
pub use augment::{Augmentation, ColorJitter, RandomResizedCrop, cutout};
pub use check::{Check, CheckedPart, check};
pub use class_weights::{ClassWeights, Scheme};
pub use da2s_images::{Class, IMAGE_ENDINGS, Image, ImageError, ImageProblem, Rectangle, most_probable};
pub use da2s_records::schema::{Preprocessing, PreprocessingRules};
pub use dataset::{ChecksumOf, Dataset, ImageShape, Normalisation, Part, Split};
pub use error::{DataError, Place};
pub use evaluated::preprocessing;
pub use images::{are_grey, images_problem, small_training_set};
pub use label_table::{LabelTable, LabelledPath};
pub use listing::absent_note;
pub use loader::{Batch, Loader, Stream, TrainingOrder};
pub use mirror::{MOST_CLASSES as MOST_MIRROR_CLASSES, Mirrored, mirrored};
pub use options::{BadImages, DataOptions};
pub use random_erasing::RandomErasing;
pub use settings::DataSettings;
pub use shard::Shard;
pub use split::{SearchSplit, stratified_sample, stratified_subset};
pub use thumbnail::thumbnail_png;
pub use walk::{PassedOver, pictures_below};

use da2s_settings::words;
use std::path::Path;

words! {
    /// The data sets that can be opened.
    #[strum(serialize_all = "lowercase")]
    pub enum Format {
        /// The UCI handwritten digits, which are built in.
        Digits,
        /// CIFAR-10.
        Cifar10,
        /// CIFAR-100.
        Cifar100,
        /// MNIST.
        Mnist,
        /// Fashion-MNIST.
        Fashion,
        /// Your own images: a folder with one folder per class, or a table of labels.
        Images,
        /// Images in memory, passed by a program.
        Arrays,
    }
}

/// Facts about a format that are known without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// A short description.
    pub title: &'static str,
    /// Number of images, training and test.
    pub images: &'static str,
    /// Number of classes.
    pub classes: &'static str,
    /// Shape of every image; `None` if files may have any size.
    pub shape: Option<ImageShape>,
    /// Required content of its folder.
    pub folder: &'static str,
    /// Licence and source, as far as they are published.
    pub source: &'static str,
}

const fn shape(channels: usize, side: usize) -> Option<ImageShape> {
    Some(ImageShape {
        channels,
        height: side,
        width: side,
    })
}

impl Format {
    /// Every format that [`open`] reads: all except [`Format::Arrays`].
    pub fn readable() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|&format| format != Self::Arrays)
    }

    /// The table of formats.
    pub const fn facts(self) -> Facts {
        match self {
            Self::Digits => Facts {
                title: "UCI handwritten digits",
                images: "1,437 + 360",
                classes: "10",
                shape: shape(1, 8),
                folder: "none, it is built in",
                source: "CC BY 4.0; E. Alpaydin, C. Kaynak, UCI Machine Learning Repository",
            },
            Self::Cifar10 => Facts {
                title: "CIFAR-10",
                images: "50,000 + 10,000",
                classes: "10",
                shape: shape(3, 32),
                folder: "cifar-10-binary.tar.gz or cifar-10-python.tar.gz, packed or not",
                source: "no licence stated; A. Krizhevsky, www.cs.toronto.edu/~kriz/cifar.html",
            },
            Self::Cifar100 => Facts {
                title: "CIFAR-100",
                images: "50,000 + 10,000",
                classes: "100",
                shape: shape(3, 32),
                folder: "cifar-100-binary.tar.gz or cifar-100-python.tar.gz, packed or not",
                source: "no licence stated; A. Krizhevsky, www.cs.toronto.edu/~kriz/cifar.html",
            },
            Self::Mnist => Facts {
                title: "MNIST",
                images: "60,000 + 10,000",
                classes: "10",
                shape: shape(1, 28),
                folder: "train-images-idx3-ubyte and the three like it, plain or .gz",
                source: "CC BY-SA 3.0; Y. LeCun, C. Cortes",
            },
            Self::Fashion => Facts {
                title: "Fashion-MNIST",
                images: "60,000 + 10,000",
                classes: "10",
                shape: shape(1, 28),
                folder: "train-images-idx3-ubyte and the three like it, plain or .gz",
                source: "MIT; Zalando, github.com/zalandoresearch/fashion-mnist",
            },
            Self::Images => Facts {
                title: "your own images",
                images: "any",
                classes: "2 or more",
                shape: None,
                folder: "image files of any size in train/CLASS/ and test/CLASS/, or in CLASS/; or labels.csv; the book has the rules",
                source: "yours",
            },
            Self::Arrays => Facts {
                title: "arrays in memory",
                images: "any",
                classes: "2 or more",
                shape: None,
                folder: "none, a program passes the images",
                source: "yours",
            },
        }
    }

    /// Whether [`open`] needs a folder.
    pub const fn needs_folder(self) -> bool {
        match self {
            Self::Digits | Self::Arrays => false,
            Self::Cifar10 | Self::Cifar100 | Self::Mnist | Self::Fashion | Self::Images => true,
        }
    }

    /// The formats whose files seem to be in `dir`. MNIST and Fashion-MNIST have the same file
    /// names.
    pub fn in_folder(dir: &Path) -> Vec<Self> {
        let is_in = |format: &Self| match format {
            Self::Digits | Self::Arrays => false,
            Self::Cifar10 => cifar::is_in(cifar::Variant::Cifar10, dir),
            Self::Cifar100 => cifar::is_in(cifar::Variant::Cifar100, dir),
            Self::Mnist => idx::is_in(idx::Variant::Mnist, dir),
            Self::Fashion => idx::is_in(idx::Variant::Fashion, dir),
            Self::Images => images::is_in(dir),
        };
        Self::ALL.into_iter().filter(is_in).collect()
    }
}

/// Opens a data set. `data_dir` is its folder; [`Format::Digits`] needs none and ignores it.
///
/// # Errors
/// If the folder is missing or does not have the layout of the format, a file is truncated or
/// corrupt, or an option is out of range or not supported by the format.
pub fn open(format: Format, data_dir: Option<&Path>, options: &DataOptions) -> Result<Dataset, DataError> {
    options.validate(format)?;
    let folder = || data_dir.ok_or_else(|| DataError::setting("data_dir", "(none)", format!("the folder of {format}")));
    match format {
        Format::Digits => digits::open(options),
        Format::Cifar10 => cifar::open(cifar::Variant::Cifar10, folder()?, options),
        Format::Cifar100 => cifar::open(cifar::Variant::Cifar100, folder()?, options),
        Format::Mnist => idx::open(idx::Variant::Mnist, folder()?, options),
        Format::Fashion => idx::open(idx::Variant::Fashion, folder()?, options),
        Format::Images => images::open(folder()?, options),
        Format::Arrays => {
            let expected =
                "a data set in files: arrays are passed by a program, as da2s.run((images, labels)) in Python";
            Err(DataError::setting("dataset", format, expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_requested() {
        for format in Format::ALL.into_iter().filter(|format| format.needs_folder()) {
            let options = DataOptions {
                image_size: Some(8),
                ..DataOptions::default()
            };
            let error = open(format, None, &options).unwrap_err().to_string();
            assert_eq!(error, format!("data_dir = (none): expected the folder of {format}"));
        }
    }
}
