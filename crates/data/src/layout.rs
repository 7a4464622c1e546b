//! The layout of a folder of images, determined by the names of its folders.
//!
//! Contract: see docs/book/src/reference/images.md. [`FolderLayout::find`] only uses names and
//! reads no image. An ambiguous folder is refused, never guessed.

use super::dataset::Part;
use super::error::DataError;
use super::walk::{FolderLevel, PassedOver, entries, images_below, level};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Maximum number of nested folders around the images that contain only the next folder, as in
/// archives.
const MOST_WRAPPERS: usize = 8;
/// Names of the table of labels in a folder, in any case.
const TABLE_NAMES: [&str; 2] = ["labels.csv", "labels.tsv"];
/// Endings of the names of tables, in any case.
const TABLE_ENDINGS: [&str; 2] = ["csv", "tsv"];
/// Minimum number of common sub-folders at which classes look like parts.
const ALIKE: usize = 2;

/// A layout of images.
#[derive(Debug)]
pub(super) enum FolderLayout {
    /// A folder for each part, which contains a folder for each class.
    Parts(Folders),
    /// A folder for each class.
    Classes(PathBuf),
    /// A table of paths and labels.
    Table(PathBuf),
}

/// The folders of the parts.
#[derive(Debug)]
pub(super) struct Folders {
    /// The folder that contains them.
    pub root: PathBuf,
    /// Their names.
    pub train: String,
    pub validation: Option<String>,
    pub test: Option<String>,
    /// Names of the other folders in it.
    pub others: Vec<String>,
    /// The files in it.
    pub passed_over: PassedOver,
}

impl FolderLayout {
    /// The layout of the images in `path`, a folder or a table of labels.
    ///
    /// # Errors
    /// [`DataError::Layout`] if there is none, or several are possible.
    pub fn find(path: &Path) -> Result<Self, DataError> {
        let nothing = || {
            expected(
                path,
                "folders train/ and test/ with a folder per class in each, a folder per class, or a table labels.csv",
            )
        };
        Self::search(path)?.ok_or_else(nothing)
    }

    /// Like [`Self::find`]; `None` if `path` has files, but nothing that looks like images.
    fn search(path: &Path) -> Result<Option<Self>, DataError> {
        if path.is_file() {
            return match has_table_ending(path) {
                true => Ok(Some(Self::Table(path.into()))),
                false => Err(expected(
                    path,
                    "a folder of images, or a table of labels (.csv or .tsv)",
                )),
            };
        }
        let (mut dir, mut other_table) = (path.to_owned(), None);
        for _ in 0..=MOST_WRAPPERS {
            let found = level(&dir)?;
            let parts = parts_of(&dir, &found.folders)?;
            let (table, other) = tables_in(&dir)?;
            other_table = other_table.or(other);
            if !parts.is_empty() {
                return Self::of_parts(dir, found, &parts, table, other_table).map(Some);
            }
            if let Some(table) = table {
                return Ok(Some(Self::Table(table)));
            }
            match &found.folders[..] {
                [] => return no_classes(path, &dir, &found.passed_over, other_table).map_or(Ok(None), Err),
                [only] => dir.push(only),
                folders => {
                    require_classes(&dir, folders)?;
                    return Ok(Some(Self::Classes(dir)));
                }
            }
        }
        if images_below(path)?.names.is_empty() {
            return Ok(None);
        }
        Err(expected(
            path,
            format!(
                "at most {MOST_WRAPPERS} nested folders that contain only the next folder; there are more: name an inner one"
            ),
        ))
    }

    /// Whether there seem to be images in `path`; none is read.
    ///
    /// # Errors
    /// Like [`Self::find`], if there is something but no layout of images.
    pub fn is_in(path: &Path) -> Result<bool, DataError> {
        Ok(match Self::search(path)? {
            None => false,
            Some(Self::Parts(_) | Self::Table(_)) => true,
            // Folders without any images may look like this, too.
            Some(Self::Classes(dir)) => {
                let found = images_below(&dir)?;
                if found.names.is_empty() && found.passed_over.is_empty() {
                    return Err(expected(&dir, "images in its folders, which are empty"));
                }
                !found.names.is_empty()
            }
        })
    }

    fn of_parts(
        root: PathBuf,
        found: FolderLevel,
        parts: &HashMap<Part, String>,
        table: Option<PathBuf>,
        other_table: Option<PathBuf>,
    ) -> Result<Self, DataError> {
        let name = |part| parts.get(&part).cloned();
        let (validation, test) = (name(Part::Validation), name(Part::Test));
        if let Some(train) = name(Part::Train)
            && level(&root.join(train))?.folders.is_empty()
        {
            // Without class folders, the folder only contains the files that the table lists.
            if let Some(table) = table {
                return Ok(Self::Table(table));
            }
            if let Some(other) = other_table {
                return Err(unnamed_table(&other));
            }
        }
        let train = match (name(Part::Train), table) {
            (Some(train), _) => train,
            (None, Some(table)) => return Ok(Self::Table(table)),
            (None, None) => {
                let beside = test.or(validation).unwrap_or_default();
                return Err(expected(
                    &root,
                    format!("a folder train/ with a folder per class, beside {beside}/"),
                ));
            }
        };
        let others = found.folders.into_iter().filter(|name| part_of(name).is_none());
        Ok(Self::Parts(Folders {
            others: others.collect(),
            root,
            train,
            validation,
            test,
            passed_over: found.passed_over,
        }))
    }
}

/// The part that corresponds to a folder of this name, or to this word in a table.
pub(super) fn part_of(name: &str) -> Option<Part> {
    let name = name.to_ascii_lowercase();
    let bare = ["_set", "-set", " set"].iter().find_map(|end| name.strip_suffix(end));
    match bare.unwrap_or(&name) {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "dev" | "eval" | "evaluation" => Some(Part::Validation),
        "test" | "testing" => Some(Part::Test),
        _ => None,
    }
}

/// The folders that correspond to parts.
fn parts_of(dir: &Path, folders: &[String]) -> Result<HashMap<Part, String>, DataError> {
    let mut parts = HashMap::new();
    for name in folders {
        if let Some(part) = part_of(name)
            && let Some(other) = parts.insert(part, name.clone())
        {
            let one = format!("one folder of {part} images, not both {other}/ and {name}/");
            return Err(expected(dir, one));
        }
    }
    Ok(parts)
}

fn has_table_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| TABLE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The table of labels in `dir`, and the first table with another name.
fn tables_in(dir: &Path) -> Result<(Option<PathBuf>, Option<PathBuf>), DataError> {
    let (mut tables, mut others) = (Vec::new(), Vec::new());
    for entry in entries(dir)? {
        let name = entry.file_name();
        let is_table = TABLE_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_table && entry.path().is_file() {
            tables.push(entry.path());
        } else if has_table_ending(&entry.path()) && entry.path().is_file() {
            others.push(entry.path());
        }
    }
    match tables.len() {
        0 | 1 => Ok((tables.pop(), others.into_iter().min())),
        _ => Err(expected(dir, "one table of labels; name the one that is meant")),
    }
}

/// Why there are no classes in `path`, whose innermost folder `dir` only contains these `files`;
/// `None` if nothing looks like images.
fn no_classes(path: &Path, dir: &Path, files: &PassedOver, other_table: Option<PathBuf>) -> Option<DataError> {
    if let Some(table) = other_table {
        return Some(unnamed_table(&table));
    }
    if files.is_empty() {
        return Some(expected(dir, "images, but the folder is empty"));
    }
    if files.outside == 0 {
        return None;
    }
    Some(match (dir.parent(), dir.file_name()) {
        (Some(around), Some(only)) if dir != path => expected(
            around,
            format!(
                "a folder for each class, two or more; there is only {}/",
                only.display()
            ),
        ),
        _ => expected(
            dir,
            format!(
                "a folder for each class, or a table labels.csv; the images in it are not sorted into folders: {files}"
            ),
        ),
    })
}

/// The error if there are no classes, but a table whose name is not one of [`TABLE_NAMES`].
fn unnamed_table(table: &Path) -> DataError {
    let dir = table.parent().unwrap_or(Path::new(""));
    let table = table.display();
    expected(
        dir,
        format!(
            "a folder for each class, or a table labels.csv; if {table} is the table of labels, name it instead of the folder"
        ),
    )
}

/// Refuses folders that look like parts with unusual names rather than classes: without images of
/// their own, and with several sub-folders of the same names in each.
fn require_classes(dir: &Path, folders: &[String]) -> Result<(), DataError> {
    let mut common: Option<Vec<String>> = None;
    for name in folders {
        let inside = level(&dir.join(name))?;
        if inside.passed_over.outside > 0 || inside.folders.len() < ALIKE {
            return Ok(());
        }
        match &common {
            None => common = Some(inside.folders),
            Some(first) if *first == inside.folders => {}
            Some(_) => return Ok(()),
        }
    }
    let (classes, parts) = (common.unwrap_or_default(), folders);
    Err(expected(
        dir,
        format!(
            "a folder per class, or folders train/ and test/; it is not clear whether {} and {} are classes, or {} and {}: \
             name the folder of the classes, or call its parts train, val and test",
            parts[0], parts[1], classes[0], classes[1]
        ),
    ))
}

fn expected(path: &Path, expected: impl Into<String>) -> DataError {
    DataError::Layout {
        path: path.into(),
        expected: expected.into(),
    }
}
