//! The lock of a directory: only one process works on it at a time.
//!
//! Contract: one file, one lock. A lock on a file that was removed or replaced no longer guards
//! anything, and reports so. The lock is held until it is dropped or its process ends: the system
//! releases it then, so nobody has to unlock a run that was killed. Releasing the lock does not
//! remove the file.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::files::LOCK;
use crate::{FileError, Folder, LockError};

/// Maximum number of bytes read from the file.
const MOST_BYTES: u64 = 32;

/// A directory locked by this process.
#[derive(Debug)]
pub struct Lock {
    file: File,
    held: bool,
    /// The process that took the lock. Forked processes share the lock but must not release it.
    process: u32,
}

impl Lock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// [`LockError::Busy`] if another process holds it; or an I/O error.
    pub fn take(folder: &Folder) -> Result<Self, LockError> {
        loop {
            let lock = Self::take_file(folder)?;
            // The last holder may have removed the file, and another process may have created it
            // again, between opening and locking.
            if lock.guards(folder.path()) {
                return Ok(lock);
            }
        }
    }

    fn take_file(folder: &Folder) -> Result<Self, LockError> {
        // Not truncated before the lock is held: the file names the holder.
        let mut open = folder.keep(LOCK)?;
        let held = match open.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // A number and a line break.
                let _ = open.take(MOST_BYTES).read_to_string(&mut holder);
                return Err(LockError::Busy {
                    path: folder.path().to_owned(),
                    holder: holder.trim().parse().ok(),
                });
            }
            // Some network file systems have no locks; `is_held` reports that.
            Err(TryLockError::Error(error)) if is_absent(&error) => false,
            Err(TryLockError::Error(error)) => return Err(FileError::new("lock", folder.file(LOCK), error).into()),
        };
        // Only for people to read; a full disk is reported when it matters.
        let process = std::process::id();
        let _ = open.set_len(0).and_then(|()| writeln!(open, "{process}"));
        Ok(Self {
            file: open,
            held,
            process,
        })
    }

    /// Whether this is still the lock of the directory `path`: not if the directory was removed,
    /// even if it was created again.
    pub fn guards(&self, path: &Path) -> bool {
        same_file(&self.file, &path.join(LOCK))
    }

    /// Whether other processes are kept out; false on a file system without locks.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that was forked in the meantime has it open too,
    /// and would keep the lock until it ends.
    fn drop(&mut self) {
        if self.held && self.process == std::process::id() {
            // If this fails, the system releases the lock later.
            let _ = self.file.unlock();
        }
    }
}

/// Whether locking failed because locks are not supported.
fn is_absent(error: &io::Error) -> bool {
    // Linux's ENOLCK: a network file system whose lock service is not running. Rust has no error
    // kind for it.
    const NO_LOCKS: i32 = 37;
    error.kind() == io::ErrorKind::Unsupported || (cfg!(target_os = "linux") && error.raw_os_error() == Some(NO_LOCKS))
}

#[cfg(unix)]
fn same_file(open: &File, path: &Path) -> bool {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        _ => false,
    }
}

/// Windows does not remove an open file.
#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_one_process_has_it_until_it_is_dropped() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let lock = Lock::take(&folder).unwrap();
        assert!(lock.is_held());
        match Lock::take(&folder) {
            Err(LockError::Busy { path, holder }) => {
                assert_eq!((path.as_path(), holder), (folder.path(), Some(std::process::id())));
            }
            other => panic!("{other:?}"),
        }
        drop(lock);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn a_forked_process_neither_keeps_it_nor_gives_it_back() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let lock = Lock::take(&folder).unwrap();
        // Simulates a fork: the same open file in another process.
        let fork = || Lock {
            file: lock.file.try_clone().unwrap(),
            held: true,
            process: lock.process.wrapping_add(1),
        };
        let child = fork();
        drop(fork());
        assert!(matches!(Lock::take(&folder), Err(LockError::Busy { .. })));
        drop(lock);
        let again = Lock::take(&folder).unwrap();
        drop(child);
        assert!(matches!(Lock::take(&folder), Err(LockError::Busy { .. })));
        drop(again);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn a_lock_on_a_replaced_file_does_not_protect_the_run() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let first = Lock::take(&folder).unwrap();
        assert!(first.guards(folder.path()));
        fs::remove_file(folder.path().join(LOCK)).unwrap();
        assert!(!first.guards(folder.path()));
        let second = Lock::take(&folder).unwrap();
        assert!(second.guards(folder.path()) && !first.guards(folder.path()));
    }
}
