//! Locates CIFAR's files in a folder, or in a downloaded archive, which is read without unpacking
//! it to disk.

use da2s_images::read_file;

use super::super::error::DataError;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use tar::Archive;

/// Maximum unpacked size of an archive in bytes: the published ones have up to 186 MB.
const MOST_BYTES: u64 = 256 << 20;

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Records of fixed size.
    Binary,
    /// Pickles.
    Python,
}

/// The files of one published version.
#[derive(Debug)]
pub(super) struct Version {
    pub encoding: Encoding,
    /// The archive's name.
    pub archive: &'static str,
    /// The folder in the archive.
    pub folder: &'static str,
    pub train: &'static [&'static str],
    pub test: &'static str,
    /// The file with the classes' names.
    pub names: &'static str,
}

/// An existing version.
#[derive(Debug)]
pub(super) struct Files {
    pub version: &'static Version,
    path: PathBuf,
    /// Contents of the files from an archive.
    members: Option<BTreeMap<String, Vec<u8>>>,
}

impl Files {
    /// Finds one of `versions`: in the folder `dir`, in a folder or an archive in it, or in `dir`
    /// if it is an archive itself. Unpacked versions come before archives; otherwise the order is
    /// that of `versions`.
    ///
    /// # Errors
    /// If there is none, or the archive cannot be read.
    pub fn find(versions: &'static [Version], dir: &Path) -> Result<Self, DataError> {
        let Some((version, path)) = locate(versions, dir) else {
            let places: Vec<String> = versions
                .iter()
                .map(|version| {
                    let (first, folder, archive) = (version.train[0], version.folder, version.archive);
                    format!("{first} in it or in {folder}/, or {archive}")
                })
                .collect();
            return Err(DataError::Layout {
                path: dir.into(),
                expected: places.join(", or "),
            });
        };
        let members = path.is_file().then(|| unpack(version, &path)).transpose()?;
        Ok(Self { version, path, members })
    }

    /// Whether [`Files::find`] would find one.
    pub(crate) fn are_in(versions: &'static [Version], dir: &Path) -> bool {
        locate(versions, dir).is_some()
    }

    /// The content of the file `name`, which can be taken once, and its path for errors.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn take(&mut self, name: &str) -> Result<(PathBuf, Vec<u8>), DataError> {
        let path = self.path.join(name);
        let bytes = match &mut self.members {
            None => read_file(&path).map_err(DataError::read(&path))?,
            Some(members) => members.remove(name).ok_or_else(|| DataError::Layout {
                path: self.path.clone(),
                expected: format!("{name} in it"),
            })?,
        };
        Ok((path, bytes))
    }
}

/// The existing version, and its folder or archive.
fn locate(versions: &'static [Version], dir: &Path) -> Option<(&'static Version, PathBuf)> {
    let unpacked = versions.iter().flat_map(|version| {
        [dir.to_path_buf(), dir.join(version.folder)]
            .into_iter()
            .filter(|path| path.join(version.train[0]).is_file())
            .map(move |path| (version, path))
    });
    let archives = versions.iter().flat_map(|version| {
        [dir.to_path_buf(), dir.join(version.archive)]
            .into_iter()
            .filter(|path| path.ends_with(version.archive) && path.is_file())
            .map(move |path| (version, path))
    });
    unpacked.chain(archives).next()
}

/// The files of `version` in the archive at `path`, by name; other files are ignored. Nothing is
/// written to disk, and headers are not trusted: at most [`MOST_BYTES`] are unpacked.
fn unpack(version: &Version, path: &Path) -> Result<BTreeMap<String, Vec<u8>>, DataError> {
    let wanted = |name: &str| version.train.contains(&name) || [version.test, version.names].contains(&name);
    let read = || DataError::read(path);
    let file = File::open(path).map_err(read())?;
    let unpacked = GzDecoder::new(BufReader::new(file));
    let mut archive = Archive::new(Bounded {
        unpacked,
        left: MOST_BYTES,
    });
    let mut members = BTreeMap::new();
    for entry in archive.entries().map_err(read())? {
        let mut entry = entry.map_err(read())?;
        let inner = entry.path().map_err(read())?.into_owned();
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !inner.components().all(inside) {
            return Err(DataError::Layout {
                path: path.to_owned(),
                expected: format!("only paths inside the archive, not {}", inner.display()),
            });
        }
        let name = inner.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !wanted(name) || !entry.header().entry_type().is_file() || members.contains_key(name) {
            continue;
        }
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(DataError::read(path.join(&inner)))?;
        members.insert(name.to_owned(), bytes);
    }
    Ok(members)
}

/// The unpacked content of an archive up to a limit; reaching the limit is an error, not the end.
struct Bounded<R> {
    unpacked: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacked.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it unpacks to more than {MOST_BYTES} bytes"),
            )
        })?;
        Ok(read)
    }
}
