//! `da2s evaluate`: evaluates the trained network of a run on the test images, and writes the run's
//! summary.

use super::session::Session;
use crate::args::ImageStageArguments;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Evaluates, and prints the table.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &ImageStageArguments) -> Result<(), Failure> {
    let stage = &arguments.stage;
    let mut session = Session::open(&stage.run, stage.quiet, &arguments.request()?)?;
    let summary = session.evaluate()?;
    terminal::print(&table::of_run(&summary, &[], None, None))
}
