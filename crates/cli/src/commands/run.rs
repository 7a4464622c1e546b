//! `da2s run`: every stage, one after the other; with a genotype that is given, those behind the search.

use da2s::discretize::Genotype;

use super::job::Job;
use crate::args::RunArguments;
use crate::exit::Failure;
use crate::table;

/// Runs every stage, or with `--resume` those that are not finished, and prints the table.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &RunArguments) -> Result<(), Failure> {
    let asked = arguments.given.read()?;
    let mut job = Job::create(&arguments.create)?;
    let given = job.given(asked)?;
    let finished = stages(&mut job, given.as_ref());
    let table = job.noted(finished)?;
    job.end();
    super::print(&table)
}

/// The stages, and the table at the end.
fn stages(job: &mut Job, given: Option<&Genotype>) -> Result<String, Failure> {
    if given.is_none() {
        job.search()?;
    }
    let discretized = job.discretize(given)?;
    job.train()?;
    let summary = job.evaluate()?;
    let report = da2s_report::write_report(job.path())?;
    Ok(table::of_run(&summary, &discretized.decision.texts(), Some(&report)))
}
