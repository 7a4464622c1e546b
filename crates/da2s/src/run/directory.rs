//! The run directory: the location of each file, and access to it.
//!
//! Contract: a process that created it or opened it for work keeps others out. Nothing is written
//! to a directory that was removed in the meantime, so it is never partly recreated. Its content
//! may be untrusted, see [`Folder`].

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use da2s_records::files::{CONFIG, LOCK, MISTAKES, MOST_LINES_BYTES, MOST_WHOLE_BYTES, NETWORK, SEARCH};
use da2s_records::{Entry, Folder, Lock, is_partial};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::made::Made;
use crate::stage::Stage;

/// A directory with a run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// `None` if another process reads and writes it.
    folder: Option<Folder>,
    /// `None` if it is only read.
    lock: Option<Arc<Lock>>,
    /// The folders created for the run: the directory itself if it was missing, and missing ones
    /// above it.
    made: Made,
}

impl RunDirectory {
    /// Creates a directory for a new run, or uses an empty one: stages remove the files of earlier
    /// stages, and must never find other files there.
    ///
    /// # Errors
    /// [`Error::RunExists`] if it already contains a run, [`Error::NotEmpty`] if it contains
    /// anything else, [`Error::Busy`] if another process is creating a run there; or an I/O error.
    pub fn create(path: &Path) -> Result<Self, Error> {
        vacant(path)?;
        let made = Made::make(path).map_err(|error| Error::io("create", path, error))?;
        let locked = || -> Result<_, Error> {
            let folder = Folder::open(path)?;
            let lock = Lock::take(&folder)?;
            Ok((folder, lock))
        };
        let (folder, lock) = locked().inspect_err(|_| made.unmake())?;
        // Another process may have created a run in between.
        vacant(path)?;
        folder.sweep("");
        Ok(Self {
            path: path.to_owned(),
            folder: Some(folder),
            lock: Some(Arc::new(lock)),
            made,
        })
    }

    /// Opens the directory of a run for work.
    ///
    /// # Errors
    /// [`Error::NotARun`] if it has no `config.toml`, [`Error::Busy`] if another process works on
    /// it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let directory = Self::read(path)?;
        let folder = directory.folder()?;
        let lock = Lock::take(folder)?;
        for name in ["", SEARCH, NETWORK, MISTAKES] {
            folder.sweep(name);
        }
        Ok(Self {
            lock: Some(Arc::new(lock)),
            ..directory
        })
    }

    /// Opens the directory of a run for reading, even while another process works on it.
    ///
    /// # Errors
    /// [`Error::NotARun`] if it has no `config.toml`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let not_a_run = || Error::NotARun { path: path.to_owned() };
        let folder = match Folder::open(path) {
            Err(error) if error.is_absent() => return Err(not_a_run()),
            folder => folder?,
        };
        if folder.entry(CONFIG)?.is_none() {
            return Err(not_a_run());
        }
        Ok(Self {
            path: path.to_owned(),
            folder: Some(folder),
            lock: None,
            made: Made::default(),
        })
    }

    /// Whether it was opened for work but other processes are not kept out, because its file system
    /// has no locks.
    pub(crate) fn is_unguarded(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| !lock.is_held())
    }

    /// Removes the files `names` of a run that failed early, then its directory and those above it,
    /// if they were created for the run and are empty.
    pub(crate) fn unmake(self, names: &[&str]) {
        for name in names.iter().chain(&[CONFIG, LOCK]) {
            // The earlier error is the relevant one.
            let _ = self.remove(name);
        }
        self.made.unmake();
    }

    /// The directory of a run that another process reads and writes; nothing is opened.
    pub fn elsewhere(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            folder: None,
            lock: None,
            made: Made::default(),
        }
    }

    /// The folder with its files.
    fn folder(&self) -> Result<&Folder, Error> {
        let elsewhere = || {
            Error::io(
                "open",
                &self.path,
                io::Error::other("another process reads and writes it"),
            )
        };
        self.folder.as_ref().ok_or_else(elsewhere)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether it has the file `name`.
    pub fn has_file(&self, name: &str) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.has_file(name))
    }

    /// Refuses a link or a file in the place of a run below this one, in the folder `name`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if there is one.
    pub(super) fn expect_folder(&self, name: &str) -> Result<(), Error> {
        match self.folder()?.entry(name)? {
            None | Some(Entry::Folder) => Ok(()),
            Some(_) => Err(Error::Damaged {
                path: self.file(name),
                problem: "a link or a file is in the place of a folder".to_owned(),
            }),
        }
    }

    /// The names of the entries of the folder `name`, sorted; empty if it is missing.
    ///
    /// # Errors
    /// An I/O error.
    pub(super) fn entries(&self, name: &str) -> Result<Vec<OsString>, Error> {
        let mut entries = self.folder()?.entries(name)?;
        entries.sort();
        Ok(entries)
    }

    /// The contents of the file `name` of at most `most_bytes`; `None` if it is missing.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not a regular file, or larger; or an I/O error.
    pub fn bytes(&self, name: &str, most_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.folder()?.read(name, most_bytes)?)
    }

    /// The contents of the weights file `name`; `None` if it is missing. Of a large file of another
    /// kind, only the beginning is read.
    ///
    /// # Errors
    /// [`Error::Damaged`] if its header describes a file of another length; and the errors of
    /// [`Self::bytes`].
    pub(super) fn weights(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.folder()?.read_weights(name)?)
    }

    /// Like [`Self::bytes`], as text.
    ///
    /// # Errors
    /// Like [`Self::bytes`], and [`Error::Damaged`] if it is not UTF-8.
    pub(super) fn text(&self, name: &str, most_bytes: u64) -> Result<Option<String>, Error> {
        let Some(bytes) = self.bytes(name, most_bytes)? else {
            return Ok(None);
        };
        String::from_utf8(bytes).map(Some).map_err(|_| Error::Damaged {
            path: self.file(name),
            problem: "it is not UTF-8 text".to_owned(),
        })
    }

    /// Writes a file of the run, completely or not at all.
    ///
    /// # Errors
    /// An I/O error; or the directory no longer exists.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.expect_there(&self.file(name))?;
        Ok(self.folder()?.write(name, bytes)?)
    }

    /// Like [`Self::write`], for a process that only reads the run: others may write the same file.
    ///
    /// # Errors
    /// An I/O error.
    pub fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.folder()?.publish(name, bytes)?)
    }

    /// Refuses to write `path` if the directory was removed.
    fn expect_there(&self, path: &Path) -> Result<(), Error> {
        let there = match &self.lock {
            Some(lock) => lock.guards(&self.path),
            None => self.path.is_dir(),
        };
        if there {
            return Ok(());
        }
        // The directory is missing, or another run has replaced it.
        let gone = io::Error::new(io::ErrorKind::NotFound, "the run directory is gone");
        Err(Error::io("write", path, gone))
    }

    /// Writes `value` as JSON.
    ///
    /// # Errors
    /// An I/O error.
    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.file(name);
        let mut text = to_json(&path, value, true)?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Reads a JSON file that `stage` writes.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if the file is missing, [`Error::Damaged`] if its content is invalid,
    /// or an I/O error.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str, stage: Stage) -> Result<T, Error> {
        self.find_json(name)?.ok_or_else(|| Error::Incomplete {
            path: self.file(name),
            stage,
        })
    }

    /// Reads a JSON file; `None` if it is missing.
    ///
    /// # Errors
    /// [`Error::Damaged`] if its content is invalid, or an I/O error.
    pub(crate) fn find_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.bytes(name, MOST_WHOLE_BYTES)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Damaged {
                path: self.file(name),
                problem: error.to_string(),
            })
    }

    /// Appends `value` as one line of JSON.
    ///
    /// # Errors
    /// An I/O error.
    pub(crate) fn append_line<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.file(name);
        let mut line = to_json(&path, value, false)?;
        line.push(b'\n');
        self.expect_there(&path)?;
        // It must be on the disk before the checkpoint that counts it.
        Ok(self.folder()?.append(name, &line)?)
    }

    /// For a `stage` that was to be resumed but has no `checkpoint`: refuses to start it from the
    /// beginning if the file of lines `name` records more than one epoch, because the checkpoint
    /// was lost then. After a single epoch, the first checkpoint may not have been written yet.
    ///
    /// # Errors
    /// [`Error::LostCheckpoint`], or an I/O error.
    pub(super) fn expect_no_epochs(&self, name: &str, checkpoint: &Path, stage: Stage) -> Result<(), Error> {
        if self.lines(name)?.lines().count() <= 1 {
            return Ok(());
        }
        Err(Error::LostCheckpoint {
            path: checkpoint.to_owned(),
            stage,
        })
    }

    /// The text of a file of lines; empty if the file is missing.
    fn lines(&self, name: &str) -> Result<String, Error> {
        Ok(self.text(name, MOST_LINES_BYTES)?.unwrap_or_default())
    }

    /// Keeps the first `count` lines of a file of lines; a missing file has none.
    ///
    /// # Errors
    /// An I/O error, or [`Error::Damaged`] if there are fewer lines.
    pub(crate) fn keep_lines(&self, name: &str, count: usize) -> Result<(), Error> {
        let path = self.file(name);
        let text = self.lines(name)?;
        let kept: String = text.split_inclusive('\n').take(count).collect();
        let lines = kept.matches('\n').count();
        if lines < count {
            return Err(Error::Damaged {
                path,
                problem: format!("it has {lines} lines, but the checkpoint has {count}"),
            });
        }
        self.write(name, kept.as_bytes())
    }

    /// Removes earlier results of a stage, so that it can start again. `name` is a file or a
    /// folder.
    ///
    /// # Errors
    /// An I/O error.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        Ok(self.folder()?.remove(name)?)
    }

    /// Renames the file `from` to `to`, replacing it, in the same folder; [`Self::sync`] makes the
    /// change durable.
    ///
    /// # Errors
    /// An I/O error; both files are then unchanged.
    pub(super) fn replace(&self, from: &str, to: &str) -> Result<(), Error> {
        Ok(self.folder()?.rename(from, to)?)
    }

    /// Makes the names in the folder of the file `name` durable.
    ///
    /// # Errors
    /// An I/O error.
    pub(super) fn sync(&self, name: &str) -> Result<(), Error> {
        Ok(self.folder()?.sync(name)?)
    }

    /// Creates a hard link `to` to the file `from`, in the same folder, unless the file system has
    /// no links.
    pub(super) fn link(&self, from: &str, to: &str) -> Result<(), Error> {
        Ok(self.folder()?.link(from, to)?)
    }
}

/// Refuses a directory that contains a run, or anything other than a lock and partial files of a
/// killed process.
fn vacant(path: &Path) -> Result<(), Error> {
    if path.join(CONFIG).symlink_metadata().is_ok() {
        return Err(Error::RunExists { path: path.to_owned() });
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        // Whether it can be created is determined by trying.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read", path, error))?;
        let name = entry.file_name();
        if name != LOCK && !is_partial(&name) {
            return Err(Error::NotEmpty { path: path.to_owned() });
        }
    }
    Ok(())
}

fn to_json<T: Serialize>(path: &Path, value: &T, pretty: bool) -> Result<Vec<u8>, Error> {
    let text = if pretty {
        serde_json::to_vec_pretty(value)
    } else {
        serde_json::to_vec(value)
    };
    text.map_err(|error| Error::io("write", path, error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_directory_is_created_once() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let directory = RunDirectory::create(&path).unwrap();
        assert!(!directory.is_unguarded());
        assert!(matches!(RunDirectory::open(&path), Err(Error::NotARun { .. })));
        // Another process is creating it.
        assert!(matches!(RunDirectory::create(&path), Err(Error::Busy { .. })));
        directory.write_config(&Config::default()).unwrap();
        assert!(matches!(RunDirectory::open(&path), Err(Error::Busy { .. })));
        assert_eq!(RunDirectory::read(&path).unwrap().config().unwrap(), Config::default());
        drop(directory);
        assert_eq!(RunDirectory::open(&path).unwrap().config().unwrap(), Config::default());
        assert!(matches!(RunDirectory::create(&path), Err(Error::RunExists { .. })));
        let other = temporary.path().join("other");
        fs::create_dir_all(other.join("search")).unwrap();
        assert!(matches!(RunDirectory::create(&other), Err(Error::NotEmpty { .. })));
    }

    #[test]
    fn a_removed_run_leaves_no_files() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("runs/of mine/run");
        let directory = RunDirectory::create(&path).unwrap();
        directory.write_config(&Config::default()).unwrap();
        directory.append_line("search/metrics.jsonl", &1).unwrap();
        directory.unmake(&["search"]);
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
        // A directory that the user created is kept.
        fs::create_dir_all(&path).unwrap();
        let directory = RunDirectory::create(&path).unwrap();
        directory.write_config(&Config::default()).unwrap();
        directory.unmake(&["search"]);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        // Partial files of a killed process are not a run.
        fs::write(path.join(".config.toml.1.partial"), "[data]").unwrap();
        RunDirectory::create(&path).unwrap();
    }

    #[test]
    fn a_run_in_the_place_of_another_is_not_written_to() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("run");
        let first = RunDirectory::create(&path).unwrap();
        first.write_config(&Config::default()).unwrap();
        fs::remove_dir_all(&path).unwrap();
        let second = RunDirectory::create(&path).unwrap();
        second.write_config(&Config::default()).unwrap();
        assert!(first.append_line("search/metrics.jsonl", &1).is_err());
        second.append_line("search/metrics.jsonl", &1).unwrap();
    }

    #[test]
    fn a_directory_that_is_gone_is_not_brought_back() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("run");
        let directory = RunDirectory::create(&path).unwrap();
        fs::remove_dir_all(&path).unwrap();
        for written in [
            directory.append_line("search/metrics.jsonl", &1),
            directory.write_json("gap.json", &1),
            directory.write("network/best.safetensors", b"x"),
        ] {
            let said = written.unwrap_err().to_string();
            assert!(said.ends_with("the run directory is gone"), "{said}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn lines_are_cut_to_the_checkpoint() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(temporary.path()).unwrap();
        for line in 0..3 {
            directory.append_line("search/metrics.jsonl", &line).unwrap();
        }
        directory.keep_lines("search/metrics.jsonl", 2).unwrap();
        assert_eq!(
            fs::read_to_string(directory.file("search/metrics.jsonl")).unwrap(),
            "0\n1\n"
        );
        assert!(matches!(
            directory.keep_lines("search/metrics.jsonl", 3),
            Err(Error::Damaged { .. })
        ));
        directory.keep_lines("search/arch.jsonl", 0).unwrap();
    }
}
