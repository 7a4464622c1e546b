//! CIFAR-10 and CIFAR-100, in the binary and the Python version, unpacked or in the downloaded
//! archive.
//!
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A file of the
//! binary version is a sequence of records: one label byte (CIFAR-10) or a coarse and a fine label
//! byte (CIFAR-100), then 3 × 32 × 32 bytes, channel by channel. A file of the Python version is a
//! pickle with the same labels and pixels; it is converted to such records, so that both versions
//! have the same checksum. Any number of complete records is accepted, so that a part of the data
//! set can be read as well.

mod files;
mod pickle;

use da2s_records::Sha256;

use super::Format;
use super::dataset::{Dataset, ImageShape, Normalisation};
use super::error::{DataError, Place};
use super::options::{Content, DataOptions, Pictures};
use files::{Encoding, Files, Version};
use pickle::Pickle;
use std::path::Path;

const SHAPE: ImageShape = ImageShape {
    channels: 3,
    height: 32,
    width: 32,
};

/// CIFAR-10 or CIFAR-100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Cifar10,
    Cifar100,
}

/// The differences between the two.
struct VariantFacts {
    format: Format,
    /// The binary version and the Python version.
    versions: &'static [Version; 2],
    classes: usize,
    /// The labels of a record, by their keys in a pickle; the last is the class.
    labels: &'static [&'static str],
    /// The key of the classes' names in a pickle.
    class_names: &'static str,
    mean: [f32; 3],
    std: [f32; 3],
}

const CIFAR_10_VERSIONS: [Version; 2] = [
    Version {
        encoding: Encoding::Binary,
        archive: "cifar-10-binary.tar.gz",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        names: "batches.meta.txt",
    },
    Version {
        encoding: Encoding::Python,
        archive: "cifar-10-python.tar.gz",
        folder: "cifar-10-batches-py",
        train: &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
        test: "test_batch",
        names: "batches.meta",
    },
];

const CIFAR_100_VERSIONS: [Version; 2] = [
    Version {
        encoding: Encoding::Binary,
        archive: "cifar-100-binary.tar.gz",
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
    },
    Version {
        encoding: Encoding::Python,
        archive: "cifar-100-python.tar.gz",
        folder: "cifar-100-python",
        train: &["train"],
        test: "test",
        names: "meta",
    },
];

impl Variant {
    const fn table(self) -> VariantFacts {
        match self {
            Self::Cifar10 => VariantFacts {
                format: Format::Cifar10,
                versions: &CIFAR_10_VERSIONS,
                classes: 10,
                labels: &["labels"],
                class_names: "label_names",
                // As in DARTS (Liu, Simonyan, Yang, 2019; cnn/utils.py of the public code).
                mean: [0.491_399_68, 0.482_158_27, 0.446_531_24],
                std: [0.247_032_33, 0.243_485_05, 0.261_587_68],
            },
            Self::Cifar100 => VariantFacts {
                format: Format::Cifar100,
                versions: &CIFAR_100_VERSIONS,
                classes: 100,
                labels: &["coarse_labels", "fine_labels"],
                class_names: "fine_label_names",
                // As in NAS-Bench-201 (Dong, Yang, 2020; AutoDL-Projects): 129.3, 124.1, 112.4 and
                // 68.2, 65.4, 70.4 of 255.
                mean: [129.3 / 255.0, 124.1 / 255.0, 112.4 / 255.0],
                std: [68.2 / 255.0, 65.4 / 255.0, 70.4 / 255.0],
            },
        }
    }
}

/// Opens the data set in `dir`: from one of the published folders in it, or from an archive.
pub(super) fn open(variant: Variant, dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let table = variant.table();
    let mut files = Files::find(table.versions, dir)?;
    let mut hasher = Sha256::default();
    let class_names = read_names(&table, &mut files, &mut hasher)?;
    let train = read_part(&table, files.version.train, &mut files, &mut hasher)?;
    let test = read_part(&table, &[files.version.test], &mut files, &mut hasher)?;
    Content {
        format: table.format,
        class_names,
        shape: SHAPE,
        normalisation: Some(Normalisation {
            mean: table.mean.to_vec(),
            std: table.std.to_vec(),
        }),
        train,
        test,
        checksum: hasher.hex(),
    }
    .into_dataset(options)
}

/// Whether the data set seems to be in `dir`.
pub(super) fn is_in(variant: Variant, dir: &Path) -> bool {
    Files::are_in(variant.table().versions, dir)
}

fn read_names(table: &VariantFacts, files: &mut Files, hasher: &mut Sha256) -> Result<Vec<String>, DataError> {
    let (path, bytes) = files.take(files.version.names)?;
    let text = match files.version.encoding {
        Encoding::Binary => bytes,
        Encoding::Python => {
            let pickle = unpickled(&path, &bytes)?;
            let names = pickle.texts(table.class_names);
            names.ok_or_else(|| lacking(&path, table.class_names))?.join(&b'\n')
        }
    };
    let malformed = |expected: String, found: String| DataError::Malformed {
        path: path.clone(),
        place: Place::Whole,
        expected,
        found,
    };
    let text = String::from_utf8(text).map_err(|_| malformed("class names in UTF-8".into(), "other bytes".into()))?;
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect();
    if names.len() != table.classes {
        let expected = format!("{} class names, one per line", table.classes);
        return Err(malformed(expected, names.len().to_string()));
    }
    for name in &names {
        hasher.update(name);
        hasher.update("\n");
    }
    Ok(names)
}

fn read_part(
    table: &VariantFacts,
    names: &[&str],
    files: &mut Files,
    hasher: &mut Sha256,
) -> Result<Pictures, DataError> {
    let mut pictures = Pictures {
        labels: Vec::new(),
        pixels: Vec::new(),
    };
    for name in names {
        let (path, bytes) = files.take(name)?;
        let records = match files.version.encoding {
            Encoding::Binary => bytes,
            Encoding::Python => records_of(table, &path, &bytes)?,
        };
        hasher.update(&records);
        append_records(table, &path, &records, &mut pictures)?;
    }
    Ok(pictures)
}

fn unpickled<'a>(path: &Path, bytes: &'a [u8]) -> Result<Pickle<'a>, DataError> {
    Pickle::read(bytes).map_err(|problem| DataError::Malformed {
        path: path.into(),
        place: Place::Byte(problem.offset_bytes),
        expected: problem.expected.into(),
        found: problem.found,
    })
}

fn lacking(path: &Path, key: &str) -> DataError {
    DataError::Malformed {
        path: path.into(),
        place: Place::Whole,
        expected: format!("`{key}` in the pickle"),
        found: "none of that kind".into(),
    }
}

/// Converts the content of the pickle `bytes` to records of the binary version.
fn records_of(table: &VariantFacts, path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let pickle = unpickled(path, bytes)?;
    let data = pickle.array("data").ok_or_else(|| lacking(path, "data"))?;
    let malformed = |place: Place, expected: String, found: String| DataError::Malformed {
        path: path.into(),
        place,
        expected,
        found,
    };
    if data.rows == 0 || data.columns != SHAPE.values() {
        let found = format!("{}×{}", data.rows, data.columns);
        return Err(malformed(
            Place::Whole,
            format!("images of {} bytes", SHAPE.values()),
            found,
        ));
    }
    let mut columns = Vec::new();
    for &key in table.labels {
        let labels = pickle.whole_numbers(key).ok_or_else(|| lacking(path, key))?;
        if labels.len() != data.rows {
            let expected = format!("{} numbers in `{key}`, one per image", data.rows);
            return Err(malformed(Place::Whole, expected, labels.len().to_string()));
        }
        let bytes: Result<Vec<u8>, _> = labels
            .iter()
            .enumerate()
            .map(|(image, &label)| {
                let byte = u8::try_from(label)
                    .ok()
                    .filter(|&byte| usize::from(byte) < table.classes);
                let expected = || format!("a number below {} in `{key}`", table.classes);
                byte.ok_or_else(|| malformed(Place::Image(image), expected(), label.to_string()))
            })
            .collect();
        columns.push(bytes?);
    }
    let mut records = Vec::with_capacity(data.rows * (columns.len() + SHAPE.values()));
    for (image, pixels) in data.bytes.chunks_exact(SHAPE.values()).enumerate() {
        records.extend(columns.iter().map(|labels| labels[image]));
        records.extend_from_slice(pixels);
    }
    Ok(records)
}

/// Appends every record of one file; `path` names it in errors.
fn append_records(table: &VariantFacts, path: &Path, bytes: &[u8], pictures: &mut Pictures) -> Result<(), DataError> {
    let label_bytes = table.labels.len();
    let record_bytes = label_bytes + SHAPE.values();
    let malformed = |record: usize, expected: String, found: String| DataError::Malformed {
        path: path.into(),
        place: Place::Record {
            record,
            offset_bytes: record * record_bytes,
        },
        expected,
        found,
    };
    let rest = bytes.len() % record_bytes;
    if bytes.is_empty() || rest > 0 {
        let (expected, found) = (format!("{record_bytes} bytes"), format!("{rest}: truncated"));
        return Err(malformed(bytes.len() / record_bytes, expected, found));
    }
    pictures.pixels.reserve(bytes.len());
    for (record, content) in bytes.chunks_exact(record_bytes).enumerate() {
        let (labels, pixels) = content.split_at(label_bytes);
        let label = labels[label_bytes - 1];
        if usize::from(label) >= table.classes {
            let expected = format!("a label below {}", table.classes);
            return Err(malformed(record, expected, label.to_string()));
        }
        pictures.labels.push(label.into());
        pictures.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

#[cfg(test)]
#[path = "../tests/cifar.rs"]
mod tests;
