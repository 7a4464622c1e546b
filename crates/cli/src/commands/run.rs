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
    let finished = stages(&mut job);
    let table = job.noted(finished)?;
    job.end();
    super::print(&table)
}

/// The stages, and the table at the end.
fn stages(job: &mut Job) -> Result<String, Failure> {
    job.search()?;
    let discretized = job.discretize(None)?;
    job.train()?;
    let summary = job.evaluate()?;
    let report = da2s_report::write_report(job.path())?;
    Ok(table::of_run(&summary, &discretized.decision.texts(), Some(&report)))
}
