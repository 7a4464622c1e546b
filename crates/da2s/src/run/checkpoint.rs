//! Checkpoints: named tensors and one JSON value in a safetensors file, with a version and a
//! checksum.
//!
//! Contract: written completely or not at all; reading a damaged, truncated or foreign file is an
//! error that names the file, never a panic and never wrong values. The previous state of a search
//! or a training is kept until the next one is on the disk, and replaces the newest if that is
//! damaged.

use std::io;
use std::path::Path;

use da2s_records::files::previous;
use da2s_records::{Named, WeightsFile, WeightsFileError, checksum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Error;
use super::directory::RunDirectory;
use crate::parallel::Group;

/// Version of the layout.
const VERSION: u32 = 1;
/// Key of the [`Header`] in the file's metadata.
const HEADER: &str = "da2s";

/// The content of the file's metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// [`checksum`] of `meta` and the tensors.
    sha256: String,
    /// Everything except the tensors, as JSON.
    meta: String,
}

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<T> {
    /// The tensors.
    pub tensors: Vec<Named>,
    /// Everything except the tensors.
    pub meta: T,
}

impl<T: Serialize + DeserializeOwned> Checkpoint<T> {
    /// Writes the checkpoint as the file `name` of a run.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(&self, directory: &RunDirectory, name: &str) -> Result<(), Error> {
        directory.write(name, &self.to_bytes(&directory.file(name))?)
    }

    /// Writes the checkpoint as the newest of those called `name`; the one that was newest becomes
    /// the previous one.
    ///
    /// # Errors
    /// An I/O error; the existing checkpoints are still there then.
    pub(crate) fn write_newest(&self, directory: &RunDirectory, name: &str) -> Result<(), Error> {
        // Written to disk under a temporary name before any other file is changed.
        let (next, before, kept) = (format!("{name}.next"), previous(name), format!("{name}.kept"));
        self.write(directory, &next)?;
        if directory.has_file(name) {
            // Left over from a process that ended between two steps.
            directory.remove(&kept)?;
            // A second name, so that the newest always exists. On a file system without links it is
            // missing between two renames, and a reader uses the previous one.
            match directory.link(name, &kept) {
                Ok(()) => directory.replace(&kept, &before)?,
                Err(_) => directory.replace(name, &before)?,
            }
        }
        directory.replace(&next, name)?;
        directory.sync(name)
    }

    /// Reads the newest checkpoint called `name`. If it is damaged or missing, the previous one
    /// replaces it, and `warn` is called. `Ok(None)` if neither exists.
    ///
    /// # Errors
    /// [`Error::Damaged`] if no complete one exists; or an I/O error.
    pub(crate) fn read_newest(
        directory: &RunDirectory,
        name: &str,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<Self>, Error> {
        let newest = match Self::read(directory, name) {
            Ok(Some(whole)) => return Ok(Some(whole)),
            Ok(None) => None,
            Err(error) if is_lost(&error) => Some(error),
            Err(error) => return Err(error),
        };
        match (Self::read(directory, &previous(name)), newest) {
            (Ok(Some(whole)), newest) => {
                directory.replace(&previous(name), name)?;
                directory.sync(name)?;
                let problem = newest.map_or_else(
                    || format!("{} is missing", directory.file(name).display()),
                    |error| error.to_string(),
                );
                warn(format!("{problem}; the previous checkpoint replaces it"));
                Ok(Some(whole))
            }
            // There is no previous one: report the problem with the newest.
            (_, Some(error)) => Err(error),
            (other, None) => other,
        }
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let invalid = |error: String| Error::io("write", path, io::Error::other(error));
        let meta = serde_json::to_string(&self.meta).map_err(|error| invalid(error.to_string()))?;
        let header = Header {
            version: VERSION,
            sha256: checksum(&meta, &self.tensors),
            meta,
        };
        let header = serde_json::to_string(&header).map_err(|error| invalid(error.to_string()))?;
        WeightsFile::to_bytes(&self.tensors, HEADER, header).map_err(|error| invalid(problem(error)))
    }

    /// The result of `read` in the leading process of `group`, sent to all processes; `path` is for
    /// errors.
    ///
    /// # Errors
    /// The error of `read`, in that process.
    pub(super) fn shared(
        group: &Group,
        path: &Path,
        read: impl FnOnce() -> Result<Option<Self>, Error>,
    ) -> Result<Option<Self>, Error> {
        if group.size() == 1 {
            return read();
        }
        let bytes = group.from_leader(|| match read()? {
            Some(checkpoint) => checkpoint.to_bytes(path),
            None => Ok(Vec::new()),
        })?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Self::from_bytes(&bytes).map(Some).map_err(|problem| Error::Damaged {
            path: path.to_owned(),
            problem,
        })
    }

    /// Reads the checkpoint `name` of a run; `Ok(None)` if there is no file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not a complete checkpoint of this version; or an I/O
    /// error.
    pub fn read(directory: &RunDirectory, name: &str) -> Result<Option<Self>, Error> {
        let Some(bytes) = directory.weights(name)? else {
            return Ok(None);
        };
        let path = directory.file(name);
        let version = Self::version(&bytes);
        if let Some(version) = version.filter(|&version| version != VERSION) {
            // The file is complete and has another version: nothing may replace it.
            return Err(Error::Mismatch {
                path,
                problem: format!("it has version {version}, this program reads {VERSION}"),
                hints: &[],
            });
        }
        Self::from_bytes(&bytes)
            .map(Some)
            .map_err(|problem| Error::Damaged { path, problem })
    }

    /// The version in the header of a file.
    fn version(bytes: &[u8]) -> Option<u32> {
        let metadata = WeightsFile::metadata(bytes).ok()?;
        let header: serde_json::Value = serde_json::from_str(metadata.get(HEADER)?).ok()?;
        header.get("version")?.as_u64()?.try_into().ok()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let metadata = WeightsFile::metadata(bytes).map_err(problem)?;
        let header = metadata.get(HEADER).ok_or("it was not written by da2s")?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| format!("its header cannot be read: {error}"))?;
        if header.version != VERSION {
            return Err(format!(
                "it has version {}, this program reads {VERSION}",
                header.version
            ));
        }
        let WeightsFile { tensors, .. } = WeightsFile::from_own_bytes(bytes).map_err(problem)?;
        if header.sha256 != checksum(&header.meta, &tensors) {
            return Err("its checksum does not match".to_owned());
        }
        let meta =
            serde_json::from_str(&header.meta).map_err(|error| format!("its metadata cannot be read: {error}"))?;
        Ok(Self { tensors, meta })
    }
}

/// The problem with a file that the caller names.
fn problem(error: WeightsFileError) -> String {
    match error {
        WeightsFileError::Format(problem) => problem,
        other => other.to_string(),
    }
}

/// Whether an error means that the checkpoint is lost, including a disk that cannot read it.
/// Missing permission does not count: it would affect the other checkpoint too.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Io { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use proptest::prelude::*;

    fn example() -> Checkpoint<u32> {
        let tensor = |name: &str, shape: &[usize]| Named {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: (0..shape.iter().product::<usize>())
                .map(|index| index as f32 * 0.5)
                .collect(),
        };
        Checkpoint {
            tensors: vec![tensor("a", &[2, 3]), tensor("b.weight", &[4])],
            meta: 7,
        }
    }

    const NAME: &str = "search/checkpoint.safetensors";

    /// A run directory, and the temporary folder that contains it.
    fn place() -> (tempfile::TempDir, RunDirectory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
        (folder, directory)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_folder, directory) = place();
        assert!(Checkpoint::<u32>::read(&directory, NAME).unwrap().is_none());
        example().write(&directory, NAME).unwrap();
        let mut read = Checkpoint::<u32>::read(&directory, NAME).unwrap().unwrap();
        read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(read, example());
    }

    /// The number in the checkpoint that is read, and the warnings.
    fn newest(directory: &RunDirectory) -> (Result<Option<u32>, Error>, Vec<String>) {
        let mut warnings = Vec::new();
        let read = Checkpoint::<u32>::read_newest(directory, NAME, &mut |text| warnings.push(text));
        (read.map(|read| read.map(|read| read.meta)), warnings)
    }

    #[test]
    fn a_damaged_or_missing_newest_falls_back_to_the_one_before() {
        let (_folder, directory) = place();
        let write = |meta| {
            let example = Checkpoint { meta, ..example() };
            example.write_newest(&directory, NAME).unwrap();
        };
        assert_eq!(newest(&directory).0.unwrap(), None);
        write(1);
        assert_eq!((newest(&directory).0.unwrap(), newest(&directory).1), (Some(1), vec![]));
        write(2);
        write(3);
        let whole = fs::read(directory.file(NAME)).unwrap();
        fs::write(directory.file(NAME), &whole[..whole.len() - 1]).unwrap();
        let (read, warnings) = newest(&directory);
        assert_eq!(read.unwrap(), Some(2));
        assert!(
            warnings[0].contains("is damaged") && warnings[0].ends_with("the previous checkpoint replaces it"),
            "{warnings:?}"
        );
        // It replaced the newest, and the next write keeps it.
        write(4);
        assert_eq!(newest(&directory).0.unwrap(), Some(4));
        fs::remove_file(directory.file(NAME)).unwrap();
        let (read, warnings) = newest(&directory);
        assert_eq!(read.unwrap(), Some(2));
        assert!(warnings[0].contains("is missing"), "{warnings:?}");
        // Now there is no other one.
        fs::write(directory.file(NAME), b"nothing").unwrap();
        assert!(matches!(newest(&directory).0, Err(Error::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn damage_is_an_error(at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<prop::sample::Index>()) {
            let whole = example().to_bytes(Path::new("checkpoint.safetensors")).unwrap();
            prop_assert!(Checkpoint::<u32>::from_bytes(&whole[..cut.index(whole.len())]).is_err());
            let mut damaged = whole.clone();
            damaged[at.index(whole.len())] ^= flip;
            // A flipped byte in padding or in an unread key changes nothing; every other one is
            // detected.
            if let Ok(mut read) = Checkpoint::<u32>::from_bytes(&damaged) {
                read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
                prop_assert_eq!(read, example());
            }
        }
    }
}
