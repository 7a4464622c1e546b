//! Errors of the library as exceptions of `da2s.errors`, one class for each kind.

use da2s::Error;
use da2s::error::{Kind, sentence};
use da2s_report::ReportError;
use pyo3::prelude::*;

use crate::hints::with_hints;

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
    exception(py, name, &with_hints(&sentence(error), &error.hints()))
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
        .and_then(|module| module.getattr(name)?.call1((text,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
