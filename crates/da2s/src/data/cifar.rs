//! CIFAR-10 and CIFAR-100, binary version.
//!
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A file is a sequence of records: one
//! label byte (CIFAR-10) or a coarse and a fine label byte (CIFAR-100), then 3 × 32 × 32 bytes, channel by channel. Any
//! whole number of records is accepted, so that a part of the data set can be read as well.

use super::Format;
use super::dataset::{Dataset, ImageShape, Normalisation};
use super::error::{DataError, Place};
use super::options::{Content, DataOptions, Pictures};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const SHAPE: ImageShape = ImageShape {
    channels: 3,
    height: 32,
    width: 32,
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Cifar10,
    Cifar100,
}

/// What distinguishes the two.
struct Table {
    format: Format,
    /// The folder that the published archive unpacks to.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    names: &'static str,
    classes: usize,
    /// Bytes before the pixels; the last is the label.
    label_bytes: usize,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Variant {
    const fn table(self) -> Table {
        match self {
            Self::Cifar10 => Table {
                format: Format::Cifar10,
                folder: "cifar-10-batches-bin",
                train: &[
                    "data_batch_1.bin",
                    "data_batch_2.bin",
                    "data_batch_3.bin",
                    "data_batch_4.bin",
                    "data_batch_5.bin",
                ],
                test: &["test_batch.bin"],
                names: "batches.meta.txt",
                classes: 10,
                label_bytes: 1,
                // As in DARTS (Liu, Simonyan, Yang, 2019; cnn/utils.py of the public code).
                mean: [0.491_399_68, 0.482_158_27, 0.446_531_24],
                std: [0.247_032_33, 0.243_485_05, 0.261_587_68],
            },
            Self::Cifar100 => Table {
                format: Format::Cifar100,
                folder: "cifar-100-binary",
                train: &["train.bin"],
                test: &["test.bin"],
                names: "fine_label_names.txt",
                classes: 100,
                label_bytes: 2,
                // As in NAS-Bench-201 (Dong, Yang, 2020; AutoDL-Projects): 129.3, 124.1, 112.4 and 68.2, 65.4, 70.4
                // of 255.
                mean: [129.3 / 255.0, 124.1 / 255.0, 112.4 / 255.0],
                std: [68.2 / 255.0, 65.4 / 255.0, 70.4 / 255.0],
            },
        }
    }
}

/// Opens the data set in `dir`, or in the published archive's folder within it.
pub(super) fn open(variant: Variant, dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let table = variant.table();
    let dir = locate(&table, dir)?;
    let mut hasher = Sha256::new();
    let class_names = read_names(&table, &dir.join(table.names), &mut hasher)?;
    let train = read_part(&table, table.train, &dir, &mut hasher)?;
    let test = read_part(&table, table.test, &dir, &mut hasher)?;
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
        checksum: format!("{:x}", hasher.finalize()),
    }
    .into_dataset(options)
}

fn locate(table: &Table, dir: &Path) -> Result<PathBuf, DataError> {
    let first = table.train[0];
    [dir.to_path_buf(), dir.join(table.folder)]
        .into_iter()
        .find(|candidate| candidate.join(first).is_file())
        .ok_or_else(|| DataError::Layout {
            path: dir.into(),
            expected: format!(
                "{first} in it or in {}/ (the binary version, not the Python one)",
                table.folder
            ),
        })
}

fn read_names(table: &Table, path: &Path, hasher: &mut Sha256) -> Result<Vec<String>, DataError> {
    let text = fs::read_to_string(path).map_err(DataError::read(path))?;
    hasher.update(&text);
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect();
    if names.len() != table.classes {
        return Err(DataError::Malformed {
            path: path.into(),
            place: Place::Whole,
            expected: format!("{} class names, one a line", table.classes),
            found: names.len().to_string(),
        });
    }
    Ok(names)
}

fn read_part(table: &Table, files: &[&str], dir: &Path, hasher: &mut Sha256) -> Result<Pictures, DataError> {
    let mut pictures = Pictures {
        labels: Vec::new(),
        pixels: Vec::new(),
    };
    for file in files {
        let path = dir.join(file);
        let bytes = fs::read(&path).map_err(DataError::read(&path))?;
        hasher.update(&bytes);
        append_records(table, &path, &bytes, &mut pictures)?;
    }
    Ok(pictures)
}

/// Appends every record of one file; `path` names it in errors.
fn append_records(table: &Table, path: &Path, bytes: &[u8], pictures: &mut Pictures) -> Result<(), DataError> {
    let record_bytes = table.label_bytes + SHAPE.values();
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
        let (labels, pixels) = content.split_at(table.label_bytes);
        let label = labels[table.label_bytes - 1];
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    /// Records whose label is `label(record)` and whose pixels count up from it.
    fn records(variant: Variant, count: u8, label: impl Fn(u8) -> u8) -> Vec<u8> {
        let coarse = variant.table().label_bytes - 1;
        (0..count)
            .flat_map(|record| {
                let label = label(record);
                let pixels = (0..SHAPE.values()).map(move |i| (i as u8).wrapping_add(label));
                std::iter::repeat_n(19, coarse).chain([label]).chain(pixels)
            })
            .collect()
    }

    fn folder(variant: Variant, dir: &Path, per_file: u8) {
        let table = variant.table();
        let classes = table.classes as u8;
        let names: String = (0..classes).map(|class| format!("class {class}\n")).collect();
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(table.names), names + "\n").unwrap();
        for file in table.train.iter().chain(table.test) {
            let bytes = records(variant, per_file, |record| record % classes);
            fs::write(dir.join(file), bytes).unwrap();
        }
    }

    #[test]
    fn both_variants_are_read_from_their_folder_or_its_parent() {
        for (variant, train, test) in [(Variant::Cifar10, 100, 20), (Variant::Cifar100, 20, 20)] {
            let parent = TempDir::new().unwrap();
            let dir = parent.path().join(variant.table().folder);
            folder(variant, &dir, 20);
            let inside = open(variant, &dir, &DataOptions::default()).unwrap();
            let above = open(variant, parent.path(), &DataOptions::default()).unwrap();
            assert_eq!((inside.train.len(), inside.test.len()), (train, test));
            assert_eq!(inside.checksum, above.checksum);
            assert_eq!(inside.class_names[1], "class 1");
            assert_eq!(inside.test.labels()[3], 3);
            let pixels: Vec<u8> = (0..SHAPE.values()).map(|i| (i as u8).wrapping_add(3)).collect();
            assert_eq!(inside.test.image(3).unwrap().pixels(), pixels);
        }
    }

    #[test]
    fn size_and_limits_apply_and_the_checksum_sees_a_changed_byte() {
        let dir = TempDir::new().unwrap();
        folder(Variant::Cifar10, dir.path(), 20);
        let options = DataOptions {
            image_size: Some(16),
            limit: Some(30),
            test_limit: Some(10),
            ..DataOptions::default()
        };
        let before = open(Variant::Cifar10, dir.path(), &options).unwrap();
        assert_eq!((before.train.len(), before.test.len()), (30, 10));
        assert_eq!(before.shape.to_string(), "3×16×16");
        for class in 0..10 {
            let count = before.train.labels().iter().filter(|&&label| label == class).count();
            assert_eq!(count, 3);
        }
        let path = dir.path().join("test_batch.bin");
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        let after = open(Variant::Cifar10, dir.path(), &options).unwrap();
        assert_ne!(before.checksum, after.checksum);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = TempDir::new().unwrap();
        let message = || {
            let error = open(Variant::Cifar10, dir.path(), &DataOptions::default()).unwrap_err();
            error.to_string().replace(&dir.path().display().to_string(), "DIR")
        };
        assert_eq!(
            message(),
            "DIR: expected data_batch_1.bin in it or in cifar-10-batches-bin/ (the binary version, not the Python one)"
        );
        folder(Variant::Cifar10, dir.path(), 3);
        let third = dir.path().join("data_batch_3.bin");
        fs::write(&third, &records(Variant::Cifar10, 3, |_| 0)[..7000]).unwrap();
        assert_eq!(
            message(),
            "DIR/data_batch_3.bin, record 2 (at byte 6146): expected 3073 bytes, found 854: truncated"
        );
        fs::write(&third, []).unwrap();
        assert_eq!(
            message(),
            "DIR/data_batch_3.bin, record 0 (at byte 0): expected 3073 bytes, found 0: truncated"
        );
        fs::write(&third, records(Variant::Cifar10, 3, |record| 9 + record)).unwrap();
        assert_eq!(
            message(),
            "DIR/data_batch_3.bin, record 1 (at byte 3073): expected a label below 10, found 10"
        );
        fs::remove_file(&third).unwrap();
        assert_eq!(message(), "cannot read DIR/data_batch_3.bin");
        fs::write(dir.path().join("batches.meta.txt"), "cat\ndog\n").unwrap();
        assert_eq!(
            message(),
            "DIR/batches.meta.txt: expected 10 class names, one a line, found 2"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn truncated_or_arbitrary_bytes_are_an_error_or_records(
            length in 0usize..10_000, byte: u8, hundred: bool,
        ) {
            let table = if hundred { Variant::Cifar100 } else { Variant::Cifar10 }.table();
            let bytes = vec![byte; length];
            let mut pictures = Pictures { labels: Vec::new(), pixels: Vec::new() };
            let result = append_records(&table, Path::new("x.bin"), &bytes, &mut pictures);
            let record_bytes = table.label_bytes + SHAPE.values();
            let good = length > 0 && length % record_bytes == 0 && usize::from(byte) < table.classes;
            prop_assert_eq!(result.is_ok(), good);
            if good {
                prop_assert_eq!(pictures.labels.len(), length / record_bytes);
                prop_assert_eq!(pictures.pixels.len(), pictures.labels.len() * SHAPE.values());
            }
        }
    }
}
