//! `da2s runs`: lists the runs below a folder, one per row.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use da2s::Error;
use da2s_report::run::Digest;
use serde_json::{Value, json};

use crate::args::{RunKey, RunsArguments};
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// A run and its location.
pub struct Row {
    /// Path below the folder.
    pub name: String,
    /// The run, or a description of its damage.
    pub run: Result<Digest, String>,
}

/// Prints the runs.
///
/// # Errors
/// If the folder cannot be read or a filter is invalid.
pub fn execute(arguments: &RunsArguments) -> Result<(), Failure> {
    let filters: Vec<(&str, &str)> = arguments
        .filter
        .iter()
        .map(|text| filter(text))
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    collect(&arguments.folder, &arguments.folder, &mut rows)?;
    rows.retain(|row| {
        filters
            .iter()
            .all(|(key, value)| row.text(key).as_deref() == Some(value))
    });
    rows.sort_by(|a, b| natural(&a.name, &b.name));
    rows.sort_by(|a, b| {
        let order = compare(a, b, arguments.sort);
        // Rows without a value come last in both orders.
        let both = has_value(a, arguments.sort) && has_value(b, arguments.sort);
        if arguments.reverse && both {
            order.reverse()
        } else {
            order
        }
    });
    if arguments.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        return terminal::print(&format!("{:#}\n", Value::Array(rows)));
    }
    terminal::print(&table::of_runs(&rows, &arguments.folder))
}

impl Row {
    /// A column or a setting of the row as text, by its key, for filtering and display.
    pub fn text(&self, key: &str) -> Option<String> {
        let digest = self.run.as_ref().ok();
        match key {
            "name" => Some(self.name.clone()),
            "state" => Some(digest.map_or("damaged", |digest| digest.state.word()).to_owned()),
            "dataset" => digest?.setting("data.dataset"),
            "method" => digest?.origin.clone(),
            "seed" => digest?.setting("run.seed"),
            setting => digest?.setting(setting),
        }
    }

    /// A result by its key in `summary.json`.
    pub fn value(&self, key: &str) -> Option<f64> {
        self.run.as_ref().ok()?.values.get(key).copied()
    }

    /// The progress of the run, in words.
    pub fn state(&self) -> String {
        match &self.run {
            Ok(digest) => digest.state.to_string(),
            Err(problem) => format!("damaged: {problem}"),
        }
    }

    fn json(&self) -> Value {
        let mut object = json!({
            "name": self.name,
            "state": self.text("state"),
            "detail": self.state(),
            "dataset": self.text("dataset"),
            "method": self.text("method"),
            "seed": self.text("seed").and_then(|seed| seed.parse::<u64>().ok()),
        });
        if let Ok(digest) = &self.run {
            object["genotype"] = json!(digest.genotype);
            let values = digest.values.iter();
            object["values"] = values
                .map(|(key, value)| ((*key).to_owned(), number(key, *value)))
                .collect();
        }
        object
    }
}

/// A result as JSON: counts are integers, as in `summary.json`.
fn number(key: &str, value: f64) -> Value {
    match key {
        "parameters" | "multiply_adds" => json!(value as u64),
        key if key.ends_with("_bytes") => json!(value as u64),
        _ => json!(value),
    }
}

/// Parses `KEY=VALUE`. The key is one of a few columns, or a setting with the name of its table.
fn filter(text: &str) -> Result<(&str, &str), Failure> {
    let known = |key: &str| ["name", "dataset", "method", "seed", "state"].contains(&key) || key.contains('.');
    match text.split_once('=') {
        Some((key, value)) if known(key) => Ok((key, value)),
        _ => Err(Failure::usage(format!(
            "--filter {text}: expected KEY=VALUE with name, dataset, method, seed, state, or a setting such as search.epochs"
        ))),
    }
}

/// Adds the run in `folder` or, if there is none, those below it; skips hidden folders and links.
fn collect(top: &Path, folder: &Path, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let name = || match folder.strip_prefix(top) {
        Ok(below) if below != Path::new("") => below.display().to_string(),
        _ => folder.display().to_string(),
    };
    match Digest::read(folder) {
        Ok(None) => {}
        Ok(Some(digest)) => {
            rows.push(Row {
                name: name(),
                run: Ok(digest),
            });
            return Ok(());
        }
        Err(error) => {
            rows.push(Row {
                name: name(),
                run: Err(error.to_string()),
            });
            return Ok(());
        }
    }
    let unreadable = |error| Error::io("read", folder, error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().map_err(unreadable)?.is_dir() {
            let below: PathBuf = entry.path();
            collect(top, &below, rows)?;
        }
    }
    Ok(())
}

fn result_key(key: RunKey) -> Option<&'static str> {
    match key {
        RunKey::Gap => Some("gap"),
        RunKey::Accuracy => Some("network_accuracy"),
        RunKey::Parameters => Some("parameters"),
        RunKey::Name | RunKey::Dataset | RunKey::Method | RunKey::Seed | RunKey::State => None,
    }
}

fn word_key(key: RunKey) -> &'static str {
    match key {
        RunKey::Dataset => "dataset",
        RunKey::Method => "method",
        RunKey::Seed => "seed",
        RunKey::State => "state",
        RunKey::Name | RunKey::Gap | RunKey::Accuracy | RunKey::Parameters => "name",
    }
}

fn has_value(row: &Row, key: RunKey) -> bool {
    match result_key(key) {
        Some(result) => row.value(result).is_some(),
        None => row.text(word_key(key)).is_some(),
    }
}

fn compare(a: &Row, b: &Row, key: RunKey) -> Ordering {
    let last_if_absent = |a: bool, b: bool| b.cmp(&a);
    let both = last_if_absent(has_value(a, key), has_value(b, key));
    both.then_with(|| match result_key(key) {
        Some(result) => a.value(result).partial_cmp(&b.value(result)).unwrap_or(Ordering::Equal),
        None => {
            let word = |row: &Row| row.text(word_key(key)).unwrap_or_default();
            natural(&word(a), &word(b))
        }
    })
}

/// Natural order: s2 comes before s10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        let order = if digits_a > 0 && digits_b > 0 {
            let (x, y) = (
                a[..digits_a].trim_start_matches('0'),
                b[..digits_b].trim_start_matches('0'),
            );
            (a, b) = (&a[digits_a..], &b[digits_b..]);
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
            let (x, y) = (rest_a.next(), rest_b.next());
            if x.is_none() && y.is_none() {
                return Ordering::Equal;
            }
            (a, b) = (rest_a.as_str(), rest_b.as_str());
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        let mut names = ["a-s10", "a-s2", "b", "a", "a-s02x", "ä", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "a", "a-s2", "a-s02x", "a-s10", "b", "ä"]);
    }

    #[test]
    fn a_filter_needs_a_known_key_and_a_value() {
        assert_eq!(filter("method=da2s").ok(), Some(("method", "da2s")));
        assert_eq!(filter("search.epochs=5").ok(), Some(("search.epochs", "5")));
        assert!(filter("gap=0").is_err() && filter("method").is_err());
    }
}
