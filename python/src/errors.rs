//! Errors of the library as exceptions of `da2s.errors`, one class per kind.

use da2s::Error;
use da2s_records::{Kind, sentence};
use da2s_report::ReportError;
use pyo3::prelude::*;

use crate::hints::with_hints;

/// The exception for an error of the library.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let name = match error {
        // A temporary condition, which has its own class.
        Error::Busy { .. } => "BusyError",
        other => name_of(other.kind()),
    };
    exception(py, name, &with_hints(&sentence(error), &error.hints()))
}

/// The exception for an error of the report.
pub fn not_reported(py: Python<'_>, error: &ReportError) -> PyErr {
    exception(py, name_of(error.kind()), &sentence(error))
}

/// The exception for a kind of error.
const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "ConfigError",
        Kind::Data => "DataError",
        Kind::Genotype => "GenotypeError",
        Kind::RunDirectory => "RunDirectoryError",
        Kind::Device => "DeviceError",
        Kind::Files => "FileError",
        Kind::Numbers => "NotFiniteError",
        Kind::Memory => "NotEnoughMemoryError",
        Kind::Stopped => "Stopped",
        // Python does not train with several processes.
        Kind::Processes | Kind::Internal => "InternalError",
    }
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
