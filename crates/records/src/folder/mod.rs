//! A folder of files that somebody else may have put there: a run directory, a comparison.
//!
//! Contract: no link is followed below the folder, neither to read nor to write nor to remove, and
//! no part of a name leads out of it. Only regular files of bounded size are read; a pipe or a
//! device would take for ever, or all memory. A file appears whole or not at all. The folder's own
//! path is its user's, and may lead through links.

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
use system::Handle;

/// Ends the name of a file that is not yet whole, of a writer that keeps others out.
const PARTIAL: &str = ".partial";
/// The same of a writer that does not, whose file nobody else may take away.
const SHARED: &str = ".new";

/// A folder whose files may come from others.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    handle: Arc<Handle>,
}

/// What an entry of a folder is.
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
    /// To read it.
    Read,
    /// To write to its end; it is created if it is missing.
    Append,
    /// To read and write it; it is created if it is missing.
    Keep,
    /// To write it; it must be missing.
    New,
}

/// Something else than a regular file, where one was expected.
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
    /// What the system says.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let handle = Handle::open(path).map_err(|error| FileError::new("open", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            handle: Arc::new(handle),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the file `name` in it, for messages.
    pub fn file(&self, name: &str) -> PathBuf {
        // To join with nothing would add a slash.
        match name {
            "" => self.path.clone(),
            name => self.path.join(name),
        }
    }

    /// The folder `name` in it, with the folders above it; created where they are missing.
    ///
    /// # Errors
    /// If something else has one of their names, or what the system says.
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

    /// What `name` is; none if it is missing.
    ///
    /// # Errors
    /// What the system says.
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

    /// Names of what the folder `name` holds; none if it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn entries(&self, name: &str) -> Result<Vec<OsString>, FileError> {
        match self.folder(name).and_then(|folder| folder.entries()) {
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            entries => entries.map_err(|error| self.failed("read", name, error)),
        }
    }

    /// Opens the regular file `name` to read it; none if it is missing.
    ///
    /// # Errors
    /// If it is something else, or what the system says.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, FileError> {
        match self.opened(name, Access::Read, false) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// Reads the regular file `name` of at most `most_bytes`; none if it is missing.
    ///
    /// # Errors
    /// If it is something else or larger, or what the system says.
    pub fn read(&self, name: &str, most_bytes: u64) -> Result<Option<Vec<u8>>, FileError> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        let read = read_bounded(file, most_bytes);
        read.map(Some).map_err(|error| self.failed("read", name, error))
    }

    /// Writes the file `name`, and the folders that it is in, whole or not at all: temporary file,
    /// fsync, rename, fsync of the folder. The writer keeps others out, see [`Lock`](crate::Lock).
    ///
    /// # Errors
    /// What the system says; the file is then as it was before.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.written(name, bytes, PARTIAL)
            .map_err(|error| self.failed("write", name, error))
    }

    /// As [`Self::write`], where other processes may be writing the same file.
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
        // What could not be finished must not stay; that it cannot be removed changes nothing.
        write().inspect_err(|_| drop(folder.remove_file(&partial)))?;
        folder.sync()
    }

    /// Adds `bytes` to the end of the file `name`, which is on the disk then; creates it, and the
    /// folders that it is in.
    ///
    /// # Errors
    /// If it is something else than a regular file, or what the system says.
    pub fn append(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let appended = self.opened(name, Access::Append, true).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        });
        appended.map_err(|error| self.failed("write", name, error))
    }

    /// Opens a new, empty file `name` to write to as it comes, in the place of what has that name.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self, name: &str) -> Result<File, FileError> {
        self.remove(name)?;
        self.opened(name, Access::New, true)
            .map_err(|error| self.failed("create", name, error))
    }

    /// Opens the regular file `name` to read and write it, as it is; creates it if it is missing.
    ///
    /// # Errors
    /// If it is something else, or what the system says.
    pub fn keep(&self, name: &str) -> Result<File, FileError> {
        self.opened(name, Access::Keep, false)
            .map_err(|error| self.failed("open", name, error))
    }

    /// Gives the file `from` the name `to`, both in one folder; [`Self::sync`] makes that last.
    ///
    /// # Errors
    /// What the system says; both are then as they were before.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let renamed = || {
            let (folder, last) = self.inside(to)?;
            folder.rename(self.inside(from)?.1, last)
        };
        renamed().map_err(|error| self.failed("write", to, error))
    }

    /// Makes the names in the folder that `name` is in last.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self, name: &str) -> Result<(), FileError> {
        let synced = self.inside(name).and_then(|(folder, _)| folder.sync());
        synced.map_err(|error| self.failed("write", name, error))
    }

    /// Gives the file `from` the second name `to`, in the same folder.
    ///
    /// # Errors
    /// What the system says, as on a file system that has no second names.
    pub fn link(&self, from: &str, to: &str) -> Result<(), FileError> {
        let linked = || {
            let (folder, last) = self.inside(to)?;
            folder.link(self.inside(from)?.1, last)
        };
        linked().map_err(|error| self.failed("write", to, error))
    }

    /// Removes `name`, a file or a folder with all that it holds; a link is removed, not what it
    /// leads to. It may be missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let removed = self.inside(name).and_then(|(folder, last)| remove(&folder, last));
        match removed {
            Err(error) if !is_absent(&error) => Err(self.failed("remove", name, error)),
            _ => Ok(()),
        }
    }

    /// Removes what callers of [`Self::write`] that were killed left in the folder `name`. Whoever
    /// calls it keeps others out.
    pub fn sweep(&self, name: &str) {
        let Ok(folder) = self.folder(name) else { return };
        for entry in folder.entries().unwrap_or_default() {
            if is_partial(&entry) {
                // It is in nobody's way.
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
        // Not even opened: that may wait for ever, or set a device going.
        match folder.entry(last) {
            Ok(Entry::File) | Err(_) => {}
            Ok(entry) => return Err(refused(entry)),
        }
        let file = folder.open_file(last, access)?;
        // It may have become another meanwhile.
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(refused(Entry::Other))
        }
    }

    /// The folder that `name` is in, and its last part.
    fn inside<'a>(&self, name: &'a str) -> io::Result<(Handle, &'a OsStr)> {
        let (above, last) = parts(name)?;
        Ok((self.walk(&above, false)?, last))
    }

    /// As [`Self::inside`], with the folders created that are missing.
    fn created<'a>(&self, name: &'a str) -> io::Result<(Handle, &'a OsStr)> {
        let (above, last) = parts(name)?;
        Ok((self.walk(&above, true)?, last))
    }

    /// The folder `name`; itself where that is empty.
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

/// Reads at most so much of a file.
///
/// # Errors
/// If it is larger, or what the system says.
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
    // A file that claims more than there is memory for is refused, not a reason to end.
    bytes.try_reserve_exact(usize::try_from(length).map_err(|_| too_large())?)?;
    // It may grow meanwhile.
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

/// A name that nobody else can have put there.
fn partial_name(name: &OsStr, suffix: &str) -> OsString {
    // The keys of a hasher are random.
    let random = RandomState::new().build_hasher().finish();
    format!(".{}.{random:016x}{suffix}", name.to_string_lossy()).into()
}

/// Whether a file of that name was not finished by a caller of [`Folder::write`].
pub fn is_partial(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(PARTIAL)
}

fn refused(entry: Entry) -> io::Error {
    let kind = match entry {
        // As the system has it.
        Entry::Folder => io::ErrorKind::IsADirectory,
        Entry::File | Entry::Link | Entry::Other => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, NotAFile(entry))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
