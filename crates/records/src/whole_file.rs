//! Files that are written whole or not at all.
//!
//! Contract: a process that ends in the middle, however it ends, leaves the file as it was before. At most one file with its name
//! and [`PARTIAL`] stays beside it, which the next to write it replaces.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::FileError;

/// Ends the name of a file that is not yet whole.
pub const PARTIAL: &str = ".partial";

/// Makes the folder that `path` is in.
///
/// # Errors
/// What the system says.
pub fn make_parent(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| FileError::new("create", parent, error)),
        None => Ok(()),
    }
}

/// Makes the names in the folder of `path` last.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> Result<(), FileError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| FileError::new("write", folder, error))
}

/// Writes a file in a directory that nobody else writes to, and the folder that it is in: temporary file, fsync, rename, fsync of
/// the folder.
///
/// # Errors
/// What the system says; the file is then as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    make_parent(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(PARTIAL);
    write_by_way_of(&path.with_file_name(name), path, bytes)?;
    sync_folder(path)
}

/// Writes a file where other processes may be writing the same one: as [`write_whole`], but each process has a temporary file of
/// its own, and the folder must exist.
///
/// # Errors
/// What the system says; the file is then as it was before.
pub fn write_whole_unlocked(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.{}", std::process::id()));
    write_by_way_of(&partial, path, bytes)
}

fn write_by_way_of(partial: &Path, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let write = || -> io::Result<()> {
        let mut file = File::create(partial)?;
        file.write_all(bytes)?;
        // Otherwise the rename may publish an empty file.
        file.sync_all()?;
        fs::rename(partial, path)
    };
    write().map_err(|error| {
        // What could not be finished must not look like a file; that it cannot be removed changes nothing.
        let _ = fs::remove_file(partial);
        FileError::new("write", path, error)
    })
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
        write_whole_unlocked(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(temporary.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_finished_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        // A folder that is not empty cannot be replaced.
        let path = temporary.path().join("file");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write_whole(&path, b"x").is_err());
        assert!(write_whole_unlocked(&path, b"x").is_err());
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
