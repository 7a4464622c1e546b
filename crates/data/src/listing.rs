//! The image files of every part of a folder, stored compactly: the result of its layout, before
//! any image is read.
//!
//! Contract: classes in alphabetical order, and their files within each. If there are no test
//! images, the validation images are used for testing; if there are none either, some of the
//! training images are, chosen by class and seed: see [`set_aside`]. [`Listing::notes`] informs the
//! user about this, [`Listing::passed_over`] counts the files that are not read.

use da2s_images::{IMAGE_ENDINGS, read_file};

use super::dataset::Part;
use super::error::DataError;
use super::image_files::FileList;
use super::label_table::LabelTable;
use super::layout::{FolderLayout, Folders};
use super::split::set_aside;
use super::walk::{FolderLevel, PassedOver, images_below, level};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Number of classes whose folders are listed in parallel.
const CLASSES_AT_A_TIME: usize = 64;
/// Maximum number of folders listed in a note.
const NAMED_FOLDERS: usize = 5;

/// The files of every part.
#[derive(Debug)]
pub(super) struct Listing {
    /// The base of relative paths in the checksum.
    pub root: PathBuf,
    pub class_names: Vec<String>,
    pub train: FileList,
    pub validation: Option<FileList>,
    pub test: FileList,
    /// Whether the labels come from a table, and not from the paths.
    pub by_table: bool,
    pub passed_over: PassedOver,
    /// Notes for the user, one sentence each.
    pub notes: Vec<String>,
}

/// The parts of a layout before a test part is set aside.
struct OwnParts {
    train: FileList,
    validation: Option<FileList>,
    test: Option<FileList>,
    passed_over: PassedOver,
    notes: Vec<String>,
}

impl Listing {
    /// Lists the files in `path`; `seed` determines what is set aside.
    pub fn of(path: &Path, seed: u64) -> Result<Self, DataError> {
        match FolderLayout::find(path)? {
            FolderLayout::Parts(folders) => {
                let train = folders.root.join(&folders.train);
                let (class_names, passed_over) = class_folders(&train)?;
                let own = OwnParts::of_parts(&folders, &class_names, passed_over)?;
                own.completed(folders.root, class_names, false, seed)
            }
            FolderLayout::Classes(root) => {
                let (class_names, mut passed_over) = class_folders(&root)?;
                let train = list(&root, &class_names, &mut passed_over)?;
                let own = OwnParts {
                    train,
                    validation: None,
                    test: None,
                    passed_over,
                    notes: Vec::new(),
                };
                own.completed(root, class_names, false, seed)
            }
            FolderLayout::Table(file) => {
                let bytes = read_file(&file).map_err(DataError::read(&file))?;
                let table = LabelTable::parse(&file, &bytes)?;
                let root = file.parent().unwrap_or(Path::new("")).to_owned();
                table.require_inside(&root)?;
                OwnParts::of_table(&root, &table).completed(root, table.class_names, true, seed)
            }
        }
    }
}

impl OwnParts {
    fn of_parts(folders: &Folders, class_names: &[String], mut passed_over: PassedOver) -> Result<Self, DataError> {
        let train_dir = folders.root.join(&folders.train);
        passed_over.add(&folders.passed_over);
        let train = list(&train_dir, class_names, &mut passed_over)?;
        let mut other = |name: &String| {
            let dir = folders.root.join(name);
            passed_over.add(&require_same_classes(class_names, &train_dir, &dir)?);
            list(&dir, class_names, &mut passed_over)
        };
        let validation = folders.validation.as_ref().map(&mut other).transpose()?;
        let test = folders.test.as_ref().map(&mut other).transpose()?;
        let mut notes = Vec::new();
        let others: Vec<String> = folders.others.iter().map(|name| format!("{name}/")).collect();
        if !others.is_empty() {
            let named = others[..others.len().min(NAMED_FOLDERS)].join(", ");
            let more = match others.len().saturating_sub(NAMED_FOLDERS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            notes.push(format!("skipped, because no part has such a name: {named}{more}"));
        }
        Ok(Self {
            train,
            validation,
            test,
            passed_over,
            notes,
        })
    }

    fn of_table(root: &Path, table: &LabelTable) -> Self {
        // All images are below one folder, whatever their class.
        let folders = vec![root.to_owned(); table.class_names.len()];
        let of_part = |wanted: Part| {
            let mut rows: Vec<_> = table
                .rows
                .iter()
                .filter(|row| row.part.unwrap_or(Part::Train) == wanted)
                .collect();
            // Ordered by class; the sort is stable, so within a class they stay ordered by path.
            rows.sort_by_key(|row| row.label);
            let mut list = FileList::new(folders.clone());
            for row in rows {
                list.push(row.label, &row.path);
            }
            list
        };
        let some = |list: FileList| Some(list).filter(|list| list.len() > 0);
        Self {
            train: of_part(Part::Train),
            validation: some(of_part(Part::Validation)),
            test: some(of_part(Part::Test)),
            passed_over: PassedOver::default(),
            notes: table.unused_part.iter().map(|name| unused_part_note(name)).collect(),
        }
    }

    /// The listing of these parts. Without test images, the validation images or some of the
    /// training images become the test part.
    fn completed(
        mut self,
        root: PathBuf,
        class_names: Vec<String>,
        by_table: bool,
        seed: u64,
    ) -> Result<Listing, DataError> {
        self.notes.extend(alike_note(&class_names));
        let absent = |list: &FileList| (0..class_names.len()).find(|&class| !list.has(class as u32));
        if let Some(class) = absent(&self.train) {
            return Err(DataError::Layout {
                path: root,
                expected: format!(
                    "training images of every class; there are none of `{}`",
                    class_names[class]
                ),
            });
        }
        let (validation, test) = match (self.validation, self.test) {
            (validation, Some(test)) => (validation, test),
            (Some(validation), None) => {
                self.notes
                    .push("there are no test images, so the validation images are used for the test".into());
                (None, validation)
            }
            (None, None) => {
                let (kept, aside) = set_aside(self.train.labels(), seed);
                if aside.is_empty() {
                    return Err(DataError::Layout {
                        path: root,
                        expected: "two or more images of some class, one of them for testing".into(),
                    });
                }
                self.notes.push(format!(
                    "there are no test images, so {} of the {} images, a fifth of each class, are set aside for the test by seed {seed}",
                    aside.len(),
                    self.train.len()
                ));
                let test = self.train.select(&aside);
                self.train = self.train.select(&kept);
                (None, test)
            }
        };
        for (part, list) in [("test", Some(&test)), ("validation", validation.as_ref())] {
            if let Some(list) = list {
                let missing: Vec<&str> = (0..)
                    .zip(&class_names)
                    .filter(|&(class, _)| !list.has(class))
                    .map(|(_, name)| name.as_str())
                    .collect();
                self.notes.extend(absent_note(part, &missing));
            }
        }
        Ok(Listing {
            root,
            class_names,
            train: self.train,
            validation,
            test,
            by_table,
            passed_over: self.passed_over,
            notes: self.notes,
        })
    }
}

/// A note about a column of a table that divides the images, but is not used.
fn unused_part_note(name: &str) -> String {
    format!(
        "the column {name} of the table is not used: images are divided only by a column part or split, with train, \
         val or test in each row"
    )
}

/// A note about classes of which `part` has no image; `None` if there are no such classes.
pub fn absent_note(part: &str, classes: &[&str]) -> Option<String> {
    const MOST: usize = 5;
    let named = classes[..classes.len().min(MOST)].join(", ");
    match classes.len() {
        0 => None,
        1 => Some(format!("there is no {part} image of class {named}")),
        count if count <= MOST => Some(format!("there are no {part} images of classes {named}")),
        count => Some(format!(
            "there are no {part} images of {count} classes, among them {named}"
        )),
    }
}

/// A note about classes whose names differ only in case, which are probably the same class.
fn alike_note(classes: &[String]) -> Option<String> {
    let mut first: HashMap<String, &str> = HashMap::new();
    let twice = classes
        .iter()
        .find_map(|class| Some((first.insert(class.to_lowercase(), class)?, class)))?;
    let (one, other) = twice;
    Some(format!(
        "the classes {one} and {other} differ only in case, and are two classes"
    ))
}

/// The names of the classes in `dir`, and what else it contains.
fn class_folders(dir: &Path) -> Result<(Vec<String>, PassedOver), DataError> {
    classes_of(dir, level(dir)?)
}

/// The same, for what was `found` in `dir`.
fn classes_of(dir: &Path, found: FolderLevel) -> Result<(Vec<String>, PassedOver), DataError> {
    if found.folders.len() < 2 {
        return Err(DataError::Layout {
            path: dir.into(),
            expected: "a folder for each class, two or more".into(),
        });
    }
    Ok((found.folders, found.passed_over))
}

/// Contract: the classes of `other` are those of the training images. Returns what else `other`
/// contains.
fn require_same_classes(in_train: &[String], train_dir: &Path, other: &Path) -> Result<PassedOver, DataError> {
    let found = level(other)?;
    if found.folders.is_empty() && found.passed_over.outside > 0 {
        return Err(DataError::Layout {
            path: other.into(),
            expected: format!(
                "a folder for each class, as for the training images; found only {}: sort them by class, or move them \
                 away, so that some of the training images are set aside",
                found.passed_over
            ),
        });
    }
    let (in_other, passed_over) = classes_of(other, found)?;
    let lacking = |wanted: &[String], found: &[String], present: &Path, missing: &Path| match wanted
        .iter()
        .find(|&class| found.binary_search(class).is_err())
    {
        Some(class) => Err(DataError::ClassMismatch {
            class: class.clone(),
            present: present.into(),
            missing: missing.into(),
        }),
        None => Ok(()),
    };
    lacking(in_train, &in_other, train_dir, other)?;
    lacking(&in_other, in_train, other, train_dir)?;
    Ok(passed_over)
}

/// The image files of every class, in its folder and its sub-folders.
fn list(dir: &Path, class_names: &[String], passed_over: &mut PassedOver) -> Result<FileList, DataError> {
    let folders: Vec<PathBuf> = class_names.iter().map(|name| dir.join(name)).collect();
    let of_class = |folder: &PathBuf| {
        let found = images_below(folder)?;
        if found.names.is_empty() {
            let there = match found.passed_over.is_empty() {
                true => "but it is empty".to_owned(),
                false => format!("but it contains only {}", found.passed_over),
            };
            return Err(DataError::Layout {
                path: folder.clone(),
                expected: format!(
                    "images of the class, files ending in .{}, {there}: add some, or remove the folder",
                    IMAGE_ENDINGS.join(", .")
                ),
            });
        }
        Ok(found)
    };
    let mut list = FileList::new(folders.clone());
    // A limited number of classes in parallel: disk accesses overlap, and only a few names are in
    // memory twice.
    for (folders, first) in folders.chunks(CLASSES_AT_A_TIME).zip((0..).step_by(CLASSES_AT_A_TIME)) {
        // The first error in order, as in a loop.
        let found: Vec<Result<_, _>> = folders.par_iter().map(of_class).collect();
        let found: Vec<_> = found.into_iter().collect::<Result<_, _>>()?;
        for (found, label) in found.iter().zip(first..) {
            for name in &found.names {
                list.push(label, name);
            }
            passed_over.add(&found.passed_over);
        }
    }
    Ok(list)
}
