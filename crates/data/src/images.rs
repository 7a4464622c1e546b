//! A folder of pictures: `train/CLASS/*` with image files (see [`IMAGE_ENDINGS`]), and `test/` in the same way, or
//! `val/` where there is no `test/`. Where there are both, the pictures in `val/` are validation pictures.
//!
//! Classes are the sub-folders, in alphabetical order, and each class's files follow in alphabetical order; names that
//! begin with a dot are ignored, and so are other files. Each picture becomes the centred square of it, resampled to
//! `image_size`. They are decoded in parallel, into memory if they fit there, otherwise file by file as batches ask.

use da2s_images::{IMAGE_ENDINGS, Image, ImageError, has_image_ending, read_file};
use da2s_records::Sha256;

use super::Format;
use super::dataset::{Dataset, Normalisation, Split};
use super::error::DataError;
use super::image_files::{FileList, ImageFiles};
use super::options::DataOptions;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Classes whose folders are listed in parallel.
const CLASSES_AT_A_TIME: usize = 64;

/// The folders of the parts.
struct Folders {
    train: PathBuf,
    validation: Option<PathBuf>,
    test: PathBuf,
}

/// The files of every part.
pub(super) struct Parts {
    pub class_names: Vec<String>,
    pub train: ImageFiles,
    pub validation: Option<ImageFiles>,
    pub test: ImageFiles,
}

/// Opens the data set in `dir`.
pub(super) fn open(dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let parts = Parts::list(dir, options)?;
    let shape = parts.train.fit.shape();
    let needed_bytes = parts.pictures().saturating_mul(shape.values()) as u64;
    let in_memory = !options.crop_from_original && needed_bytes <= options.memory_limit_bytes;
    let mut hasher = Sha256::default();
    let mut load = |files: ImageFiles| {
        if in_memory {
            into_memory(&files, dir, &mut hasher)
        } else {
            hash(&files.list, dir, &sizes(&files.list)?, &mut hasher);
            Ok(Split::lazy(files))
        }
    };
    let train = load(parts.train)?;
    let validation = match parts.validation {
        Some(files) => load(files)?,
        None => Split::empty(shape),
    };
    let test = load(parts.test)?;
    Ok(Dataset {
        name: Format::Images.name().into(),
        class_names: parts.class_names,
        shape,
        normalisation: Normalisation::measure(&train)?,
        train: Arc::new(train),
        validation: Arc::new(validation),
        test: Arc::new(test),
        checksum: hasher.hex(),
    })
}

/// The image files in `dir` and the folders below it, in alphabetical order; links to folders are passed over, since they may
/// lead back.
///
/// # Errors
/// If a folder cannot be read, or a name is not in UTF-8.
pub fn pictures_below(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut pictures = Vec::new();
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    for name in names(dir, |name| {
        let path = dir.join(name);
        is_folder(&path) || (has_image_ending(name) && !path.is_dir())
    })? {
        let path = dir.join(name);
        if is_folder(&path) {
            pictures.extend(pictures_below(&path)?);
        } else {
            pictures.push(path);
        }
    }
    Ok(pictures)
}

/// Whether there seems to be such a folder in `dir`.
pub(super) fn is_in(dir: &Path) -> bool {
    Folders::find(dir).is_ok()
}

impl Folders {
    fn find(dir: &Path) -> Result<Self, DataError> {
        let folder = |name: &str| Some(dir.join(name)).filter(|folder| folder.is_dir());
        let missing = |names: &str| DataError::Layout {
            path: dir.into(),
            expected: format!("a folder {names} with a folder a class"),
        };
        let train = folder("train").ok_or_else(|| missing("train/"))?;
        let (validation, test) = match (folder("val"), folder("test")) {
            (validation, Some(test)) => (validation, test),
            (Some(test), None) => (None, test),
            (None, None) => return Err(missing("test/ or val/")),
        };
        Ok(Self {
            train,
            validation,
            test,
        })
    }
}

impl Parts {
    /// Lists the files in `dir` that the limits keep; reads none of them.
    pub fn list(dir: &Path, options: &DataOptions) -> Result<Self, DataError> {
        let fit = options.fit()?;
        let folders = Folders::find(dir)?;
        let class_names = class_folders(&folders.train)?;
        let files = |folder: &PathBuf, limit: Option<usize>| {
            require_same_classes(&class_names, &folders.train, folder)?;
            let list = list(folder, &class_names)?;
            let list = match limit {
                Some(_) => list.select(&options.kept(list.labels(), limit)),
                None => list,
            };
            Ok::<_, DataError>(ImageFiles::new(
                list,
                fit,
                options.crop_from_original,
                options.bad_images,
            ))
        };
        let validation = folders.validation.as_ref();
        Ok(Self {
            train: files(&folders.train, options.limit)?,
            validation: validation.map(|folder| files(folder, options.test_limit)).transpose()?,
            test: files(&folders.test, options.test_limit)?,
            class_names,
        })
    }

    fn pictures(&self) -> usize {
        let validation = self.validation.as_ref().map_or(0, |files| files.list.len());
        self.train.list.len() + validation + self.test.list.len()
    }
}

/// The names of what is in a folder and `wanted`, hidden ones apart, in alphabetical order.
fn names(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(DataError::read(dir))? {
        let name = entry.map_err(DataError::read(dir))?.file_name();
        if name.as_encoded_bytes().starts_with(b".") || !wanted(Path::new(&name)) {
            continue;
        }
        names.push(name.into_string().map_err(|name| DataError::Layout {
            path: dir.join(name),
            expected: "a name in UTF-8".into(),
        })?);
    }
    names.sort_unstable();
    Ok(names)
}

/// The names of the classes in `dir`.
fn class_folders(dir: &Path) -> Result<Vec<String>, DataError> {
    let names = names(dir, |name| dir.join(name).is_dir())?;
    if names.len() < 2 {
        return Err(DataError::Layout {
            path: dir.into(),
            expected: "a folder a class, two or more".into(),
        });
    }
    Ok(names)
}

/// Contract: the classes of `other` are those of the training pictures.
fn require_same_classes(in_train: &[String], train_dir: &Path, other: &Path) -> Result<(), DataError> {
    let in_other = class_folders(other)?;
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
    lacking(in_train, &in_other, train_dir, other)?;
    lacking(&in_other, in_train, other, train_dir)
}

/// The picture files of every class.
fn list(dir: &Path, class_names: &[String]) -> Result<FileList, DataError> {
    let folders: Vec<PathBuf> = class_names.iter().map(|name| dir.join(name)).collect();
    let of_class = |folder: &PathBuf| {
        let names = names(folder, has_image_ending)?;
        if names.is_empty() {
            return Err(DataError::Layout {
                path: folder.clone(),
                expected: format!("files ending in .{}", IMAGE_ENDINGS.join(", .")),
            });
        }
        Ok(names)
    };
    let mut list = FileList::new(folders.clone());
    // Some classes at a time: waiting for a disk is shared, and the names of few are in memory twice.
    for (folders, first) in folders.chunks(CLASSES_AT_A_TIME).zip((0..).step_by(CLASSES_AT_A_TIME)) {
        let names: Vec<Vec<String>> = folders.par_iter().map(of_class).collect::<Result<_, _>>()?;
        for (names, label) in names.iter().zip(first..) {
            for name in names {
                list.push(label, name);
            }
        }
    }
    Ok(list)
}

/// Decodes every file; the checksum gets their names and contents.
fn into_memory(files: &ImageFiles, dir: &Path, hasher: &mut Sha256) -> Result<Split, DataError> {
    let values = files.fit.shape().values();
    let mut pixels = vec![0; files.list.len() * values];
    let hashes = pixels
        .par_chunks_exact_mut(values)
        .enumerate()
        .map(|(index, out)| {
            let path = files.list.path(index);
            let bytes = read_file(&path).map_err(|error| ImageError::new(&path, error.into()));
            let (bytes, own) = match bytes {
                Ok(bytes) => {
                    let own = Image::decode(&path, &bytes, files.fit.channels);
                    (bytes, own)
                }
                Err(error) => (Vec::new(), Err(error)),
            };
            let image = files.decode(index, own)?;
            out.copy_from_slice(files.fit(&image).pixels());
            Ok(Sha256::over(&bytes).digest())
        })
        .collect::<Result<Vec<_>, DataError>>()?;
    hash(&files.list, dir, &hashes, hasher);
    Ok(Split::read(files, pixels))
}

/// The size of every file.
fn sizes(list: &FileList) -> Result<Vec<[u8; 8]>, DataError> {
    (0..list.len())
        .into_par_iter()
        .map(|index| {
            let path = list.path(index);
            let metadata = fs::metadata(&path).map_err(DataError::read(&path))?;
            Ok(metadata.len().to_le_bytes())
        })
        .collect()
}

/// Adds every file's name within `dir` and what `contents` says of it to the checksum.
fn hash(list: &FileList, dir: &Path, contents: &[impl AsRef<[u8]>], hasher: &mut Sha256) {
    for (index, content) in contents.iter().enumerate() {
        let path = list.path(index);
        let name = path.strip_prefix(dir).unwrap_or(&path);
        hasher.update(name.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(content);
    }
}

#[cfg(test)]
#[path = "tests/images.rs"]
mod tests;
