//! A folder of pictures: `train/CLASS/*.{jpg,jpeg,png}`, and `test/` or, where there is none, `val/` in the same way.
//!
//! Classes are the sub-folders, in alphabetical order, and each class's files follow in alphabetical order; names that
//! begin with a dot are ignored, and so are other files. Each picture becomes the centred square of it, resampled to
//! `image_size`. They are decoded in parallel, into memory if they fit there, otherwise file by file as batches ask.

use super::Format;
use super::dataset::{Dataset, Fit, Normalisation, Split, Store};
use super::error::DataError;
use super::options::DataOptions;
use super::pixels::Image;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Labelled files.
struct Listing {
    paths: Vec<PathBuf>,
    labels: Vec<u32>,
}

/// Opens the data set in `dir`.
pub(super) fn open(dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let fit = options.fit()?;
    let (train_dir, test_dir) = locate(dir)?;
    let class_names = class_folders(&train_dir)?;
    require_same_classes(&class_names, &train_dir, &test_dir)?;
    let train = list(&train_dir, &class_names)?;
    let train = train.select(&options.kept_for_training(&train.labels));
    let test = list(&test_dir, &class_names)?;
    let test = test.select(&options.kept_for_test(&test.labels));

    let needed_bytes = (train.paths.len() + test.paths.len()).saturating_mul(fit.shape().values());
    let in_memory = !options.crop_from_original && needed_bytes as u64 <= options.memory_limit_bytes;
    let mut hasher = Sha256::new();
    let mut load = |listing: Listing| {
        if in_memory {
            listing.into_memory(dir, fit, &mut hasher)
        } else {
            listing.into_files(dir, fit, options.crop_from_original, &mut hasher)
        }
    };
    let (train, test) = (load(train)?, load(test)?);
    Ok(Dataset {
        name: Format::Images.name().into(),
        class_names,
        shape: fit.shape(),
        normalisation: Normalisation::measure(&train)?,
        train: Arc::new(train),
        test: Arc::new(test),
        checksum: format!("{:x}", hasher.finalize()),
    })
}

impl Listing {
    fn select(&self, kept: &[usize]) -> Self {
        Self {
            paths: kept.iter().map(|&index| self.paths[index].clone()).collect(),
            labels: kept.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    /// Decodes every file; the checksum gets their names and contents.
    fn into_memory(self, dir: &Path, fit: Fit, hasher: &mut Sha256) -> Result<Split, DataError> {
        let shape = fit.shape();
        let mut pixels = vec![0; self.paths.len() * shape.values()];
        let hashes = pixels
            .par_chunks_exact_mut(shape.values())
            .zip(&self.paths)
            .map(|(out, path)| {
                let bytes = fs::read(path).map_err(DataError::read(path))?;
                let image = Image::decode(path, &bytes, fit.channels)?;
                out.copy_from_slice(image.fit(fit.size, fit.centre_crop).pixels());
                Ok(Sha256::digest(&bytes))
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        self.hash(dir, &hashes, hasher);
        Ok(Split::new(self.labels, Store::Memory { shape, pixels }))
    }

    /// Leaves the files where they are; the checksum gets their names and sizes.
    fn into_files(
        self,
        dir: &Path,
        fit: Fit,
        crop_from_original: bool,
        hasher: &mut Sha256,
    ) -> Result<Split, DataError> {
        let sizes = self
            .paths
            .par_iter()
            .map(|path| {
                let metadata = fs::metadata(path).map_err(DataError::read(path))?;
                Ok(metadata.len().to_le_bytes())
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        self.hash(dir, &sizes, hasher);
        let store = Store::Files {
            paths: self.paths,
            fit,
            crop_from_original,
        };
        Ok(Split::new(self.labels, store))
    }

    /// Adds every file's name within `dir` and what `contents` says of it.
    fn hash(&self, dir: &Path, contents: &[impl AsRef<[u8]>], hasher: &mut Sha256) {
        for (path, content) in self.paths.iter().zip(contents) {
            let name = path.strip_prefix(dir).unwrap_or(path);
            hasher.update(name.as_os_str().as_encoded_bytes());
            hasher.update([0]);
            hasher.update(content);
        }
    }
}

/// The folders of the training and of the test pictures.
fn locate(dir: &Path) -> Result<(PathBuf, PathBuf), DataError> {
    let find = |names: &[&str]| {
        names
            .iter()
            .map(|name| dir.join(name))
            .find(|candidate| candidate.is_dir())
            .ok_or_else(|| DataError::Layout {
                path: dir.into(),
                expected: format!("a folder {}/ with a folder a class", names.join("/ or ")),
            })
    };
    Ok((find(&["train"])?, find(&["test", "val"])?))
}

/// What is in a folder, hidden names apart, in alphabetical order.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(DataError::read(dir))? {
        let entry = entry.map_err(DataError::read(dir))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The names of the classes in `dir`.
fn class_folders(dir: &Path) -> Result<Vec<String>, DataError> {
    let layout = |path: &Path, expected: &str| DataError::Layout {
        path: path.into(),
        expected: expected.into(),
    };
    let mut names = Vec::new();
    for path in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => names.push(name.to_string()),
            None => return Err(layout(&path, "a class name in UTF-8")),
        }
    }
    if names.len() < 2 {
        return Err(layout(dir, "a folder a class, two or more"));
    }
    Ok(names)
}

fn require_same_classes(in_train: &[String], train_dir: &Path, test_dir: &Path) -> Result<(), DataError> {
    let in_test = class_folders(test_dir)?;
    let lacking = |wanted: &[String], found: &[String], present: &Path, missing: &Path| match wanted
        .iter()
        .find(|&class| !found.contains(class))
    {
        Some(class) => Err(DataError::ClassMismatch {
            class: class.clone(),
            present: present.into(),
            missing: missing.into(),
        }),
        None => Ok(()),
    };
    lacking(in_train, &in_test, train_dir, test_dir)?;
    lacking(&in_test, in_train, test_dir, train_dir)
}

/// The picture files of every class.
fn list(dir: &Path, class_names: &[String]) -> Result<Listing, DataError> {
    let mut listing = Listing {
        paths: Vec::new(),
        labels: Vec::new(),
    };
    for (name, label) in class_names.iter().zip(0..) {
        let folder = dir.join(name);
        let before = listing.paths.len();
        listing
            .paths
            .extend(entries(&folder)?.into_iter().filter(|path| is_picture(path)));
        if listing.paths.len() == before {
            return Err(DataError::Layout {
                path: folder,
                expected: format!("files ending in .{}", EXTENSIONS.join(", .")),
            });
        }
        listing.labels.resize(listing.paths.len(), label);
    }
    Ok(listing)
}

fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    /// `train/` and `test/` with the classes given, three pictures of different sizes each.
    fn folder(classes: &[&str]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for part in ["train", "test"] {
            for (class, name) in classes.iter().enumerate() {
                let folder = dir.path().join(part).join(name);
                fs::create_dir_all(&folder).unwrap();
                for (file, width) in [("b.png", 9), ("a.JPG", 12), ("c.jpeg", 8)] {
                    let colour = Rgb([60 * class as u8, 200, 90]);
                    let picture = RgbImage::from_fn(width, 10, |x, y| if x > y { colour } else { Rgb([0; 3]) });
                    picture.save(folder.join(file)).unwrap();
                }
                fs::write(folder.join(".hidden.png"), "nothing").unwrap();
                fs::write(folder.join("notes.txt"), "nothing").unwrap();
            }
        }
        fs::create_dir(dir.path().join("train/.cache")).unwrap();
        dir
    }

    fn options() -> DataOptions {
        DataOptions {
            image_size: Some(8),
            ..DataOptions::default()
        }
    }

    fn message(dir: &TempDir) -> String {
        let error = open(dir.path(), &options()).unwrap_err().to_string();
        error.replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn classes_and_files_come_in_alphabetical_order() {
        let dir = folder(&["zebra", "ape"]);
        let dataset = open(dir.path(), &options()).unwrap();
        assert_eq!(dataset.class_names, ["ape", "zebra"]);
        assert_eq!(dataset.train.labels(), [0, 0, 0, 1, 1, 1]);
        assert_eq!(dataset.shape.to_string(), "3×8×8");
        let first = fs::read(dir.path().join("train/ape/a.JPG")).unwrap();
        let first = Image::decode(Path::new("a"), &first, 3).unwrap();
        assert_eq!(dataset.train.image(0).unwrap(), first.fit(8, 1.0));
    }

    #[test]
    fn lazy_pictures_and_statistics_are_those_in_memory() {
        let dir = folder(&["ape", "zebra"]);
        for channels in [1, 3] {
            let options = DataOptions {
                channels: Some(channels),
                centre_crop: 0.8,
                ..options()
            };
            let eager = open(dir.path(), &options).unwrap();
            let lazy = DataOptions {
                memory_limit_bytes: 100,
                ..options
            };
            let lazy = open(dir.path(), &lazy).unwrap();
            assert!(lazy.train.is_lazy() && !eager.train.is_lazy());
            assert_eq!(lazy.normalisation, eager.normalisation);
            for index in 0..6 {
                let expected = eager.train.image(index).unwrap();
                assert_eq!(expected.shape().channels, channels);
                assert_eq!(lazy.train.image(index).unwrap(), expected);
                assert_eq!(lazy.train.image_to_crop(index).unwrap(), expected);
            }
        }
    }

    #[test]
    fn crops_can_be_cut_from_the_files_own_pixels() {
        let dir = folder(&["ape", "zebra"]);
        let options = DataOptions {
            crop_from_original: true,
            ..options()
        };
        let dataset = open(dir.path(), &options).unwrap();
        assert_eq!(dataset.train.image(0).unwrap().shape().to_string(), "3×8×8");
        assert_eq!(dataset.train.image_to_crop(0).unwrap().shape().to_string(), "3×10×12");
    }

    #[test]
    fn limits_keep_every_class() {
        let dir = folder(&["ape", "zebra"]);
        let options = DataOptions {
            limit: Some(4),
            test_limit: Some(2),
            ..options()
        };
        let dataset = open(dir.path(), &options).unwrap();
        assert_eq!(dataset.train.labels(), [0, 0, 1, 1]);
        assert_eq!(dataset.test.labels(), [0, 1]);
    }

    #[test]
    fn val_is_the_test_part_where_there_is_no_test() {
        let dir = folder(&["ape", "zebra"]);
        fs::rename(dir.path().join("test"), dir.path().join("val")).unwrap();
        assert_eq!(open(dir.path(), &options()).unwrap().test.len(), 6);
        fs::remove_dir_all(dir.path().join("val")).unwrap();
        assert_eq!(
            message(&dir),
            "DIR: expected a folder test/ or val/ with a folder a class"
        );
        fs::remove_dir_all(dir.path().join("train")).unwrap();
        assert_eq!(message(&dir), "DIR: expected a folder train/ with a folder a class");
    }

    #[test]
    fn a_class_of_one_part_only_is_named() {
        let dir = folder(&["ape", "bee", "zebra"]);
        fs::remove_dir_all(dir.path().join("test/bee")).unwrap();
        assert_eq!(message(&dir), "class `bee` is in DIR/train but not in DIR/test");
        fs::remove_dir_all(dir.path().join("train/bee")).unwrap();
        fs::create_dir(dir.path().join("test/cow")).unwrap();
        assert_eq!(message(&dir), "class `cow` is in DIR/test but not in DIR/train");
    }

    #[test]
    fn an_empty_class_and_a_broken_file_are_named() {
        let dir = folder(&["ape", "zebra"]);
        fs::write(dir.path().join("test/ape/b.png"), "no picture").unwrap();
        assert_eq!(message(&dir), "DIR/test/ape/b.png: not a picture that can be decoded");
        let whole = fs::read(dir.path().join("train/ape/b.png")).unwrap();
        fs::write(dir.path().join("test/ape/b.png"), &whole[..whole.len() / 2]).unwrap();
        assert_eq!(message(&dir), "DIR/test/ape/b.png: not a picture that can be decoded");
        for file in ["a.JPG", "b.png", "c.jpeg"] {
            fs::remove_file(dir.path().join("train/zebra").join(file)).unwrap();
        }
        assert_eq!(
            message(&dir),
            "DIR/train/zebra: expected files ending in .jpg, .jpeg, .png"
        );
    }

    #[test]
    fn the_checksum_sees_contents_and_names() {
        let dir = folder(&["ape", "zebra"]);
        let checksum = || open(dir.path(), &options()).unwrap().checksum;
        let before = checksum();
        assert_eq!(before, checksum());
        fs::rename(dir.path().join("test/ape/b.png"), dir.path().join("test/ape/bb.png")).unwrap();
        let renamed = checksum();
        assert_ne!(before, renamed);
        fs::copy(dir.path().join("test/zebra/b.png"), dir.path().join("test/ape/bb.png")).unwrap();
        assert_ne!(renamed, checksum());
    }
}
