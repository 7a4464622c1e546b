//! The numbers of runs as tables: one row per epoch, and one row per epoch, edge and operation.
//!
//! Contract: everything is computed from the files of the run directories. A column exists if at
//! least one run has the key; the cell of a run without that number, or with NaN, is empty. Units
//! are those of the files: accuracies in percent, losses in nats, times in seconds.

mod csv;
mod parquet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use da2s_records::files;
use serde::Deserialize;
use serde_json::Value;

use crate::ReportError;
use crate::run::{ArchCell, EpochTime, Files, Run, Tail, Term};
use crate::write::{created, publish};

/// A line of a `metrics.jsonl`, with any keys. Each term of the loss becomes two keys:
/// `terms.NAME.weight` and `terms.NAME.value`.
#[derive(Debug, Deserialize)]
#[serde(from = "Line")]
pub(crate) struct EpochNumbers {
    pub(crate) epoch: usize,
    pub(crate) values: BTreeMap<String, Value>,
}

/// The line as it is in the file.
#[derive(Deserialize)]
struct Line {
    epoch: usize,
    #[serde(default)]
    terms: Vec<Term>,
    #[serde(flatten)]
    values: BTreeMap<String, Value>,
}

impl From<Line> for EpochNumbers {
    fn from(line: Line) -> Self {
        let Line {
            epoch,
            terms,
            mut values,
        } = line;
        for term in terms {
            for (what, number) in [("weight", term.weight), ("value", term.value)] {
                values.insert(format!("terms.{}.{what}", term.name), number.into());
            }
        }
        Self { epoch, values }
    }
}

/// The file format of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
    /// Apache Parquet, uncompressed.
    Parquet,
}

impl TableFormat {
    /// The extension of the file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// A table; all columns have the same length.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsTable {
    /// Name of its file, without the extension.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub cells: Cells,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Text.
    Text(Vec<String>),
    /// Integers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(cells) => cells.len(),
            Self::Whole(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Writes the tables of the runs in `run_dirs` into `out`, which is created if necessary, and
/// returns the paths of the files.
///
/// # Errors
/// [`ReportError`] if a directory is not a run's, a file in it is damaged, or a table cannot be
/// written.
pub fn write_tables(run_dirs: &[PathBuf], format: TableFormat, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let tables = [metrics(run_dirs)?, architecture(run_dirs)?];
    let folder = created(out)?;
    tables
        .iter()
        .map(|table| {
            let name = format!("{}.{}", table.name, format.extension());
            let bytes = match format {
                TableFormat::Csv => csv::bytes(table).map_err(std::io::Error::from),
                TableFormat::Parquet => parquet::bytes(table).map_err(std::io::Error::other),
            };
            let bytes = bytes.map_err(|source| ReportError::Write {
                path: out.join(&name),
                source,
            })?;
            publish(&folder, &name, &bytes)
        })
        .collect()
}

/// One row per epoch of the search and of the retraining of each run: `run`, `stage`, `epoch`,
/// `time_s`, then the keys of `metrics.jsonl` in alphabetical order.
///
/// # Errors
/// [`ReportError`] if a directory is not a run's or a file in it is damaged.
pub fn metrics(run_dirs: &[PathBuf]) -> Result<MetricsTable, ReportError> {
    let (mut runs, mut stages, mut epochs, mut times) = (vec![], vec![], vec![], vec![]);
    let mut rows = Vec::new();
    for (dir, name) in run_dirs.iter().zip(names(run_dirs)) {
        // A directory that is not a run's is an error, not an empty table.
        Run::read(dir)?;
        for (stage, numbers_file, times_file) in STAGES {
            let took: BTreeMap<usize, f64> = all(dir, times_file, |time: &EpochTime| time.epoch)?
                .iter()
                .map(|time| (time.epoch, time.time_s))
                .collect();
            for row in all(dir, numbers_file, |row: &EpochNumbers| row.epoch)? {
                runs.push(name.clone());
                stages.push(stage.to_owned());
                epochs.push(Some(row.epoch as i64));
                times.push(took.get(&row.epoch).copied());
                rows.push(row.values);
            }
        }
    }
    let mut columns = vec![
        column("run", Cells::Text(runs)),
        column("stage", Cells::Text(stages)),
        column("epoch", Cells::Whole(epochs)),
        column("time_s", Cells::Number(times)),
    ];
    let mut keys: Vec<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let values: Vec<Option<&Value>> = rows.iter().map(|row| row.get(key)).collect();
        // Integers are written without a decimal point, all other numbers with one; so null,
        // written for NaN, belongs to the others.
        let integer = |value: &&Value| value.is_i64() || value.is_u64();
        let mut there = values.iter().flatten().filter(|value| !value.is_null()).peekable();
        let whole = there.peek().is_some() && there.all(integer);
        columns.push(column(
            key,
            if whole {
                Cells::Whole(values.iter().map(|value| value.and_then(Value::as_i64)).collect())
            } else {
                Cells::Number(values.iter().map(|value| value.and_then(Value::as_f64)).collect())
            },
        ));
    }
    Ok(MetricsTable {
        name: "metrics",
        columns,
    })
}

/// One row per epoch, edge and operation of each run's search: α, β, p and q.
///
/// # Errors
/// [`ReportError`] if a directory is not a run's or a file in it is damaged.
pub fn architecture(run_dirs: &[PathBuf]) -> Result<MetricsTable, ReportError> {
    let (mut runs, mut cells, mut operations) = (vec![], vec![], vec![]);
    let (mut epochs, mut from, mut to) = (vec![], vec![], vec![]);
    let (mut alpha, mut beta, mut p, mut q) = (vec![], vec![], vec![], vec![]);
    let number = |value: f64| Some(value).filter(|value| value.is_finite());
    for (dir, name) in run_dirs.iter().zip(names(run_dirs)) {
        for epoch in Run::read(dir)?.architecture {
            for (kind, cell) in &epoch.cells {
                for (edge, operation) in places(cell) {
                    runs.push(name.clone());
                    epochs.push(Some(epoch.epoch as i64));
                    cells.push(kind.clone());
                    from.push(Some(cell.edges[edge].0 as i64));
                    to.push(Some(cell.edges[edge].1 as i64));
                    operations.push(cell.operations[operation].clone());
                    alpha.push(cell.alpha.get(edge).and_then(|row| *row.get(operation)?));
                    beta.push(cell.beta.get(edge).copied().flatten());
                    p.push(number(cell.p[edge][operation]));
                    q.push(number(cell.q[edge]));
                }
            }
        }
    }
    Ok(MetricsTable {
        name: "architecture",
        columns: vec![
            column("run", Cells::Text(runs)),
            column("epoch", Cells::Whole(epochs)),
            column("cell", Cells::Text(cells)),
            column("from", Cells::Whole(from)),
            column("to", Cells::Whole(to)),
            column("operation", Cells::Text(operations)),
            column("alpha", Cells::Number(alpha)),
            column("beta", Cells::Number(beta)),
            column("p", Cells::Number(p)),
            column("q", Cells::Number(q)),
        ],
    })
}

/// A name for each run: the last part of its path, followed by a number if an earlier run has the
/// same name.
pub fn names(run_dirs: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for dir in run_dirs {
        let plain = dir.as_path().name();
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone())
            .chain(numbered)
            .find(|name| !names.contains(name));
        names.push(free.unwrap_or(plain));
    }
    names
}

/// Name of the stage, its numbers, its times.
pub(crate) const STAGES: [(&str, &str, &str); 2] = [
    ("search", files::SEARCH_METRICS, files::SEARCH_TIMES),
    ("network", files::NETWORK_METRICS, files::NETWORK_TIMES),
];

fn column(name: &str, cells: Cells) -> Column {
    Column {
        name: name.to_owned(),
        cells,
    }
}

/// The (edge, operation) pair of every entry of p.
fn places(cell: &ArchCell) -> impl Iterator<Item = (usize, usize)> + '_ {
    (0..cell.edges.len()).flat_map(|edge| (0..cell.operations.len()).map(move |operation| (edge, operation)))
}

/// All records that are now in a file of lines.
fn all<R: serde::de::DeserializeOwned>(
    dir: &Path,
    file: &'static str,
    epoch: fn(&R) -> usize,
) -> Result<Vec<R>, ReportError> {
    let mut tail = Tail::new(file, epoch);
    tail.poll(dir, |_, _| Ok(()))?;
    Ok(tail.into_records())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_term_of_the_loss_becomes_two_columns() {
        let term = r#"{"name":"zero-one","weight":-0.5,"value":3.0}"#;
        let line = format!(r#"{{"epoch":1,"epochs":2,"terms":[{term}]}}"#);
        let numbers: EpochNumbers = serde_json::from_str(&line).unwrap();
        let values: Vec<(&str, Option<f64>)> = numbers
            .values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_f64()))
            .collect();
        let expected = [
            ("epochs", Some(2.0)),
            ("terms.zero-one.value", Some(3.0)),
            ("terms.zero-one.weight", Some(-0.5)),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn a_column_of_integers_has_an_integer_type() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::create_dir(dir.join("search")).unwrap();
        fs::write(dir.join("config.toml"), "").unwrap();
        let lines = [
            r#"{"epoch":1,"epochs":2,"loss":null,"gap":null,"attempts":null}"#,
            r#"{"epoch":2,"epochs":2,"loss":null,"gap":1.0,"attempts":7}"#,
        ];
        fs::write(dir.join("search/metrics.jsonl"), format!("{}\n", lines.join("\n"))).unwrap();
        let table = metrics(&[dir.to_owned()]).unwrap();
        let cells = |name: &str| {
            table
                .columns
                .iter()
                .find(|column| column.name == name)
                .unwrap()
                .cells
                .clone()
        };
        assert_eq!(cells("loss"), Cells::Number(vec![None, None]));
        assert_eq!(cells("gap"), Cells::Number(vec![None, Some(1.0)]));
        assert_eq!(cells("attempts"), Cells::Whole(vec![None, Some(7)]));
    }
}
