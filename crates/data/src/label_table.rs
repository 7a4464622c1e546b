//! A table of labels: one row per image, with its path, its label and, if there is such a column,
//! its part.
//!
//! Format: comma-separated values as in RFC 4180, or with semicolons, tabs or bars, in UTF-8 with
//! or without a byte order mark, with any line breaks. The first line names the columns, in any
//! order and case, after an optional line `sep=;`; other columns are ignored. Paths are relative to
//! the table's folder, with `/` or `\`, and must not leave it. Contract: any bytes result in a
//! table or an error that names the line; memory is bounded by [`MOST_ROWS`].

use csv::{ReaderBuilder, StringRecord, Trim};

use super::dataset::Part;
use super::error::{DataError, Place};
use super::layout::part_of;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Accepted names of the columns, in lower case.
const PATH_NAMES: [&str; 8] = [
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image",
    "image_path",
    "img",
];
const LABEL_NAMES: [&str; 6] = ["label", "class", "class_name", "category", "target", "labels"];
const PART_NAMES: [&str; 5] = ["part", "split", "subset", "set", "partition"];
/// Names of columns that divide the images in another way, which is not used.
const OTHER_PART_NAMES: [&str; 10] = [
    "is_train",
    "is_training",
    "is_test",
    "is_valid",
    "is_validation",
    "train",
    "test",
    "fold",
    "kfold",
    "phase",
];
/// If there are more different labels than this, they are probably numbers to predict.
const MOST_CLASSES: usize = 65_536;
/// More than any published data set has.
const MOST_ROWS: usize = 16_000_000;

/// The rows of a table, in order of their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    /// The labels, in alphabetical order.
    pub class_names: Vec<String>,
    /// The images.
    pub rows: Vec<LabelledPath>,
    /// The name of a column that is not used although it seems to divide the images, such as
    /// `is_train`, if no other column does.
    pub unused_part: Option<String>,
}

/// An image of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledPath {
    /// Its path within the table's folder, with `/`.
    pub path: String,
    /// Its class, an index into the class names.
    pub label: u32,
    /// Its part; `None` if the table has no such column.
    pub part: Option<Part>,
}

/// The indices of the columns.
struct Columns {
    path: usize,
    label: usize,
    part: Option<usize>,
}

impl LabelTable {
    /// Parses `bytes` as a table; `file` names it in errors.
    ///
    /// # Errors
    /// [`DataError::Malformed`] with the line: another encoding, missing or duplicate columns, a
    /// row that is too short, a path that leaves the folder or occurs twice.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let text = text(file, bytes)?;
        let (delimiter, text, lines_before) = delimiter(text);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let mut next = |record: &mut StringRecord| match reader.read_record(record) {
            Ok(true) => Ok(Some(
                lines_before + record.position().map_or(1, |place| place.line() as usize),
            )),
            Ok(false) => Ok(None),
            Err(error) => {
                let line = lines_before + error.position().map_or(1, |place| place.line() as usize);
                Err(malformed(file, line, "comma-separated values", error.to_string()))
            }
        };
        let columns = match next(&mut record)? {
            Some(line) => Columns::of(file, line, &record)?,
            None => return Err(malformed(file, 1 + lines_before, COLUMNS, "an empty file".into())),
        };
        let unused_part = match columns.part {
            None => record
                .iter()
                .find(|name| OTHER_PART_NAMES.contains(&name.to_lowercase().as_str()))
                .map(shortened),
            Some(_) => None,
        };
        let mut labels: BTreeMap<String, u32> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut lines: Vec<usize> = Vec::new();
        while let Some(line) = next(&mut record)? {
            // Spreadsheets write an empty row as a line of separators alone.
            if record.iter().all(str::is_empty) {
                continue;
            }
            let cell = |column: usize, name: &str| match record.get(column) {
                Some(cell) if !cell.is_empty() => Ok(cell),
                _ => Err(malformed(file, line, format!("a {name}"), "none".into())),
            };
            let label = cell(columns.label, "label")?;
            let label = match labels.get(label) {
                Some(&label) => label,
                None if labels.len() < MOST_CLASSES => {
                    let next = labels.len() as u32;
                    labels.insert(label.to_owned(), next);
                    next
                }
                None => {
                    let expected = format!("at most {MOST_CLASSES} different labels");
                    return Err(malformed(file, line, expected, "one more".into()));
                }
            };
            let part = match columns.part {
                None => None,
                Some(column) => {
                    let word = cell(column, "part")?;
                    let wrong = || malformed(file, line, "train, val or test", format!("`{}`", shortened(word)));
                    Some(part_of(word).ok_or_else(wrong)?)
                }
            };
            let path = inside(file, line, cell(columns.path, "path")?)?;
            if rows.len() == MOST_ROWS {
                let expected = format!("at most {MOST_ROWS} images");
                return Err(malformed(file, line, expected, "one more".into()));
            }
            rows.push(LabelledPath { path, label, part });
            lines.push(line);
        }
        Ok(Self {
            unused_part,
            ..Self::sorted(file, labels, rows, &lines)?
        })
    }

    /// Rows ordered by path, and labels ordered by name.
    fn sorted(
        file: &Path,
        labels: BTreeMap<String, u32>,
        rows: Vec<LabelledPath>,
        lines: &[usize],
    ) -> Result<Self, DataError> {
        if labels.len() < 2 {
            return Err(DataError::Malformed {
                path: file.into(),
                place: Place::Whole,
                expected: "two or more different labels".into(),
                found: labels.len().to_string(),
            });
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| rows[a].path.cmp(&rows[b].path));
        if let Some(twice) = order.windows(2).find(|two| rows[two[0]].path == rows[two[1]].path) {
            let (first, second) = (lines[twice[0]], lines[twice[1]]);
            let path = shortened(&rows[twice[0]].path);
            return Err(malformed(
                file,
                second,
                "each path once",
                format!("`{path}` in line {first} already"),
            ));
        }
        let mut places = vec![0; labels.len()];
        for (place, &label) in (0..).zip(labels.values()) {
            places[label as usize] = place;
        }
        let mut rows = rows;
        for row in &mut rows {
            row.label = places[row.label as usize];
        }
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            class_names: labels.into_keys().collect(),
            rows,
            unused_part: None,
        })
    }

    /// Refuses rows whose folders are outside of `root` because of links.
    ///
    /// # Errors
    /// [`DataError::Layout`] for the first; a missing folder is reported when its images are read.
    pub(super) fn require_inside(&self, root: &Path) -> Result<(), DataError> {
        let whole = |path: &Path| path.canonicalize().ok();
        let Some(own) = whole(root) else { return Ok(()) };
        let mut last: Option<&str> = None;
        for row in &self.rows {
            let folder = row.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if last != Some(folder) {
                last = Some(folder);
                let folder: PathBuf = root.join(folder);
                if whole(&folder).is_some_and(|real| !real.starts_with(&own)) {
                    return Err(DataError::Layout {
                        path: folder,
                        expected: "a folder within that of the table, not a link out of it".into(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The requirement for the first line.
const COLUMNS: &str = "a first line that names the columns: path, label and, if images are divided, part";

impl Columns {
    fn of(file: &Path, line: usize, header: &StringRecord) -> Result<Self, DataError> {
        let find = |names: &[&str]| {
            let is_one = |cell: &str| names.contains(&cell.to_lowercase().as_str());
            let mut found = header.iter().enumerate().filter(|(_, cell)| is_one(cell));
            match (found.next(), found.next()) {
                (Some((_, first)), Some((_, second))) => {
                    let found = format!("both {first} and {second}");
                    Err(malformed(file, line, format!("one column of {}s", names[0]), found))
                }
                (first, _) => Ok(first.map(|(column, _)| column)),
            }
        };
        match (find(&PATH_NAMES)?, find(&LABEL_NAMES)?, find(&PART_NAMES)?) {
            (Some(path), Some(label), part) => Ok(Self { path, label, part }),
            _ => {
                let found = header.iter().collect::<Vec<_>>().join(", ");
                Err(malformed(file, line, COLUMNS, format!("`{}`", shortened(&found))))
            }
        }
    }
}

/// The text of a table, without its byte order mark.
fn text<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str, DataError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let found = "UTF-16; save the table as \"CSV UTF-8\"".to_owned();
        return Err(malformed(file, 1, "UTF-8 text", found));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        malformed(file, line, "UTF-8 text", "other bytes".into())
    })
}

/// The separator, the text of the table itself, and the number of lines before it. A first line may
/// define the separator, as Excel writes it: `sep=;`. Otherwise it is the most frequent of comma,
/// semicolon, tab and bar in the first line.
fn delimiter(text: &str) -> (u8, &str, usize) {
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    let rest = rest.strip_prefix("\r\n").or(rest.get(1..)).unwrap_or_default();
    let named = first.trim_matches('"').strip_prefix("sep=");
    if let Some(&[one @ (b',' | b';' | b'\t' | b'|')]) = named.map(str::as_bytes) {
        return (one, rest, 1);
    }
    let count = |one: u8| first.bytes().filter(|&byte| byte == one).count();
    // The last one wins ties.
    let most = [b'|', b'\t', b';', b','].into_iter().max_by_key(|&one| count(one));
    (most.unwrap_or(b','), text, 0)
}

/// A path within the table's folder, with `/` as separator.
fn inside(file: &Path, line: usize, path: &str) -> Result<String, DataError> {
    let slashed = path.replace('\\', "/");
    let names: Vec<&str> = slashed
        .split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .collect();
    let drive = slashed.as_bytes().get(1) == Some(&b':');
    if slashed.starts_with('/') || drive || names.is_empty() || names.contains(&"..") || path.contains('\0') {
        let expected = "a path of a file within the table's folder";
        return Err(malformed(file, line, expected, format!("`{}`", shortened(path))));
    }
    Ok(names.join("/"))
}

/// A text, shortened for a message.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn malformed(file: &Path, line: usize, expected: impl Into<String>, found: String) -> DataError {
    DataError::Malformed {
        path: file.into(),
        place: Place::Line(line),
        expected: expected.into(),
        found,
    }
}

#[cfg(test)]
#[path = "tests/label_table.rs"]
mod tests;
