//! Looks up an architecture of NAS-Bench-201 in a table of accuracies provided by the user.
//!
//! The table is CSV with commas, semicolons, tabs or bars and any line breaks, optionally
//! compressed with gzip. Its first line names the columns, whose meaning `heading` derives from the
//! names; every other line has an architecture in its text form and an accuracy in percent for each
//! of those columns. Cells may be quoted, and architectures must be between bars; lines may be
//! empty, or consist of separators. A column whose values are mostly not above 1 contains
//! fractions, and is refused rather than guessed at. Contract: only regular files of at most
//! `MOST_BYTES` are read; the text is unpacked and parsed line by line, and only numbers are kept,
//! whatever its size.
//! Architectures that compute the same function have separate lines, as they were trained
//! separately. A table may lack some architectures; a rank is a rank among those in the table.

mod heading;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use da2s_records::read_input;
use flate2::bufread::MultiGzDecoder;
use serde::Serialize;

use self::heading::{Column, Heading, cells};
use super::arch_201::{Arch201, Arch201Error};

/// Maximum size of a table in bytes, also after unpacking: each architecture occurs at most once,
/// in a line of [`LONGEST_LINE_BYTES`].
const MOST_BYTES: u64 = Arch201::COUNT as u64 * LONGEST_LINE_BYTES;
/// Longest line, including its line break.
const LONGEST_LINE_BYTES: u64 = 4096;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A table of accuracies.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    columns: Vec<String>,
    passed_over: Vec<String>,
    archs: Vec<Arch201>,
    /// Line of an architecture by its index in the table, if the table has indices.
    indices: Option<HashMap<usize, usize>>,
    /// `accuracies[column][line]`, percent.
    accuracies: Vec<Vec<f64>>,
    /// Line of an architecture by its index in the benchmark.
    lines: Vec<Option<usize>>,
}

/// The result of an architecture in one column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Name of the column.
    pub column: String,
    /// Its accuracy, percent.
    pub accuracy: f64,
    /// Rank, 1 for the best: one more than the number of more accurate architectures, so that equal
    /// ones share a rank.
    pub rank: usize,
    /// Architectures in the table.
    pub of: usize,
    /// Percentage of the others that are less accurate; 100 if there are no others.
    pub percentile: f64,
    /// The best accuracy, percent.
    pub best_accuracy: f64,
    /// The best architecture, the first in the table if there are several.
    pub best_architecture: String,
    /// Difference to the best accuracy in points.
    pub distance: f64,
}

/// Why a table cannot be read or has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that is not such a table.
    #[error("{}, line {line}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// An architecture that is not in the table.
    #[error(
        "the table has {of} of the {} architectures, and {arch} is not one of them",
        Arch201::COUNT
    )]
    Absent {
        /// The architecture.
        arch: Arch201,
        /// Number of architectures in the table.
        of: usize,
    },
    /// An index that is not in the table.
    #[error("{}", no_index(*index, *of))]
    NoIndex {
        /// The index.
        index: usize,
        /// Number of architectures, if their indices are known.
        of: Option<usize>,
    },
}

fn no_index(index: usize, of: Option<usize>) -> String {
    match of {
        Some(of) => format!("none of the {of} architectures of the table has the index {index}"),
        None => format!(
            "the index {index} has no meaning here: the table has no column called `index`, and not all {} architectures",
            Arch201::COUNT
        ),
    }
}

impl Benchmark {
    /// Reads a table.
    ///
    /// # Errors
    /// If the file cannot be read or is not such a table; the error names the line.
    pub fn read(path: &Path) -> Result<Self, BenchmarkError> {
        let mut line = 0;
        Self::from_file(path, &mut line).map_err(|reason| {
            let path = path.to_owned();
            match reason {
                Reason::System(source) => BenchmarkError::Read { path, source },
                Reason::Content(problem) => BenchmarkError::Damaged { path, line, problem },
            }
        })
    }

    fn from_file(path: &Path, line: &mut usize) -> Result<Self, Reason> {
        let bytes = read_input(path, MOST_BYTES).map_err(|error| Reason::System(error.source))?;
        if bytes.starts_with(&GZIP) {
            Self::from_lines(BufReader::new(MultiGzDecoder::new(bytes.as_slice())), line)
        } else {
            Self::from_lines(bytes.as_slice(), line)
        }
    }

    /// Reads the table; `number` is the current line number, from 1.
    fn from_lines(reader: impl BufRead, number: &mut usize) -> Result<Self, Reason> {
        *number = 1;
        let mut line = String::new();
        let mut lines = Lines {
            reader,
            after_return: false,
        };
        if !lines.next(&mut line)? {
            return Err(Reason::content("the file is empty"));
        }
        let delimiter = named_delimiter(line.trim_start_matches('\u{feff}'));
        if delimiter.is_some() {
            *number += 1;
            lines.next(&mut line)?;
        }
        let heading_line = *number;
        let heading = Heading::read(line.trim_start_matches('\u{feff}'), delimiter).map_err(Reason::Content)?;
        let columns = heading.accuracies();
        let mut table = Self {
            accuracies: vec![Vec::new(); columns.len()],
            columns,
            passed_over: heading.others(),
            archs: Vec::new(),
            indices: heading.columns.contains(&Column::Index).then(HashMap::new),
            lines: vec![None; Arch201::COUNT],
        };
        *number += 1;
        let mut left = MOST_BYTES;
        while lines.next(&mut line)? {
            left = left.saturating_sub(line.len() as u64 + 1);
            if left == 0 {
                return Err(Reason::Content(format!("the table is larger than {MOST_BYTES} bytes")));
            }
            let cells = cells(&line, heading.delimiter);
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.add(&heading, &cells)?;
            }
            *number += 1;
        }
        if table.archs.is_empty() {
            return Err(Reason::content("the table has no architecture"));
        }
        *number = heading_line;
        table.require_percent().map_err(Reason::Content)?;
        table.forget_row_numbers(&heading);
        Ok(table)
    }

    /// Refuses columns of fractions. Hardly any network of the benchmark has an accuracy of 1 % or
    /// less, so a column with many such values contains fractions, at least in part.
    fn require_percent(&self) -> Result<(), String> {
        for (column, accuracies) in self.columns.iter().zip(&self.accuracies) {
            let small = accuracies.iter().filter(|&&accuracy| accuracy <= 1.0).count();
            if small == accuracies.len() {
                return Err(format!(
                    "no accuracy in {column} is above 1: give accuracies in percent, from 0 to 100, not as fractions of 1"
                ));
            }
            if 2 * small > accuracies.len() {
                return Err(format!(
                    "most accuracies in {column} are at most 1, and some are above: give all in percent, from 0 to 100"
                ));
            }
        }
        Ok(())
    }

    /// Drops the indices if they are only row numbers that a program wrote: in an incomplete table,
    /// they are not the indices of the benchmark.
    fn forget_row_numbers(&mut self, heading: &Heading) {
        let numbers_rows = |indices: &HashMap<usize, usize>| indices.iter().all(|(index, row)| index == row);
        if heading.unnamed_index && self.len() < Arch201::COUNT && self.indices.as_ref().is_some_and(numbers_rows) {
            self.indices = None;
        }
    }

    fn add(&mut self, heading: &Heading, cells: &[String]) -> Result<(), Reason> {
        if heading.delimiter == b'|' {
            require_quotes(heading, cells)?;
        }
        if let Some(cell) = cells.iter().skip(heading.columns.len()).find(|cell| !cell.is_empty()) {
            return Err(Reason::Content(format!("`{cell}` belongs to no column")));
        }
        let row = self.archs.len();
        let mut accuracies = self.accuracies.iter_mut();
        for (at, column) in heading.columns.iter().enumerate() {
            let cell = || {
                let missing = || Reason::Content(format!("{} is missing", column.name()));
                cells.get(at).map(String::as_str).ok_or_else(missing)
            };
            match column {
                Column::Other(_) => {}
                Column::Architecture => {
                    let arch =
                        architecture(cell()?).map_err(|error: Arch201Error| Reason::Content(error.to_string()))?;
                    if self.lines[arch.index()].replace(row).is_some() {
                        return Err(Reason::content("this architecture occurs twice"));
                    }
                    self.archs.push(arch);
                }
                Column::Index => {
                    let cell = cell()?;
                    let index = index(cell, heading.delimiter).ok_or_else(|| {
                        Reason::Content(format!("the index is `{cell}`: expected a whole number from 0"))
                    })?;
                    if self.indices.get_or_insert_default().insert(index, row).is_some() {
                        return Err(Reason::Content(format!("the index {index} occurs twice")));
                    }
                }
                Column::Accuracy(name) => {
                    let cell = cell()?;
                    let value = accuracy(cell, heading.delimiter).ok_or_else(|| {
                        Reason::Content(format!(
                            "{name} is `{cell}`: expected an accuracy from 0 to 100; remove the column if it contains something else"
                        ))
                    })?;
                    if let Some(accuracies) = accuracies.next() {
                        accuracies.push(value);
                    }
                }
            }
        }
        Ok(())
    }

    /// The architecture with an index, according to the table's column of indices. Without such a
    /// column, and if the table is complete, it is the line number from 0, as in published tables.
    ///
    /// # Errors
    /// [`BenchmarkError::NoIndex`] if the index does not exist, or the table has no indices.
    pub fn at_index(&self, index: usize) -> Result<Arch201, BenchmarkError> {
        let row = match &self.indices {
            Some(indices) => indices.get(&index).copied(),
            None if self.len() == Arch201::COUNT => Some(index),
            None => return Err(BenchmarkError::NoIndex { index, of: None }),
        };
        let arch = row.and_then(|row| self.archs.get(row));
        arch.copied().ok_or(BenchmarkError::NoIndex {
            index,
            of: Some(self.len()),
        })
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Names of the ignored columns, which are not accuracies.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Number of architectures, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a table that was read is not empty")]
    pub fn len(&self) -> usize {
        self.archs.len()
    }

    /// The results of `arch` in every column.
    ///
    /// # Errors
    /// [`BenchmarkError::Absent`] if it is not in the table.
    pub fn look_up(&self, arch: Arch201) -> Result<Vec<Standing>, BenchmarkError> {
        let of = self.len();
        let row = self.lines[arch.index()].ok_or(BenchmarkError::Absent { arch, of })?;
        let standing = |(column, accuracies): (&String, &Vec<f64>)| {
            let accuracy = accuracies[row];
            let (mut above, mut below, mut best) = (0, 0, row);
            for (other, value) in accuracies.iter().enumerate() {
                above += usize::from(*value > accuracy);
                below += usize::from(*value < accuracy);
                let better = *value > accuracies[best] || (*value == accuracies[best] && other < best);
                best = if better { other } else { best };
            }
            Standing {
                column: column.clone(),
                accuracy,
                rank: above + 1,
                of,
                percentile: if of > 1 {
                    100.0 * below as f64 / (of - 1) as f64
                } else {
                    100.0
                },
                best_accuracy: accuracies[best],
                best_architecture: self.archs[best].to_string(),
                distance: accuracies[best] - accuracy,
            }
        };
        Ok(self.columns.iter().zip(&self.accuracies).map(standing).collect())
    }
}

/// Why reading stopped.
enum Reason {
    System(io::Error),
    Content(String),
}

impl Reason {
    fn content(problem: &str) -> Self {
        Self::Content(problem.to_owned())
    }
}

/// An accuracy in percent: `93.5`, `93.5 %`; with a decimal comma if commas do not separate
/// columns.
fn accuracy(cell: &str, delimiter: u8) -> Option<f64> {
    let number = cell.strip_suffix('%').unwrap_or(cell).trim_end();
    let value = if delimiter == b',' {
        number.parse().ok()
    } else {
        number.replacen(',', ".", 1).parse().ok()
    };
    value.filter(|value| (0.0..=100.0).contains(value))
}

/// A whole number from 0, which a spreadsheet may have written as `7.0`.
fn index(cell: &str, delimiter: u8) -> Option<usize> {
    let point = |c: char| c == '.' || c == ',' && delimiter != b',';
    let whole = match cell.split_once(point) {
        Some((whole, "0")) => whole,
        _ => cell,
    };
    whole.parse().ok()
}

/// The architecture of a cell, also as the code of the benchmark prints it,
/// `Structure(4 nodes with |…|)`.
fn architecture(cell: &str) -> Result<Arch201, Arch201Error> {
    let inner = cell
        .strip_prefix("Structure(4 nodes with ")
        .and_then(|cell| cell.strip_suffix(')'));
    inner.unwrap_or(cell).parse()
}

/// Refuses a line in which the bars of an architecture are also separators.
fn require_quotes(heading: &Heading, cells: &[String]) -> Result<(), Reason> {
    let at = heading
        .columns
        .iter()
        .position(|column| *column == Column::Architecture);
    let arch = at.and_then(|at| cells.get(at)).map_or("", String::as_str);
    if arch.contains('|') {
        return Ok(());
    }
    Err(Reason::content(
        "bars separate the columns here, and architectures contain bars: put the architectures in quotes, or \
         separate the columns with commas",
    ))
}

/// The separator given by a first line `sep=;`, as Excel reads and writes it.
fn named_delimiter(line: &str) -> Option<u8> {
    match line.trim().trim_matches('"').strip_prefix("sep=")?.as_bytes() {
        [one @ (b',' | b';' | b'\t' | b'|')] => Some(*one),
        // Trailing whitespace was already removed.
        [] => Some(b'\t'),
        _ => None,
    }
}

/// The lines of a table, which end with `\n`, `\r\n` or `\r`.
struct Lines<R> {
    reader: R,
    /// Whether the last line ended with `\r`, to which a following `\n` belongs.
    after_return: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads a line without its line break into `line`; `false` at the end of the file.
    fn next(&mut self, line: &mut String) -> Result<bool, Reason> {
        let mut bytes = std::mem::take(line).into_bytes();
        bytes.clear();
        let ended = loop {
            let mut buffer = self.reader.fill_buf().map_err(of_reader)?;
            if buffer.is_empty() {
                break false;
            }
            if std::mem::take(&mut self.after_return) && buffer[0] == b'\n' {
                self.reader.consume(1);
                buffer = self.reader.fill_buf().map_err(of_reader)?;
            }
            let left = (LONGEST_LINE_BYTES as usize).saturating_sub(bytes.len());
            let near = &buffer[..buffer.len().min(left)];
            let end = near.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            bytes.extend_from_slice(&near[..end.unwrap_or(near.len())]);
            let (read, within) = (end.map_or(near.len(), |end| end + 1), near.len() < buffer.len());
            self.after_return = end.is_some_and(|end| near[end] == b'\r');
            self.reader.consume(read);
            if end.is_some() {
                break true;
            }
            if within || left == 0 {
                let problem = format!("the line is longer than {LONGEST_LINE_BYTES} bytes");
                return Err(Reason::Content(problem));
            }
        };
        let read = ended || !bytes.is_empty();
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(Reason::content("the file is UTF-16: save the table as \"CSV UTF-8\""));
        }
        let text = String::from_utf8(bytes).map_err(|_| Reason::content("not UTF-8 text"))?;
        line.push_str(&text);
        Ok(read)
    }
}

/// A system's error, or one of a damaged or truncated gzip file.
fn of_reader(error: io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Reason::Content(format!("the file is damaged: {error}"))
        }
        _ => Reason::System(error),
    }
}

#[cfg(test)]
#[path = "tests/lookup.rs"]
mod tests;
