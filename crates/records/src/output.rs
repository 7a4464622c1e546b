//! Files outside a run: results that a user requests, and input that a user names.
//!
//! Contract: a result is written atomically if possible; a pipe or a character device, such as the
//! standard output, is written to directly. Anything else that is not a file is left alone. Only
//! regular files are read, since others may never end.

use std::fs::{self, FileType, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, absolute};

use crate::files::{CONFIG, OWN, REPORT, SUSPECTS};
use crate::folder::read_bounded;
use crate::weights_file::read_checked;
use crate::{FileError, Folder};

/// Writes `bytes` to `path`, which a user named; its folder must exist.
///
/// # Errors
/// If something that cannot be replaced has this name, such as a file of a run other than its
/// pages, or an I/O error.
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::new("write", path, error);
    let is_page = [REPORT, SUSPECTS].iter().any(|name| path.ends_with(name));
    if !is_page && is_of_run(path) {
        let problem = "it is a file of a run, which nothing else may replace";
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
    }
    match fs::metadata(path) {
        Ok(there) if streams(there.file_type()) => {
            let written = OpenOptions::new().write(true).open(path);
            written.and_then(|mut file| file.write_all(bytes)).map_err(failed)
        }
        Ok(there) if !there.is_file() => {
            let kind = if there.is_dir() {
                "a folder"
            } else {
                "a device or a socket"
            };
            let problem = format!("{kind} is in its place");
            Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)))
        }
        // For a link to a file, the file is replaced.
        Ok(_) if path.is_symlink() => replace(&path.canonicalize().map_err(failed)?, bytes),
        _ => replace(path, bytes),
    }
}

/// Whether `path`, once its links are resolved, is one of a run's own files or is in one of the
/// run's own folders.
pub fn is_of_run(path: &Path) -> bool {
    let Ok(path) = absolute(path) else { return false };
    // Only the existing part of the path can have links; the rest is appended as it is.
    let there = |folder: &Path| Some(folder.canonicalize().ok()?.join(path.strip_prefix(folder).ok()?));
    let Some(real) = path.ancestors().find_map(there) else {
        return false;
    };
    let mut folders = real.ancestors().skip(1);
    folders.any(|folder| folder.join(CONFIG).is_file() && OWN.iter().any(|name| real.starts_with(folder.join(name))))
}

/// Whether `path` is a pipe or a character device, such as the standard output.
pub fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| streams(there.file_type()))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::new("write", path, error);
    let no_name = || {
        failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it does not end in the name of a file",
        ))
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Errors name the path as it was given.
    let written = Folder::open(folder).and_then(|folder| folder.publish(name, bytes));
    written.map_err(|error| failed(error.source))
}

/// Reads the regular file `path` of at most `most_bytes`, which a user named.
///
/// # Errors
/// If it is something else or larger, or an I/O error.
pub fn read_input(path: &Path, most_bytes: u64) -> Result<Vec<u8>, FileError> {
    read_with(path, |file| read_bounded(file, most_bytes))
}

/// Reads the safetensors file `path`, which a user named. If it is a large file of another kind,
/// reads only its beginning.
///
/// # Errors
/// If it is large and its header describes a different length; otherwise as for [`read_input`].
pub fn read_weights(path: &Path) -> Result<Vec<u8>, FileError> {
    read_with(path, read_checked)
}

fn read_with(path: &Path, all: impl FnOnce(fs::File) -> io::Result<Vec<u8>>) -> Result<Vec<u8>, FileError> {
    let read = || {
        let there = fs::metadata(path)?;
        // For a folder, the system's own error is clear.
        if !there.is_file() && !there.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        all(fs::File::open(path)?)
    };
    read().map_err(|error| FileError::new("read", path, error))
}

#[cfg(unix)]
fn streams(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(not(unix))]
fn streams(_: FileType) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_stays_beside_it() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/file");
        assert!(write_output(&path, b"x").is_err());
        fs::create_dir(temporary.path().join("a")).unwrap();
        for bytes in [&b"first"[..], b"second"] {
            write_output(&path, bytes).unwrap();
            assert_eq!(read_input(&path, 6).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(temporary.path().join("a")).unwrap().count(), 1);
        assert!(write_output(&temporary.path().join("a"), b"x").is_err());
        assert!(write_output(Path::new("/"), b"x").is_err());
        assert!(read_input(&temporary.path().join("a"), 6).is_err());
    }

    #[test]
    fn only_the_pages_of_a_run_are_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        for name in [CONFIG, "summary.json", REPORT, SUSPECTS] {
            fs::write(temporary.path().join(name), "kept").unwrap();
        }
        let write = |name: &str| write_output(&temporary.path().join(name), b"new");
        for name in [CONFIG, "summary.json", "network/table.csv"] {
            assert!(
                write(name).unwrap_err().to_string().contains("a file of a run"),
                "{name}"
            );
        }
        for name in [REPORT, SUSPECTS, "table.csv"] {
            write(name).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_through_and_stays_one() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::os::unix::fs::FileTypeExt;

        let temporary = tempfile::tempdir().unwrap();
        let pipe = temporary.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(read_input(&pipe, 9).is_err());
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&pipe).unwrap());
            write_output(&pipe, b"through").unwrap();
            assert_eq!(reader.join().unwrap(), b"through");
        });
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        assert!(is_stream(&pipe) && is_stream(Path::new("/dev/null")) && !is_stream(temporary.path()));
        write_output(Path::new("/dev/null"), b"x").unwrap();
        // The target of a link is replaced, not the link.
        let (file, link) = (temporary.path().join("file"), temporary.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_output(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());
    }
}
