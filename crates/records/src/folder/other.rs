//! A folder by its path, for systems without calls relative to an open folder. A link is refused
//! when it is found; a link created between check and use is followed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{Access, Entry, refused};

/// A folder.
#[derive(Debug)]
pub(super) struct Handle(PathBuf);

impl Handle {
    /// Opens the folder `path`, following links.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path.to_owned()))
    }

    /// A second handle of the same folder.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// The folder `name` in it, unless that is a link.
    pub(super) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        match self.entry(name)? {
            Entry::Folder => Ok(Self(self.0.join(name))),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Creates the folder `name`, unless something with that name exists.
    pub(super) fn create_folder(&self, name: &OsStr) -> io::Result<()> {
        match fs::create_dir(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created,
        }
    }

    /// Opens `name`, unless it is a link.
    pub(super) fn open_file(&self, name: &OsStr, access: Access) -> io::Result<File> {
        match self.entry(name) {
            Ok(entry) if entry != Entry::File => return Err(refused(entry)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        match access {
            Access::Read => options.read(true),
            Access::Append => options.append(true).create(true),
            Access::Keep => options.read(true).write(true).create(true).truncate(false),
            Access::New => options.write(true).create_new(true),
        };
        options.open(self.0.join(name))
    }

    /// The type of `name`.
    pub(super) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        let found = fs::symlink_metadata(self.0.join(name))?.file_type();
        Ok(if found.is_symlink() {
            Entry::Link
        } else if found.is_dir() {
            Entry::Folder
        } else if found.is_file() {
            Entry::File
        } else {
            Entry::Other
        })
    }

    /// Names of its entries.
    pub(super) fn entries(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::hard_link(self.0.join(from), self.0.join(to))
    }

    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(super) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    /// Does nothing: names are durable without it on these systems.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
