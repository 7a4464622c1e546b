//! The image files below a folder, and the files that are skipped there.
//!
//! Contract: paths in alphabetical order. Hidden names (a leading dot, and those of [`HIDDEN`]) are
//! left out and not counted. A link to a file counts as that file. A link to a folder is not
//! followed, since it may be a loop: it is counted, and so are every file whose name does not end
//! like that of an image, and every image or folder whose name is not UTF-8. Everything else with
//! the name of an image counts as one: if it is not, reading it reports why.

use da2s_images::has_image_ending;
use da2s_records::counted;
use serde::Serialize;

use super::error::DataError;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// Names that archivers and file servers create next to the user's files.
const HIDDEN: [&str; 2] = ["__MACOSX", "@eaDir"];
/// Longest ending that counts as one: longer ones are the rest of a sentence with a dot in it.
const LONGEST_ENDING: usize = 10;
/// Maximum number of endings listed in a message.
const NAMED_ENDINGS: usize = 8;

/// Skipped content of a folder of images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Number of files whose names do not end like those of images, by their ending in lower case;
    /// files without an extension have the key "".
    pub endings: BTreeMap<String, usize>,
    /// Images outside of class folders.
    pub outside: usize,
    /// Links to folders.
    pub folder_links: usize,
    /// Names of images, and of folders within classes, that are not UTF-8.
    pub names_not_utf8: usize,
}

impl PassedOver {
    /// Whether nothing was skipped.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (ending, count) in &other.endings {
            *self.endings.entry(ending.clone()).or_default() += count;
        }
        self.outside += other.outside;
        self.folder_links += other.folder_links;
        self.names_not_utf8 += other.names_not_utf8;
    }

    /// Counts a file that is not an image according to its name.
    fn count(&mut self, name: &OsStr) {
        let ending = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
        let is_one = ending.len() <= LONGEST_ENDING && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let ending = if is_one {
            ending.to_ascii_lowercase()
        } else {
            String::new()
        };
        *self.endings.entry(ending).or_default() += 1;
    }
}

impl fmt::Display for PassedOver {
    /// "3 .txt files, 1 file without an extension, 2 links to folders"; the most frequent first.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut endings: Vec<(&String, usize)> = self.endings.iter().map(|(ending, &count)| (ending, count)).collect();
        endings.sort_by_key(|&(ending, count)| (std::cmp::Reverse(count), ending));
        let (named, more) = endings.split_at(endings.len().min(NAMED_ENDINGS));
        let mut parts: Vec<String> = named
            .iter()
            .map(|&(ending, count)| match ending.as_str() {
                "" => format!("{} without an extension", counted(count, "file")),
                ending => counted(count, &format!(".{ending} file")),
            })
            .collect();
        let others = [
            (more.iter().map(|(_, count)| count).sum(), "other file", ""),
            (self.outside, "image", " outside the folders of the classes"),
            (self.folder_links, "link", " to a folder"),
            (self.names_not_utf8, "name", " not in UTF-8"),
        ];
        let others = others.into_iter().filter(|&(count, ..)| count > 0);
        parts.extend(others.map(|(count, what, where_)| format!("{}{where_}", counted(count, what))));
        out.write_str(&parts.join(", "))
    }
}

/// Whether a name is left out of everything.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || HIDDEN.iter().any(|hidden| name == *hidden)
}

/// The entries of a folder, without hidden names.
pub(super) fn entries(folder: &Path) -> Result<Vec<DirEntry>, DataError> {
    let read = fs::read_dir(folder).map_err(DataError::read(folder))?;
    let entries: Result<Vec<DirEntry>, _> = read.collect();
    let mut entries = entries.map_err(DataError::read(folder))?;
    entries.retain(|entry| !is_hidden(&entry.file_name()));
    Ok(entries)
}

/// The images below a folder.
#[derive(Debug, Default)]
pub(super) struct FoundImages {
    /// Their paths within it, with `/` between the names.
    pub names: Vec<String>,
    pub passed_over: PassedOver,
}

/// The image files in `dir` and its sub-folders.
pub(super) fn images_below(dir: &Path) -> Result<FoundImages, DataError> {
    let mut found = FoundImages::default();
    let mut folders = vec![String::new()];
    while let Some(inside) = folders.pop() {
        let folder = if inside.is_empty() {
            dir.to_owned()
        } else {
            dir.join(&inside)
        };
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let kind = entry.file_type().map_err(DataError::read(entry.path()))?;
            let is_image = has_image_ending(Path::new(&name));
            if is_image || kind.is_dir() {
                let Some(name) = name.to_str() else {
                    found.passed_over.names_not_utf8 += 1;
                    continue;
                };
                let path = if inside.is_empty() {
                    name.to_owned()
                } else {
                    format!("{inside}/{name}")
                };
                let paths = if is_image { &mut found.names } else { &mut folders };
                paths.push(path);
            } else if kind.is_symlink() && entry.path().is_dir() {
                found.passed_over.folder_links += 1;
            } else {
                found.passed_over.count(&name);
            }
        }
    }
    found.names.sort_unstable();
    Ok(found)
}

/// Whether there are more than `most` files in `dir` and its sub-folders; a folder that is still to
/// be visited counts as a file. `None` if a folder cannot be read. Links are not followed.
pub(super) fn has_more_files(dir: &Path, most: usize) -> Option<bool> {
    let (mut folders, mut files) = (vec![dir.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()? {
            let entry = entry.ok()?;
            if entry.file_type().ok()?.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
            }
            if files + folders.len() > most {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// The image files in `dir` and its sub-folders, in alphabetical order, and what is skipped there.
///
/// # Errors
/// If a folder cannot be read.
pub fn pictures_below(dir: &Path) -> Result<(Vec<PathBuf>, PassedOver), DataError> {
    let found = images_below(dir)?;
    let paths = found.names.iter().map(|name| dir.join(name)).collect();
    Ok((paths, found.passed_over))
}

/// The direct content of a folder.
#[derive(Debug, Default)]
pub(super) struct FolderLevel {
    /// Names of the folders, including links to folders, in alphabetical order.
    pub folders: Vec<String>,
    /// The files.
    pub passed_over: PassedOver,
}

/// The direct content of `dir`. The name of a folder may be that of a class, so it must be UTF-8.
pub(super) fn level(dir: &Path) -> Result<FolderLevel, DataError> {
    let mut level = FolderLevel::default();
    for entry in entries(dir)? {
        let name = entry.file_name();
        if entry.path().is_dir() {
            let name = name.into_string().map_err(|_| DataError::Layout {
                path: entry.path(),
                expected: "a name in UTF-8".into(),
            });
            level.folders.push(name?);
        } else if has_image_ending(Path::new(&name)) {
            level.passed_over.outside += 1;
        } else {
            level.passed_over.count(&name);
        }
    }
    level.folders.sort_unstable();
    Ok(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_files_are_counted_by_extension() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for name in [
            "b.png",
            "a/2.JPG",
            "a/deeper/1.webp",
            "a/notes.TXT",
            "list.txt",
            "x.heic",
            "README",
            "Fig. 3 of the paper",
            ".hidden.png",
            "__MACOSX/b.png",
            "a/@eaDir/2.JPG",
            ".git/b.png",
        ] {
            write(name);
        }
        let (paths, passed_over) = pictures_below(dir.path()).unwrap();
        let expected = ["a/2.JPG", "a/deeper/1.webp", "b.png"].map(|name| dir.path().join(name));
        assert_eq!(paths, expected);
        assert_eq!(
            passed_over.to_string(),
            "2 files without an extension, 2 .txt files, 1 .heic file"
        );
        let level = level(dir.path()).unwrap();
        assert_eq!(
            (level.folders.as_slice(), level.passed_over.outside),
            (&["a".to_owned()][..], 1)
        );
        let mut sum = passed_over.clone();
        sum.add(&PassedOver {
            outside: 2,
            folder_links: 1,
            ..passed_over
        });
        assert_eq!(
            sum.to_string(),
            "4 files without an extension, 4 .txt files, 2 .heic files, 2 images outside the folders of the classes, 1 link to a folder"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_read_and_links_to_folders_counted() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a.png"), "").unwrap();
        symlink("a.png", inside.join("link.png")).unwrap();
        symlink("nowhere.png", inside.join("broken.png")).unwrap();
        symlink("nowhere.txt", inside.join("broken.txt")).unwrap();
        symlink("..", inside.join("back")).unwrap();
        let found = images_below(dir.path()).unwrap();
        assert_eq!(found.names, ["inside/a.png", "inside/broken.png", "inside/link.png"]);
        assert_eq!(found.passed_over.to_string(), "1 .txt file, 1 link to a folder");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_are_counted() {
        use std::os::unix::ffi::OsStrExt;

        let dir = tempfile::tempdir().unwrap();
        let named = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
        fs::write(named(b"a.png"), "").unwrap();
        fs::write(named(b"caf\xe9.png"), "").unwrap();
        fs::write(named(b"caf\xe9.txt"), "").unwrap();
        let (paths, passed_over) = pictures_below(dir.path()).unwrap();
        assert_eq!(paths, [named(b"a.png")]);
        assert_eq!(passed_over.to_string(), "1 .txt file, 1 name not in UTF-8");
        fs::create_dir(named(b"\xff")).unwrap();
        fs::write(named(b"\xff/b.png"), "").unwrap();
        let found = images_below(dir.path()).unwrap();
        assert_eq!((found.names.len(), found.passed_over.names_not_utf8), (1, 2));
        let class = level(dir.path()).unwrap_err().to_string();
        assert!(class.ends_with("expected a name in UTF-8"), "{class}");
    }
}
