//! A folder of untrusted files: a run directory, a comparison.
//!
//! Contract: below the folder no link is followed, whether to read, write or remove, and no part of
//! a name leads out of it. Only regular files of bounded size are read; reading a pipe or a device
//! might never end or use all memory. A file appears complete or not at all. The path of the folder
//! itself comes from the user and may contain links.

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "other.rs"]
mod system;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::FileError;
use crate::error::is_absent;
use crate::weights_file::read_checked;
use system::Handle;

/// Suffix of an incomplete file, for a writer that holds the lock.
const PARTIAL: &str = ".partial";
/// Suffix of an incomplete file, for a writer without a lock; nobody else may remove it.
const SHARED: &str = ".new";

/// A folder whose files may come from others.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    handle: Arc<Handle>,
}

/// The type of a folder entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link.
    Link,
    /// A pipe, a device or a socket.
    Other,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// For reading.
    Read,
    /// For appending; created if missing.
    Append,
    /// For reading and writing; created if missing.
    Keep,
    /// For writing; must not exist.
    New,
}

/// An entry that is not a regular file where one was expected.
#[derive(Debug)]
struct NotAFile(Entry);

impl fmt::Display for NotAFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Entry::Link => "it is a link, and links are not followed here",
            Entry::Folder => "it is a folder",
            Entry::File | Entry::Other => "it is not a regular file",
        })
    }
}

impl std::error::Error for NotAFile {}

impl Folder {
    /// Opens the folder `path`.
    ///
    /// # Errors
    /// An I/O error.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let handle = Handle::open(path).map_err(|error| FileError::new("open", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            handle: Arc::new(handle),
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the file `name` in it, for messages.
    pub fn file(&self, name: &str) -> PathBuf {
        // Joining an empty name would add a slash.
        match name {
            "" => self.path.clone(),
            name => self.path.join(name),
        }
    }

    /// The folder `name` in it; created with its parents if missing.
    ///
    /// # Errors
    /// If something else has one of these names, or an I/O error.
    pub fn within(&self, name: &str) -> Result<Self, FileError> {
        let created = parts(name).and_then(|(mut above, last)| {
            above.push(last);
            self.walk(&above, true)
        });
        let handle = created.map_err(|error| self.failed("create", name, error))?;
        Ok(Self {
            path: self.file(name),
            handle: Arc::new(handle),
        })
    }

    /// The type of `name`; `None` if it is missing.
    ///
    /// # Errors
    /// An I/O error.
    pub fn entry(&self, name: &str) -> Result<Option<Entry>, FileError> {
        let found = self.inside(name).and_then(|(folder, last)| folder.entry(last));
        match found {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// Whether `name` is a regular file.
    pub fn has_file(&self, name: &str) -> bool {
        matches!(self.entry(name), Ok(Some(Entry::File)))
    }

    /// Names of the entries of the folder `name`; empty if it is missing.
    ///
    /// # Errors
    /// An I/O error.
    pub fn entries(&self, name: &str) -> Result<Vec<OsString>, FileError> {
        match self.folder(name).and_then(|folder| folder.entries()) {
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            entries => entries.map_err(|error| self.failed("read", name, error)),
        }
    }

    /// Opens the regular file `name` for reading; `None` if it is missing.
    ///
    /// # Errors
    /// If it is something else, or an I/O error.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, FileError> {
        match self.opened(name, Access::Read, false) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// Reads the regular file `name` of at most `most_bytes`; `None` if it is missing.
    ///
    /// # Errors
    /// If it is something else or larger, or an I/O error.
    pub fn read(&self, name: &str, most_bytes: u64) -> Result<Option<Vec<u8>>, FileError> {
        self.read_with(name, |file| read_bounded(file, most_bytes))
    }

    /// Reads the safetensors file `name`; `None` if it is missing. If it is a large file of another
    /// format, only its beginning.
    ///
    /// # Errors
    /// If its header describes a file of another length, or like [`Self::read`].
    pub fn read_weights(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        self.read_with(name, read_checked)
    }

    fn read_with(
        &self,
        name: &str,
        all: impl FnOnce(File) -> io::Result<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, FileError> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        all(file).map(Some).map_err(|error| self.failed("read", name, error))
    }

    /// Writes the file `name` atomically, creating its folders: temporary file, fsync, rename,
    /// fsync of the folder. The caller must hold the lock, see [`Lock`](crate::Lock).
    ///
    /// # Errors
    /// An I/O error; the file is then unchanged.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.written(name, bytes, PARTIAL)
            .map_err(|error| self.failed("write", name, error))
    }

    /// Like [`Self::write`], but other processes may write the same file at the same time.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.written(name, bytes, SHARED)
            .map_err(|error| self.failed("write", name, error))
    }

    fn written(&self, name: &str, bytes: &[u8], suffix: &str) -> io::Result<()> {
        let (folder, last) = self.created(name)?;
        let partial = partial_name(last, suffix);
        let write = || -> io::Result<()> {
            let mut file = folder.open_file(&partial, Access::New)?;
            file.write_all(bytes)?;
            // Otherwise the rename may publish an empty file.
            file.sync_all()?;
            folder.rename(&partial, last)
        };
        // The partial file must not stay; a failure to remove it is not reported.
        write().inspect_err(|_| drop(folder.remove_file(&partial)))?;
        folder.sync()
    }

    /// Appends `bytes` to the file `name` and flushes it to disk; creates the file and its folders
    /// if missing.
    ///
    /// # Errors
    /// If it is not a regular file, or an I/O error.
    pub fn append(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let appended = self.opened(name, Access::Append, true).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        });
        appended.map_err(|error| self.failed("write", name, error))
    }

    /// Creates an empty file `name` for writing, replacing an existing one. Writes are visible at
    /// once.
    ///
    /// # Errors
    /// An I/O error.
    pub fn create(&self, name: &str) -> Result<File, FileError> {
        self.remove(name)?;
        self.opened(name, Access::New, true)
            .map_err(|error| self.failed("create", name, error))
    }

    /// Opens the regular file `name` for reading and writing without truncating it; creates it if
    /// it is missing.
    ///
    /// # Errors
    /// If it is something else, or an I/O error.
    pub fn keep(&self, name: &str) -> Result<File, FileError> {
        self.opened(name, Access::Keep, false)
            .map_err(|error| self.failed("open", name, error))
    }

    /// Renames the file `from` to `to` in the same folder; [`Self::sync`] makes the change durable.
    ///
    /// # Errors
    /// An I/O error; both are then unchanged.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let renamed = || {
            let (folder, last) = self.inside(to)?;
            folder.rename(self.inside(from)?.1, last)
        };
        renamed().map_err(|error| self.failed("write", to, error))
    }

    /// Makes the names in the folder of `name` durable.
    ///
    /// # Errors
    /// An I/O error.
    pub fn sync(&self, name: &str) -> Result<(), FileError> {
        let synced = self.inside(name).and_then(|(folder, _)| folder.sync());
        synced.map_err(|error| self.failed("write", name, error))
    }

    /// Creates a hard link `to` to the file `from`, in the same folder.
    ///
    /// # Errors
    /// An I/O error, for example on a file system without hard links.
    pub fn link(&self, from: &str, to: &str) -> Result<(), FileError> {
        let linked = || {
            let (folder, last) = self.inside(to)?;
            folder.link(self.inside(from)?.1, last)
        };
        linked().map_err(|error| self.failed("write", to, error))
    }

    /// Removes `name`, a file or a folder with all its content; a link is removed, not its target.
    /// It may be missing.
    ///
    /// # Errors
    /// An I/O error.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let removed = self.inside(name).and_then(|(folder, last)| remove(&folder, last));
        match removed {
            Err(error) if !is_absent(&error) => Err(self.failed("remove", name, error)),
            _ => Ok(()),
        }
    }

    /// Removes the partial files in the folder `name` that killed callers of [`Self::write`] left.
    /// The caller must hold the lock.
    pub fn sweep(&self, name: &str) {
        let Ok(folder) = self.folder(name) else { return };
        for entry in folder.entries().unwrap_or_default() {
            if is_partial(&entry) {
                // A file that remains does no harm.
                let _ = folder.remove_file(&entry);
            }
        }
    }

    fn opened(&self, name: &str, access: Access, creates: bool) -> io::Result<File> {
        let (folder, last) = if creates {
            self.created(name)?
        } else {
            self.inside(name)?
        };
        // Checked before opening: opening a pipe may block, and opening a device may have effects.
        match folder.entry(last) {
            Ok(Entry::File) | Err(_) => {}
            Ok(entry) => return Err(refused(entry)),
        }
        let file = folder.open_file(last, access)?;
        // It may have been replaced in the meantime.
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(refused(Entry::Other))
        }
    }

    /// The folder that contains `name`, and the last part of the name.
    fn inside<'a>(&self, name: &'a str) -> io::Result<(Handle, &'a OsStr)> {
        let (above, last) = parts(name)?;
        Ok((self.walk(&above, false)?, last))
    }

    /// Like [`Self::inside`], but creates missing folders.
    fn created<'a>(&self, name: &'a str) -> io::Result<(Handle, &'a OsStr)> {
        let (above, last) = parts(name)?;
        Ok((self.walk(&above, true)?, last))
    }

    /// The folder `name`; this folder if the name is empty.
    fn folder(&self, name: &str) -> io::Result<Handle> {
        if name.is_empty() {
            return self.walk(&[], false);
        }
        let (mut above, last) = parts(name)?;
        above.push(last);
        self.walk(&above, false)
    }

    fn walk(&self, parts: &[&OsStr], creates: bool) -> io::Result<Handle> {
        let mut folder = self.handle.again()?;
        for part in parts {
            if creates {
                folder.create_folder(part)?;
            }
            folder = folder.folder(part).map_err(|error| match folder.entry(part) {
                Ok(Entry::Link) => refused(Entry::Link),
                _ => error,
            })?;
        }
        Ok(folder)
    }

    fn failed(&self, action: &'static str, name: &str, source: io::Error) -> FileError {
        FileError::new(action, self.file(name), source)
    }
}

/// Reads a file of at most `most_bytes`.
///
/// # Errors
/// If it is larger, or an I/O error.
pub(crate) fn read_bounded(file: File, most_bytes: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {most_bytes} bytes"),
        )
    };
    let length = file.metadata()?.len();
    if length > most_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // A file that claims more than the available memory is refused; it must not abort the process.
    bytes.try_reserve_exact(usize::try_from(length).map_err(|_| too_large())?)?;
    // The file may grow in the meantime.
    file.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The folders that a name goes through, and its last part.
fn parts(name: &str) -> io::Result<(Vec<&OsStr>, &OsStr)> {
    let plain = Path::new(name).components().map(|component| match component {
        Component::Normal(part) => Ok(part),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name leads out of the folder",
        )),
    });
    let mut parts: Vec<&OsStr> = plain.collect::<io::Result<_>>()?;
    let last = parts.pop();
    let last = last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name is empty"))?;
    Ok((parts, last))
}

fn remove(folder: &Handle, name: &OsStr) -> io::Result<()> {
    if folder.entry(name)? != Entry::Folder {
        return folder.remove_file(name);
    }
    let inside = folder.folder(name)?;
    for entry in inside.entries()? {
        remove(&inside, &entry)?;
    }
    folder.remove_folder(name)
}

/// An unpredictable name, which nobody else can have created in advance.
fn partial_name(name: &OsStr, suffix: &str) -> OsString {
    // The keys of a hasher are random.
    let random = RandomState::new().build_hasher().finish();
    format!(".{}.{random:016x}{suffix}", name.to_string_lossy()).into()
}

/// Whether a file with this name is incomplete: a killed caller of [`Folder::write`] left it.
pub fn is_partial(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(PARTIAL)
}

fn refused(entry: Entry) -> io::Error {
    let kind = match entry {
        // The same error as from the system.
        Entry::Folder => io::ErrorKind::IsADirectory,
        Entry::File | Entry::Link | Entry::Other => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, NotAFile(entry))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
