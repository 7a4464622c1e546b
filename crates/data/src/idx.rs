//! MNIST and Fashion-MNIST: IDX files, uncompressed or compressed with gzip.
//!
//! Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K.
//! Rasul, R. Vollgraf, "Fashion-MNIST", 2017. A file begins with two zero bytes, the type of its
//! numbers (8: bytes), the number of dimensions and, in four big-endian bytes each, their sizes;
//! the numbers follow. Any number of images is accepted, so that a part of the data set can be read
//! as well; the header is checked against the file before it is trusted.

use da2s_records::Sha256;

use super::Format;
use super::dataset::{Dataset, ImageShape};
use super::error::{DataError, Place};
use super::options::{Content, DataOptions, Pictures};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SHAPE: ImageShape = ImageShape {
    channels: 1,
    height: 28,
    width: 28,
};
const CLASSES: usize = 10;
/// Maximum number of values in a file: more than in the largest set of this kind (EMNIST, 814,255
/// images).
const MOST_NUMBERS: u64 = 1 << 30;
/// MNIST or Fashion-MNIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Mnist,
    Fashion,
}

/// One of the four files.
#[derive(Clone, Copy, Debug)]
struct IdxFile {
    part: &'static str,
    content: &'static str,
    dimensions: u8,
}

const fn file(part: &'static str, content: &'static str, dimensions: u8) -> IdxFile {
    IdxFile {
        part,
        content,
        dimensions,
    }
}

const TRAIN: [IdxFile; 2] = [file("train", "images", 3), file("train", "labels", 1)];
const TEST: [IdxFile; 2] = [file("t10k", "images", 3), file("t10k", "labels", 1)];

impl Variant {
    const fn format(self) -> Format {
        match self {
            Self::Mnist => Format::Mnist,
            Self::Fashion => Format::Fashion,
        }
    }

    fn class_names(self) -> Vec<String> {
        match self {
            Self::Mnist => (0..CLASSES).map(|digit| digit.to_string()).collect(),
            Self::Fashion => [
                "t-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ]
            .map(String::from)
            .to_vec(),
        }
    }

    /// The subfolder in which torchvision puts the files.
    const fn inner_folder(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST/raw",
            Self::Fashion => "FashionMNIST/raw",
        }
    }
}

/// Opens the data set in `dir`.
pub(super) fn open(variant: Variant, dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let mut hasher = Sha256::default();
    let folder = locate(variant, dir).ok_or_else(|| DataError::Layout {
        path: dir.into(),
        expected: format!("{} or {0}.gz in it", TRAIN[0].name('-')),
    })?;
    let mut part = |[images, labels]: [IdxFile; 2]| read_part(&folder, images, labels, &mut hasher);
    let (train, test) = (part(TRAIN)?, part(TEST)?);
    Content {
        format: variant.format(),
        class_names: variant.class_names(),
        shape: SHAPE,
        normalisation: None,
        train,
        test,
        checksum: hasher.hex(),
    }
    .into_dataset(options)
}

/// Whether the data set seems to be in `dir`.
pub(super) fn is_in(variant: Variant, dir: &Path) -> bool {
    locate(variant, dir).is_some()
}

fn locate(variant: Variant, dir: &Path) -> Option<PathBuf> {
    let folders = [dir.to_path_buf(), dir.join(variant.inner_folder())];
    folders.into_iter().find(|folder| TRAIN[0].path(folder).is_some())
}

impl IdxFile {
    /// The published name, with the separator of current archives (`-`) or old ones (`.`).
    fn name(self, separator: char) -> String {
        let Self {
            part,
            content,
            dimensions,
        } = self;
        format!("{part}-{content}{separator}idx{dimensions}-ubyte")
    }

    /// The path of the file in `folder`, under any of its names.
    fn path(self, folder: &Path) -> Option<PathBuf> {
        let names = ['-', '.'].map(|separator| self.name(separator));
        let compressed = names.clone().map(|name| name + ".gz");
        let mut paths = names.into_iter().chain(compressed).map(|name| folder.join(name));
        paths.find(|path| path.is_file())
    }

    /// The sizes of the dimensions, and the numbers.
    fn read(self, folder: &Path) -> Result<(PathBuf, Vec<u32>, Vec<u8>), DataError> {
        let path = self.path(folder).ok_or_else(|| DataError::Layout {
            path: folder.into(),
            expected: format!("{} or {0}.gz in it", self.name('-')),
        })?;
        let file = BufReader::new(File::open(&path).map_err(DataError::read(&path))?);
        let (sizes, numbers) = if path.extension().is_some_and(|extension| extension == "gz") {
            parse(&path, GzDecoder::new(file), self.dimensions)?
        } else {
            parse(&path, file, self.dimensions)?
        };
        Ok((path, sizes, numbers))
    }
}

/// Reads header and numbers from `input`, which must end after them.
fn parse(path: &Path, mut input: impl Read, dimensions: u8) -> Result<(Vec<u32>, Vec<u8>), DataError> {
    let malformed = |offset_bytes: usize, expected: String, found: String| DataError::Malformed {
        path: path.into(),
        place: Place::Byte(offset_bytes),
        expected,
        found,
    };
    let mut word = || {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes).map_err(DataError::read(path))?;
        Ok::<_, DataError>(bytes)
    };
    let magic = word()?;
    if magic != [0, 0, 8, dimensions] {
        let expected = format!("an IDX file of bytes in {dimensions} dimensions (00 00 08 {dimensions:02x})");
        let found = magic.map(|byte| format!("{byte:02x}")).join(" ");
        return Err(malformed(0, expected, found));
    }
    let mut sizes = Vec::new();
    for _ in 0..dimensions {
        sizes.push(u32::from_be_bytes(word()?));
    }
    let declared = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size.into()));
    let header_bytes = 4 + 4 * usize::from(dimensions);
    let Some(declared) = declared.filter(|declared| (1..=MOST_NUMBERS).contains(declared)) else {
        let expected = format!("sizes whose product is 1 to {MOST_NUMBERS}");
        return Err(malformed(4, expected, format!("{sizes:?}")));
    };
    // Memory grows with the actual content, not with the declared size; one extra byte shows that
    // there is more data.
    let mut numbers = Vec::new();
    input
        .take(declared + 1)
        .read_to_end(&mut numbers)
        .map_err(DataError::read(path))?;
    if numbers.len() as u64 != declared {
        let found = match numbers.len() as u64 {
            more if more > declared => "more".to_owned(),
            fewer => fewer.to_string(),
        };
        let expected = format!("{declared} numbers, as the header declares");
        return Err(malformed(header_bytes, expected, found));
    }
    Ok((sizes, numbers))
}

fn read_part(folder: &Path, images: IdxFile, labels: IdxFile, hasher: &mut Sha256) -> Result<Pictures, DataError> {
    let (images_path, sizes, pixels) = images.read(folder)?;
    let (labels_path, _, labels) = labels.read(folder)?;
    let malformed = |path: &Path, place: Place, expected: String, found: String| DataError::Malformed {
        path: path.into(),
        place,
        expected,
        found,
    };
    let (height, width) = (SHAPE.height as u32, SHAPE.width as u32);
    if sizes[1..] != [height, width] {
        let found = format!("{}×{}", sizes[1], sizes[2]);
        let expected = format!("images of {height}×{width}");
        return Err(malformed(&images_path, Place::Byte(8), expected, found));
    }
    let count = pixels.len() / SHAPE.values();
    if labels.len() != count {
        let expected = format!("{count} labels, one per image");
        let found = labels.len().to_string();
        return Err(malformed(&labels_path, Place::Byte(4), expected, found));
    }
    if let Some(image) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        let found = labels[image].to_string();
        let expected = format!("a label below {CLASSES}");
        return Err(malformed(&labels_path, Place::Image(image), expected, found));
    }
    hasher.update(&pixels);
    hasher.update(&labels);
    Ok(Pictures {
        labels: labels.into_iter().map(u32::from).collect(),
        pixels,
    })
}

#[cfg(test)]
#[path = "tests/idx.rs"]
mod tests;
