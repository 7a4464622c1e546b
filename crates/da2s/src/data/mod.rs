//! Data sets: one file a format, and what turns their pictures into batches.
//!
//! [`open`] is the only way in: it reads one of the [`Format`]s into a [`Dataset`], and the loops see nothing else. A
//! [`SearchSplit`] divides the training pictures between weights and architecture; a [`Loader`] makes [`Batch`]es of
//! them, each a pure function of (seed, epoch, step), with an [`Augmentation`] applied.

mod augment;
mod cifar;
mod dataset;
mod digits;
mod error;
mod images;
mod loader;
mod options;
mod pixels;
mod split;

pub use augment::{Augmentation, ColorJitter, RandomResizedCrop, cutout};
pub use dataset::{Dataset, ImageShape, Normalisation, Part, Split};
pub use error::{DataError, Place};
pub use loader::{Batch, Loader, Stream, TrainingOrder};
pub use options::DataOptions;
pub use pixels::{Image, Window};
pub use split::{SearchSplit, stratified_subset};

use cifar::Variant;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The data sets that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The UCI handwritten digits, in the binary.
    Digits,
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-100, binary version.
    Cifar100,
    /// A folder of pictures, a folder a class.
    Images,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Digits, Self::Cifar10, Self::Cifar100, Self::Images];

    /// The table of formats: name, description.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Digits => (
                "digits",
                "UCI handwritten digits, 1,797 grey 8×8 images in 10 classes; built in, no folder needed",
            ),
            Self::Cifar10 => (
                "cifar10",
                "CIFAR-10, 60,000 colour 32×32 images in 10 classes; folder of the binary version (data_batch_1.bin …)",
            ),
            Self::Cifar100 => (
                "cifar100",
                "CIFAR-100, 60,000 colour 32×32 images in 100 classes; folder of the binary version (train.bin …)",
            ),
            Self::Images => (
                "images",
                "folder with train/CLASS/ and test/CLASS/ or val/CLASS/, JPEG and PNG files of any size",
            ),
        }
    }

    /// The name that the user writes.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What it is and which folder it needs, in a line.
    pub const fn description(self) -> &'static str {
        self.row().1
    }

    /// Whether [`open`] needs a folder.
    pub const fn needs_folder(self) -> bool {
        match self {
            Self::Digits => false,
            Self::Cifar10 | Self::Cifar100 | Self::Images => true,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                DataError::setting("dataset", name, format!("one of {names}"))
            })
    }
}

/// Opens a data set. `data_dir` is the folder that holds it; [`Format::Digits`] needs none and looks into none.
///
/// # Errors
/// If the folder is missing or not laid out as the format prescribes, a file is truncated or corrupt, or an option is out
/// of range or one that the format does not take.
pub fn open(format: Format, data_dir: Option<&Path>, options: &DataOptions) -> Result<Dataset, DataError> {
    options.validate(format)?;
    let folder = || data_dir.ok_or_else(|| DataError::setting("data_dir", "(none)", format!("the folder of {format}")));
    match format {
        Format::Digits => digits::open(options),
        Format::Cifar10 => cifar::open(Variant::Cifar10, folder()?, options),
        Format::Cifar100 => cifar::open(Variant::Cifar100, folder()?, options),
        Format::Images => images::open(folder()?, options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_parse_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
            assert!(format.description().len() > 20);
        }
        let error = "mnist".parse::<Format>().unwrap_err().to_string();
        assert_eq!(
            error,
            "dataset = mnist: expected one of digits, cifar10, cifar100, images"
        );
    }

    #[test]
    fn a_missing_folder_is_asked_for() {
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
