//! Opens the files that [`Listing`] found in a folder of images or a table of labels.
//!
//! Each image becomes its centred square, resampled to `image_size`. Images are decoded in parallel
//! into memory if they fit, otherwise file by file when batches need them. In memory, the checksum
//! covers paths and complete files; otherwise it covers paths, sizes and three blocks of each file,
//! so that a folder with a million files opens in seconds, and swapped files are still detected.

use da2s_images::{Image, ImageError, has_one_channel, open_file, read_file};
use da2s_records::Sha256;

use super::Format;
use super::dataset::{ChecksumOf, Dataset, Normalisation, Part, Split};
use super::error::DataError;
use super::image_files::{FileList, ImageFiles};
use super::layout::FolderLayout;
use super::listing::Listing;
use super::options::{BadImages, DataOptions};
use super::walk::{PassedOver, has_more_files};
use rayon::prelude::*;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Size of each block of a file that represents its content: at its beginning, in its middle and at
/// its end.
const BLOCK_BYTES: u64 = 4096;

/// Largest number of files with three channels that are decoded to see whether they are grey.
const MOST_DECODED: usize = 128;

/// The files of every part, after applying the options.
pub(super) struct Parts {
    pub class_names: Vec<String>,
    pub train: ImageFiles,
    pub validation: Option<ImageFiles>,
    pub test: ImageFiles,
    pub passed_over: PassedOver,
    /// Notes for the user, one sentence each.
    pub notes: Vec<String>,
    names: ChecksumNames,
}

/// How the checksum names a file.
struct ChecksumNames {
    root: PathBuf,
    class_names: Vec<String>,
    by_table: bool,
}

/// Opens the data set in `dir`.
pub(super) fn open(dir: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    let mut parts = Parts::list(dir, options)?;
    let shape = parts.train.fit.shape();
    let needed_bytes = parts.pictures().saturating_mul(shape.values()) as u64;
    let in_memory = !options.crop_from_original && needed_bytes <= options.memory_limit_bytes;
    let mut hasher = Sha256::default();
    let names = &parts.names;
    let mut load = |part, files: ImageFiles| {
        if in_memory {
            let (split, hashes) = into_memory(&files)?;
            names.hash(part, &files.list, &hashes, &mut hasher);
            Ok(split)
        } else {
            names.hash(part, &files.list, &fingerprints(&files)?, &mut hasher);
            Ok::<_, DataError>(Split::lazy(files))
        }
    };
    let train = load(Part::Train, parts.train)?;
    let validation = match parts.validation {
        Some(files) => load(Part::Validation, files)?,
        None => Split::empty(shape),
    };
    let test = load(Part::Test, parts.test)?;
    if !parts.passed_over.is_empty() {
        parts.notes.push(format!("skipped: {}", parts.passed_over));
    }
    Ok(Dataset {
        name: Format::Images.name().into(),
        class_names: parts.class_names,
        shape,
        normalisation: Normalisation::measure(&train)?,
        train: Arc::new(train),
        validation: Arc::new(validation),
        test: Arc::new(test),
        checksum: hasher.hex(),
        checksum_of: if in_memory {
            ChecksumOf::Contents
        } else {
            ChecksumOf::Blocks
        },
        notes: parts.notes,
    })
}

/// Whether `path` seems to contain a folder of images or a table of labels.
pub(super) fn is_in(path: &Path) -> bool {
    FolderLayout::is_in(path).unwrap_or(false)
}

/// The labels of the training images in `path`, a folder or a table of labels, after applying
/// `options`; `None` if there are more than `most_files` files, or they cannot be listed.
pub fn small_training_set(path: &Path, options: &DataOptions, most_files: usize) -> Option<Vec<u32>> {
    if path.is_dir() && has_more_files(path, most_files)? {
        return None;
    }
    // A separate thread: the process's thread pool may not have been started yet.
    let thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    let parts = thread.install(|| Parts::list(path, options)).ok()?;
    let labels = parts.train.list.labels().to_vec();
    (labels.len() <= most_files).then_some(labels)
}

/// Whether all images in `path`, a folder or a table of labels, are grey: every file has a single
/// channel, except for at most 128, whose three channels are equal. `None` if there are more than
/// `most_files` files, or they cannot be listed; images that cannot be read are ignored.
pub fn are_grey(path: &Path, options: &DataOptions, most_files: usize) -> Option<bool> {
    if path.is_dir() && has_more_files(path, most_files)? {
        return None;
    }
    // Separate threads: the process's thread pool may not have been started yet.
    let threads = rayon::ThreadPoolBuilder::new().build().ok()?;
    let parts = threads.install(|| Parts::list(path, options)).ok()?;
    let (decoded, is_any_read) = (AtomicUsize::new(0), AtomicBool::new(false));
    let may_be_grey = |path: PathBuf| {
        let is_grey = match has_one_channel(&path) {
            Ok(false) if decoded.fetch_add(1, Ordering::Relaxed) >= MOST_DECODED => Some(false),
            Ok(false) => Image::read(&path, 3).ok().map(|image| has_equal_channels(&image)),
            is_grey => is_grey.ok(),
        };
        is_any_read.fetch_or(is_grey.is_some(), Ordering::Relaxed);
        is_grey != Some(false)
    };
    let parts = [Some(&parts.train), parts.validation.as_ref(), Some(&parts.test)];
    let are_grey = parts.into_iter().flatten().map(|files| &files.list).all(|list| {
        let all = || {
            (0..list.len())
                .into_par_iter()
                .all(|index| may_be_grey(list.path(index)))
        };
        threads.install(all)
    });
    is_any_read.into_inner().then_some(are_grey)
}

/// Whether an image with three channels is grey.
fn has_equal_channels(image: &Image) -> bool {
    let plane = image.pixels().len() / 3;
    let (red, rest) = image.pixels().split_at(plane);
    rest.chunks_exact(plane).all(|other| other == red)
}

/// Why there are no images in `path`, if something in it looks like them or it cannot be read.
pub fn images_problem(path: &Path) -> Option<DataError> {
    FolderLayout::is_in(path).err()
}

impl Parts {
    /// Lists the files in `dir`, as many as the limits allow, without reading them.
    pub fn list(dir: &Path, options: &DataOptions) -> Result<Self, DataError> {
        let fit = options.fit()?;
        let listing = Listing::of(dir, options.seed)?;
        let files = |list: FileList, limit: Option<usize>| {
            let list = match limit {
                Some(_) => list.select(&options.kept(list.labels(), limit)),
                None => list,
            };
            ImageFiles::new(list, fit, options.crop_from_original, options.bad_images)
        };
        Ok(Self {
            train: files(listing.train, options.limit),
            validation: listing.validation.map(|list| files(list, options.test_limit)),
            test: files(listing.test, options.test_limit),
            passed_over: listing.passed_over,
            notes: listing.notes,
            names: ChecksumNames {
                root: listing.root,
                class_names: listing.class_names.clone(),
                by_table: listing.by_table,
            },
            class_names: listing.class_names,
        })
    }

    fn pictures(&self) -> usize {
        let validation = self.validation.as_ref().map_or(0, |files| files.list.len());
        self.train.list.len() + validation + self.test.list.len()
    }
}

impl ChecksumNames {
    /// Adds every file of a part to the checksum: its path within the data set, its class and part
    /// if the path does not contain them, and its hash in `contents`.
    fn hash(&self, part: Part, list: &FileList, contents: &[[u8; 32]], hasher: &mut Sha256) {
        for (index, content) in contents.iter().enumerate() {
            let path = list.path(index);
            let name = path.strip_prefix(&self.root).unwrap_or(&path);
            hasher.update(name.as_os_str().as_encoded_bytes());
            hasher.update([0]);
            if self.by_table {
                for word in [&self.class_names[list.labels()[index] as usize], part.name()] {
                    hasher.update(word);
                    hasher.update([0]);
                }
            }
            hasher.update(content);
        }
    }
}

/// Decodes every file; returns the SHA-256 of each.
fn into_memory(files: &ImageFiles) -> Result<(Split, Vec<[u8; 32]>), DataError> {
    let values = files.fit.shape().values();
    let mut pixels = vec![0; files.list.len() * values];
    let read = pixels
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
            let size = (image.shape().height, image.shape().width);
            Ok((Sha256::over(&bytes).digest(), size))
        })
        // Not collected into one `Result`: in parallel that would return any of the errors, not the
        // first.
        .collect::<Vec<Result<_, DataError>>>();
    let (hashes, sizes): (Vec<_>, Vec<_>) = read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok((Split::read(files, pixels, &sizes), hashes))
}

/// The fingerprint of each file's content. A file that cannot be read is an error. If damaged
/// images are skipped, its fingerprint is that of no bytes instead.
fn fingerprints(files: &ImageFiles) -> Result<Vec<[u8; 32]>, DataError> {
    (0..files.list.len())
        .into_par_iter()
        .map(|index| {
            let path = files.list.path(index);
            match (fingerprint(&path), files.bad_images) {
                (Err(_), BadImages::Skip) => Ok(Sha256::default().digest()),
                (fingerprint, _) => Ok(fingerprint.map_err(|error| ImageError::new(&path, error.into()))?),
            }
        })
        .collect::<Vec<Result<_, DataError>>>()
        .into_iter()
        .collect()
}

/// The SHA-256 of a file's size and three blocks of it, or of its size and the complete file if
/// three blocks cover it.
fn fingerprint(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, length) = open_file(path)?;
    let mut hasher = Sha256::default();
    hasher.update(length.to_le_bytes());
    let places = if length <= 3 * BLOCK_BYTES {
        vec![(0, length)]
    } else {
        let last = length - BLOCK_BYTES;
        [0, last / 2, last].map(|start| (start, BLOCK_BYTES)).to_vec()
    };
    for (start, bytes) in places {
        file.seek(SeekFrom::Start(start))?;
        io::copy(&mut (&mut file).take(bytes), &mut hasher)?;
    }
    Ok(hasher.digest())
}

#[cfg(test)]
#[path = "tests/images.rs"]
mod tests;
