//! Reads the bytes of a file, if that is safe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is read. The largest file of a published data set has 155 MB.
pub(crate) const MOST_FILE_BYTES: u64 = 256 << 20;

/// Reads a regular file; a link to one is followed.
///
/// # Errors
/// An I/O error; or the file is not a regular one, such as a pipe or a device, or is larger than
/// `MOST_FILE_BYTES`.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let (file, length) = open_file(path)?;
    bounded(length)?;
    let mut bytes = Vec::with_capacity(length as usize);
    // The file may grow while it is read.
    file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    bounded(bytes.len() as u64)?;
    Ok(bytes)
}

/// Opens a regular file for reading; returns its length in bytes too. A link to one is followed.
///
/// # Errors
/// An I/O error; or the file is not a regular one.
pub fn open_file(path: &Path) -> io::Result<(File, u64)> {
    // Checked before opening, since opening a pipe blocks and opening a device may have effects;
    // and again after, since the file may have been replaced in between.
    regular(&fs::metadata(path)?)?;
    let file = open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata.len()))
}

fn bounded(length: u64) -> io::Result<()> {
    if length <= MOST_FILE_BYTES {
        return Ok(());
    }
    let problem = format!("it is larger than {MOST_FILE_BYTES} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, problem))
}

fn regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let problem = match metadata.is_dir() {
        true => "it is a folder",
        false => "it is not a regular file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// Opens without blocking, in case this has become a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_to_files_are_followed_and_devices_and_folders_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "bytes").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        symlink("nowhere", path("broken")).unwrap();
        assert_eq!(read_file(&path("link")).unwrap(), b"bytes");
        for (name, problem) in [("device", "it is not a regular file"), ("", "it is a folder")] {
            assert_eq!(read_file(&path(name)).unwrap_err().to_string(), problem, "{name}");
        }
        assert_eq!(read_file(&path("broken")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_is_refused_at_once_and_a_huge_file_before_it_is_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(read_file(&pipe).unwrap_err().to_string(), "it is not a regular file");
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(MOST_FILE_BYTES + 1).unwrap();
        assert_eq!(read_file(&huge).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
