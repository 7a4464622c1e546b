//! Errors of the library as exceptions of `da2s.errors`, one a kind, in the words of a Python user.

use da2s::Error;
use da2s::error::{Kind, sentence};
use da2s_report::ReportError;
use pyo3::prelude::*;

/// The exception of an error of the library.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let name = match error.kind() {
        // The one that passes by itself.
        Kind::RunDirectory if matches!(error, Error::Busy { .. }) => "BusyError",
        Kind::Usage => "ConfigError",
        Kind::Data => "DataError",
        Kind::Genotype => "GenotypeError",
        Kind::RunDirectory => "RunDirectoryError",
        Kind::Device => "DeviceError",
        Kind::Files => "FileError",
        Kind::Numbers => "NotFiniteError",
        Kind::Stopped => "Stopped",
        // There are no others in Python.
        Kind::Processes | Kind::Internal => "InternalError",
    };
    exception(py, name, &sentence(error))
}

/// The exception of an error of the report.
pub fn not_reported(py: Python<'_>, error: &ReportError) -> PyErr {
    let name = match error {
        ReportError::Read { .. } | ReportError::Write { .. } => "FileError",
        ReportError::TooManyRuns { .. } => "ConfigError",
        ReportError::NotARun { .. }
        | ReportError::Damaged { .. }
        | ReportError::Picture { .. }
        | ReportError::NothingToDraw { .. } => "RunDirectoryError",
    };
    exception(py, name, &sentence(error))
}

/// The exception `name` of `da2s.errors`.
pub fn exception(py: Python<'_>, name: &str, text: &str) -> PyErr {
    let made = py
        .import("da2s.errors")
        .and_then(|module| module.getattr(name)?.call1((in_python(text),)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Flags of the command line that errors and warnings name, each a keyword argument of the same name here.
const FLAGS: [&str; 23] = [
    "config",
    "data-dir",
    "device",
    "edges",
    "engine",
    "extra-epochs",
    "genotype",
    "image-size",
    "limit",
    "max-multiply-adds",
    "max-parameters",
    "method",
    "on-nan",
    "operations",
    "out",
    "recipe",
    "resume",
    "schedule",
    "search-epochs",
    "seed",
    "space",
    "threads",
    "train-epochs",
];

/// The command line's flags as the keyword arguments of the same names: `--resume` is `resume=True`, `--image-size 8` is
/// `image_size=8`, and `--out.` at the end of a sentence `out.` What is no flag by itself, as in a path, stays.
pub fn in_python(text: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let (before, dashes) = rest.split_at(at);
        said.push_str(before);
        let begins = said.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(');
        let Some((name, after)) = begins.then(|| flag(&dashes[2..])).flatten() else {
            said.push_str("--");
            rest = &dashes[2..];
            continue;
        };
        if name == "resume" {
            said.push_str("resume=True");
            rest = after;
            continue;
        }
        said.push_str(&name.replace('-', "_"));
        let is_value = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '"');
        rest = match after.strip_prefix(' ') {
            Some(value) if is_value(value) => {
                said.push('=');
                value
            }
            _ => after,
        };
    }
    said + rest
}

/// The flag, without its dashes, that a text begins with, and what comes behind it.
fn flag(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_lowercase() && c != '-')
        .unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let behind = after.trim_start_matches([',', ';', ':', '.', ')']);
    let ends = behind.is_empty() || behind.starts_with(char::is_whitespace);
    (ends && FLAGS.contains(&name)).then_some((name, after))
}
