//! `da2s report`: the report of a run.

use crate::args::ReportArguments;
use crate::exit::Failure;

/// Writes the report, and prints its path.
///
/// # Errors
/// If the directory holds no run, a file in it is damaged, or the report cannot be written.
pub fn execute(arguments: &ReportArguments) -> Result<(), Failure> {
    let report = da2s_report::write_report(&arguments.run)?;
    super::print(&format!("{}\n", report.display()))
}
