//! Checkpoints: named tensors and one JSON value in a safetensors file, with a version and a
//! checksum.
//!
//! Contract: written whole or not at all; reading a damaged, cut or foreign file is an error that
//! names the file, never a panic and never wrong values. Of the states of a search or a training
//! the one before the newest is kept beside it until the next is on the disk, and takes its place
//! should it be damaged.

use std::io;
use std::path::Path;

use da2s_records::files::{MOST_WEIGHTS_BYTES, previous};
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

/// What stands in the file's metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// See [`digest`].
    sha256: String,
    /// What is no tensor, as JSON.
    meta: String,
}

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<T> {
    /// The tensors.
    pub tensors: Vec<Named>,
    /// What is no tensor.
    pub meta: T,
}

impl<T: Serialize + DeserializeOwned> Checkpoint<T> {
    /// Writes the checkpoint as the file `name` of a run.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &RunDirectory, name: &str) -> Result<(), Error> {
        directory.write(name, &self.to_bytes(&directory.file(name))?)
    }

    /// Writes the checkpoint as the newest of those called `name`; the newest until now becomes the
    /// one before.
    ///
    /// # Errors
    /// What the system says; the checkpoints that were there are then there still.
    pub(crate) fn write_newest(&self, directory: &RunDirectory, name: &str) -> Result<(), Error> {
        // On the disk under a name of its own before any other is touched.
        let (next, before, kept) = (format!("{name}.next"), previous(name), format!("{name}.kept"));
        self.write(directory, &next)?;
        if directory.has_file(name) {
            // Of an earlier time that ended between two steps.
            directory.remove(&kept)?;
            // A second name, so that the newest is never without one; on a file system without
            // links it is, between two renames, and a reader takes the one before.
            match directory.link(name, &kept) {
                Ok(()) => directory.replace(&kept, &before)?,
                Err(_) => directory.replace(name, &before)?,
            }
        }
        directory.replace(&next, name)?;
        directory.sync(name)
    }

    /// Reads the newest checkpoint called `name`, or, should it be damaged or missing, the one
    /// before, which then takes its place and of which `warn` is told; `Ok(None)` if there is none
    /// at all.
    ///
    /// # Errors
    /// [`Error::Damaged`] if there is no whole one; or what the system says.
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
                warn(format!("{problem}; the checkpoint before it takes its place"));
                Ok(Some(whole))
            }
            // Nothing to fall back to: what is wrong with the newest is what matters.
            (_, Some(error)) => Err(error),
            (other, None) => other,
        }
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let invalid = |error: String| Error::io("write", path, io::Error::other(error));
        let meta = serde_json::to_string(&self.meta).map_err(|error| invalid(error.to_string()))?;
        let header = Header {
            version: VERSION,
            sha256: digest(&meta, &self.tensors),
            meta,
        };
        let header = serde_json::to_string(&header).map_err(|error| invalid(error.to_string()))?;
        WeightsFile::to_bytes(&self.tensors, HEADER, header).map_err(|error| invalid(problem(error)))
    }

    /// What `read` gives in the process of `group` that leads, in all of them; `path` is for
    /// errors.
    ///
    /// # Errors
    /// What `read` returns, in that process.
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
    /// [`Error::Damaged`] if the file is not a whole checkpoint of this version; or what the system
    /// says.
    pub fn read(directory: &RunDirectory, name: &str) -> Result<Option<Self>, Error> {
        let Some(bytes) = directory.bytes(name, MOST_WEIGHTS_BYTES)? else {
            return Ok(None);
        };
        let path = directory.file(name);
        let version = Self::version(&bytes);
        if let Some(version) = version.filter(|&version| version != VERSION) {
            // Whole, for another program: nothing may take its place.
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

    /// The version that a file says it has.
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
        if header.sha256 != digest(&header.meta, &tensors) {
            return Err("its checksum does not match".to_owned());
        }
        let meta =
            serde_json::from_str(&header.meta).map_err(|error| format!("its metadata cannot be read: {error}"))?;
        Ok(Self { tensors, meta })
    }
}

/// What is wrong with a file that is named elsewhere.
fn problem(error: WeightsFileError) -> String {
    match error {
        WeightsFileError::Format(problem) => problem,
        other => other.to_string(),
    }
}

/// Whether a checkpoint is lost with this error. A disk that cannot give it back has damaged it
/// too; who may not read it may not read another either.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Io { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
        _ => false,
    }
}

/// Checksum over metadata and tensors.
fn digest(meta: &str, tensors: &[Named]) -> String {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(Named::le_bytes).collect();
    let parts = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| (&*tensor.name, &*tensor.shape, &**bytes));
    checksum(meta, parts)
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

    /// A run directory, and the folder that goes with it.
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
            warnings[0].contains("is damaged") && warnings[0].ends_with("the checkpoint before it takes its place"),
            "{warnings:?}"
        );
        // It took its place, and the next does not lose it.
        write(4);
        assert_eq!(newest(&directory).0.unwrap(), Some(4));
        fs::remove_file(directory.file(NAME)).unwrap();
        let (read, warnings) = newest(&directory);
        assert_eq!(read.unwrap(), Some(2));
        assert!(warnings[0].contains("is missing"), "{warnings:?}");
        // Now there is no other.
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
            // A flipped byte of padding or of a key that is not read changes nothing; anything else
            // is found.
            if let Ok(mut read) = Checkpoint::<u32>::from_bytes(&damaged) {
                read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
                prop_assert_eq!(read, example());
            }
        }
    }
}
