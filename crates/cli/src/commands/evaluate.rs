//! `da2s evaluate`: the trained network of a run on the test images, and the run's summary.

use super::session::Session;
use crate::args::ImageStageArguments;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Evaluates, and prints the table.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &ImageStageArguments) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.stage, &arguments.request()?)?;
    let summary = session.evaluate()?;
    terminal::print(&table::of_run(&summary, &[], None))
}
