//! Files that are written whole or not at all.
//!
//! Contract: whoever ends in the middle, and however, leaves the file as it was before, with at most one of its name and [`PARTIAL`]
//! beside it, which the next to write it replaces.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;

/// Behind the name of a file that is not yet whole.
pub(super) const PARTIAL: &str = ".partial";

/// Makes the folder that `path` is in.
///
/// # Errors
/// What the system says.
pub(super) fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error)),
        None => Ok(()),
    }
}

/// Makes the names in the folder of `path` last.
///
/// # Errors
/// What the system says.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::io("write", folder, error))
}

/// Writes a file so that it is whole or as it was before: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system says.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_parent(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(PARTIAL);
    let partial = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| {
        // What could not be finished must not look like a file; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&partial);
        Error::io("write", path, error)
    })?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_stays_beside_it() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/file");
        for bytes in [&b"first"[..], b"second"] {
            write_whole(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(temporary.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_finished_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        // A folder that is not empty cannot be replaced.
        let path = temporary.path().join("file");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write_whole(&path, b"x").is_err());
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
