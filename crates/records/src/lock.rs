//! The lock of a directory: one process works on it at a time.
//!
//! Contract: one file, one lock. A lock on a file that was removed or replaced guards nothing any
//! more, and says so. It is held until it is dropped or its process ends: the system takes it back,
//! so that nobody has to unlock a run that was killed. The file stays where it is.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::files::LOCK;
use crate::{FileError, Folder, LockError};

/// Most that is read of the file.
const MOST_BYTES: u64 = 32;

/// A directory that nobody else works on.
#[derive(Debug)]
pub struct Lock {
    file: File,
    held: bool,
    /// The process that took it: those that it forked have the lock with it, and it is not theirs
    /// to give back.
    process: u32,
}

impl Lock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// [`LockError::Busy`] if another process holds it; or what the system says.
    pub fn take(folder: &Folder) -> Result<Self, LockError> {
        loop {
            let lock = Self::take_file(folder)?;
            // Whoever held it may have removed it, and somebody may have created it again, between
            // opening and locking.
            if lock.guards(folder.path()) {
                return Ok(lock);
            }
        }
    }

    fn take_file(folder: &Folder) -> Result<Self, LockError> {
        // Not cut before it is ours: it says who holds it.
        let mut open = folder.keep(LOCK)?;
        let held = match open.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // A number, and the end of a line.
                let _ = open.take(MOST_BYTES).read_to_string(&mut holder);
                return Err(LockError::Busy {
                    path: folder.path().to_owned(),
                    holder: holder.trim().parse().ok(),
                });
            }
            // Some network file systems have none; whoever asked is told by `is_held`.
            Err(TryLockError::Error(error)) if is_absent(&error) => false,
            Err(TryLockError::Error(error)) => return Err(FileError::new("lock", folder.file(LOCK), error).into()),
        };
        // For people alone; a disk that is full is told of when it matters.
        let process = std::process::id();
        let _ = open.set_len(0).and_then(|()| writeln!(open, "{process}"));
        Ok(Self {
            file: open,
            held,
            process,
        })
    }

    /// Whether it is still the lock of the directory `path`: not if that was removed, or removed
    /// and made anew.
    pub fn guards(&self, path: &Path) -> bool {
        same_file(&self.file, &path.join(LOCK))
    }

    /// Whether others are kept out; not on a file system without locks.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that was forked meanwhile has it open too, and
    /// would keep the lock until it ends.
    fn drop(&mut self) {
        if self.held && self.process == std::process::id() {
            // The system takes back what cannot be given back, if later.
            let _ = self.file.unlock();
        }
    }
}

/// Whether locking failed because there are no locks.
fn is_absent(error: &io::Error) -> bool {
    // ENOLCK of Linux: a network file system whose service of locks does not run. Rust has no kind
    // for it.
    const NO_LOCKS: i32 = 37;
    error.kind() == io::ErrorKind::Unsupported || (cfg!(target_os = "linux") && error.raw_os_error() == Some(NO_LOCKS))
}

#[cfg(unix)]
fn same_file(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        _ => false,
    }
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_until_it_is_dropped() {
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
        // What a fork makes: the same open file, in another process.
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
    fn a_lock_whose_file_was_replaced_guards_nothing() {
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
