//! `da2s run`: every stage, one after the other.

use super::job::Job;
use crate::args::CreateArguments;
use crate::exit::Failure;
use crate::table;

/// Runs every stage, or with `--resume` those that are not finished, and prints the table.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &CreateArguments) -> Result<(), Failure> {
    let mut job = Job::create(arguments)?;
    job.search()?;
    let discretized = job.discretize(None)?;
    job.train()?;
    let summary = job.evaluate()?;
    let report = da2s_report::write_report(job.path())?;
    super::print(&table::of_run(&summary, &discretized.decision.undecided, Some(&report)))
}
