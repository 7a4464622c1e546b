//! The files of a run: in its directory, or in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use da2s_records::Folder;
use da2s_records::files::MOST_LINES_BYTES;

use crate::ReportError;

/// The files of a run, by their paths relative to its directory.
pub trait Files {
    /// Name of the run.
    fn name(&self) -> String;

    /// The path of `file` in error messages; an empty `file` means the run itself.
    fn path(&self, file: &str) -> PathBuf;

    /// Content of `file`; `None` if it does not exist.
    ///
    /// # Errors
    /// [`ReportError::Read`] if it exists but cannot be read.
    fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, ReportError>;
}

/// A run directory.
impl Files for Path {
    /// The last part of its path.
    fn name(&self) -> String {
        let full = self.canonicalize().ok();
        let last = full.and_then(|full| Some(full.file_name()?.to_string_lossy().into_owned()));
        last.unwrap_or_else(|| self.display().to_string())
    }

    fn path(&self, file: &str) -> PathBuf {
        // Joining an empty path would add a slash.
        match file {
            "" => self.to_owned(),
            file => self.join(file),
        }
    }

    fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, ReportError> {
        match Folder::open(self) {
            Ok(folder) => Ok(folder.read(file, MOST_LINES_BYTES)?),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A run in memory, for example from an archive; it has no name.
impl Files for BTreeMap<&str, Vec<u8>> {
    fn name(&self) -> String {
        String::new()
    }

    fn path(&self, file: &str) -> PathBuf {
        match file {
            "" => "a run in memory".into(),
            file => file.into(),
        }
    }

    fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, ReportError> {
        Ok(self.get(file).cloned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::run::{Digest, Run};

    #[test]
    fn a_run_in_memory_equals_the_one_in_its_directory() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = BTreeMap::new();
        for (file, text) in [
            ("config.toml", "[search]\nmethod = \"da2s\"\n"),
            ("gap.json", "{\"images\":7}"),
            ("search.jsonl", "what no run writes"),
            ("failure.txt", "no space left"),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
            memory.insert(file, text.as_bytes().to_vec());
        }
        let run = Run::of(&memory).unwrap();
        assert_eq!(run.gap, Run::read(folder.path()).unwrap().gap);
        assert_eq!(run.failure.as_deref(), Some("no space left"));
        assert_eq!(Digest::of(&memory).unwrap(), Digest::read(folder.path()).unwrap());
        memory.insert("gap.json", b"{\n[".to_vec());
        let damaged = Run::of(&memory).unwrap_err().to_string();
        assert!(damaged.starts_with("gap.json, line 2: "), "{damaged}");
        assert!(matches!(Run::of(&BTreeMap::new()), Err(ReportError::NotARun { .. })));
    }
}
