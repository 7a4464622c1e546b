//! The lock of a directory: one process works on it at a time.
//!
//! Contract: held until it is dropped or its process ends, however it ends: the system takes it back, so that a killed run
//! never has to be unlocked by hand. The file stays where it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;

/// Name of the file that is locked.
pub const LOCK: &str = ".lock";

/// A directory that nobody else works on.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    held: bool,
}

impl Lock {
    /// Takes the lock of the directory `path`, which must be there.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process holds it; or what the system says.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let file = path.join(LOCK);
        let failed = |error| Error::io("lock", &file, error);
        // Not cut before it is ours: it says who holds it.
        let mut open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&file)
            .map_err(failed)?;
        let held = match open.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&file).unwrap_or_default();
                return Err(Error::Busy {
                    path: path.to_owned(),
                    holder: holder.trim().parse().ok(),
                });
            }
            // Some network file systems have none; whoever asked is told by `is_held`.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => false,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        // For people alone; a disk that is full is told of when it matters.
        let _ = open.set_len(0).and_then(|()| writeln!(open, "{}", std::process::id()));
        Ok(Self { _file: open, held })
    }

    /// Whether others are kept out; not on a file system without locks.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert!(lock.is_held());
        match Lock::take(folder.path()) {
            Err(Error::Busy { path, holder }) => {
                assert_eq!((path.as_path(), holder), (folder.path(), Some(std::process::id())));
            }
            other => panic!("{other:?}"),
        }
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
