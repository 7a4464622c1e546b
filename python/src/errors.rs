//! Errors of the library as exceptions of `da2s.errors`, one a kind, in the words of a Python user.

use da2s::Error;
use da2s::error::{Kind, sentence};
use da2s_report::ReportError;
use pyo3::prelude::*;

/// The exception of an error of the library.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let name = match error.kind() {
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

/// The command line's flags as the keyword arguments of the same names: `--resume` is `resume=True`, `--image-size 8` is
/// `image_size=8`, and `--out.` at the end of a sentence `out.`
pub fn in_python(text: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let (before, flag) = rest.split_at(at);
        let name = flag[2..].split(|c: char| !c.is_ascii_lowercase() && c != '-').next();
        let name = name.unwrap_or_default();
        said.push_str(before);
        let after = &flag[2 + name.len()..];
        match name {
            "" => said.push_str("--"),
            "resume" => said.push_str("resume=True"),
            _ => said.push_str(&name.replace('-', "_")),
        }
        let is_value = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '"');
        rest = match after.strip_prefix(' ') {
            Some(value) if !["", "resume"].contains(&name) && is_value(value) => {
                said.push('=');
                value
            }
            _ => after,
        };
    }
    said + rest
}
