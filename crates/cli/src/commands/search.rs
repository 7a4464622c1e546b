//! `da2s search`: the super-network, in a new run directory.

use da2s::parallel::Group;

use super::job::Job;
use crate::args::CreateArguments;
use crate::failure::Failure;

/// Searches, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &CreateArguments, group: &Group) -> Result<(), Failure> {
    let mut job = Job::create(arguments, group)?;
    let searched = job.search();
    job.noted(searched)?;
    job.print_path()
}
