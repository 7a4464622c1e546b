//! The run directory: where each file lies, and writing that leaves a file whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::error::Error;

/// A directory that holds a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes a directory for a new run, or takes an empty one: stages remove what a stage before wrote, and must never
    /// find somebody else's files there.
    ///
    /// # Errors
    /// [`Error::RunExists`] if it already holds a run, [`Error::NotEmpty`] if it holds anything else; or what the system says.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let directory = Self { path: path.to_owned() };
        if directory.config_path().exists() {
            return Err(Error::RunExists { path: path.to_owned() });
        }
        fs::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        let mut entries = fs::read_dir(path).map_err(|error| Error::io("read", path, error))?;
        if entries.next().is_some() {
            return Err(Error::NotEmpty { path: path.to_owned() });
        }
        Ok(directory)
    }

    /// Opens the directory of a run.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if there is no `config.toml` in it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let directory = Self { path: path.to_owned() };
        let config = directory.config_path();
        if !config.is_file() {
            return Err(Error::Incomplete {
                path: config,
                need: "this is no run directory; make one with `da2s run` or `da2s search`",
            });
        }
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn config_path(&self) -> PathBuf {
        self.file("config.toml")
    }

    /// The configuration that the run was made with.
    ///
    /// # Errors
    /// If `config.toml` cannot be read or is not a configuration.
    pub fn config(&self) -> Result<Config, Error> {
        Ok(Config::read(&self.config_path())?)
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_config(&self, config: &Config) -> Result<(), Error> {
        write_whole(&self.config_path(), config.to_toml()?.as_bytes())
    }

    /// Writes `value` as JSON.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.file(name);
        let mut text = to_json(&path, value, true)?;
        text.push(b'\n');
        write_whole(&path, &text)
    }

    /// Reads a JSON file that `need` says who writes.
    ///
    /// # Errors
    /// If the file is not there, cannot be read, or is not what it should be.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str, need: &'static str) -> Result<T, Error> {
        let path = self.file(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Incomplete { path, need }),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            path,
            problem: error.to_string(),
        })
    }

    /// Appends `value` as one line of JSON.
    ///
    /// # Errors
    /// What the system says.
    pub fn append_line<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.file(name);
        let mut line = to_json(&path, value, false)?;
        line.push(b'\n');
        make_parent(&path)?;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        // On the disk before the checkpoint that counts it.
        file.write_all(&line)
            .and_then(|()| file.sync_data())
            .map_err(|error| Error::io("write", &path, error))
    }

    /// Keeps the first `count` lines of a file of lines; an absent file has none.
    ///
    /// # Errors
    /// What the system says, or [`Error::Damaged`] if there are fewer lines.
    pub fn keep_lines(&self, name: &str, count: usize) -> Result<(), Error> {
        let path = self.file(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let kept: String = text.split_inclusive('\n').take(count).collect();
        let lines = kept.matches('\n').count();
        if lines < count {
            return Err(Error::Damaged {
                path,
                problem: format!("it has {lines} lines where the checkpoint has {count}"),
            });
        }
        write_whole(&path, kept.as_bytes())
    }

    /// Removes what a stage wrote before, so that it starts anew. `name` is a file or a folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
            _ => Ok(()),
        }
    }
}

fn to_json<T: Serialize>(path: &Path, value: &T, pretty: bool) -> Result<Vec<u8>, Error> {
    let text = if pretty {
        serde_json::to_vec_pretty(value)
    } else {
        serde_json::to_vec(value)
    };
    text.map_err(|error| Error::io("write", path, error.into()))
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error)),
        None => Ok(()),
    }
}

/// Writes a file so that it is whole or as it was before: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system says.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_parent(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        // What could not be finished must not look like a file; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&partial);
        Error::io("write", path, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_once() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let directory = RunDirectory::create(&path).unwrap();
        assert!(matches!(RunDirectory::open(&path), Err(Error::Incomplete { .. })));
        directory.write_config(&Config::default()).unwrap();
        assert_eq!(RunDirectory::open(&path).unwrap().config().unwrap(), Config::default());
        assert!(matches!(RunDirectory::create(&path), Err(Error::RunExists { .. })));
        let other = temporary.path().join("other");
        fs::create_dir_all(other.join("search")).unwrap();
        assert!(matches!(RunDirectory::create(&other), Err(Error::NotEmpty { .. })));
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
