//! `da2s search`: the super-network, in a new run directory.

use super::job::Job;
use crate::args::CreateArguments;
use crate::exit::Failure;

/// Searches, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &CreateArguments) -> Result<(), Failure> {
    let mut job = Job::create(arguments)?;
    let searched = job.search();
    job.noted(searched)?;
    super::print(&format!("{}\n", job.end().display()))
}
