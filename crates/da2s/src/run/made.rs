//! The folders created for a run, so that a run that fails early leaves none of them.
//!
//! Contract: a folder that existed before, that another process created, or that is not empty is
//! never removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Created folders, each inside the previous one.
#[derive(Clone, Debug, Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Creates the folder `path` and missing parents; it may already exist.
    ///
    /// # Errors
    /// An I/O error; the folder is removed then.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        let mut made = Self::default();
        for folder in missing.into_iter().rev() {
            // If another process was faster, the folder is not ours.
            if fs::create_dir(folder).is_ok() {
                made.0.push(folder.to_owned());
            }
        }
        // This fails for the same reason, and returns the error.
        fs::create_dir_all(path).inspect_err(|_| made.unmake())?;
        Ok(made)
    }

    /// Removes the empty ones.
    pub(super) fn unmake(&self) {
        for folder in self.0.iter().rev() {
            // The system only removes empty folders.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_created_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().join("a");
        Made::make(&top.join("b/c")).unwrap().unmake();
        assert!(!top.exists());
        // Through a folder that must be created first.
        Made::make(&top.join("../d/e")).unwrap().unmake();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    }

    #[test]
    fn existing_or_non_empty_folders_are_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let (there, path) = (temporary.path().join("a"), temporary.path().join("a/b/c"));
        fs::create_dir(&there).unwrap();
        Made::make(&path).unwrap().unmake();
        assert!(there.exists() && !there.join("b").exists());
        let made = Made::make(&path).unwrap();
        // A file that another process created in the meantime.
        fs::create_dir(there.join("b/neighbour")).unwrap();
        made.unmake();
        assert!(there.join("b/neighbour").exists() && !path.exists());
        // Nothing was created here.
        fs::create_dir(&path).unwrap();
        Made::make(&path).unwrap().unmake();
        assert!(path.exists());
    }

    #[test]
    fn a_failed_creation_leaves_no_folders() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Made::make(&file).is_err());
        assert!(Made::make(&file.join("a/b")).is_err());
        // The folder can be created, but not a file with such a name in it.
        let long = temporary.path().join("folder").join("x".repeat(1000));
        assert!(Made::make(&long).is_err());
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
