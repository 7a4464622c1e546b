//! `da2s train`: the final network of a run's genotype, or of one in a file.

use da2s::parallel::Group;

use super::genotype;
use super::job::Job;
use crate::args::TrainArguments;
use crate::exit::Failure;

/// Trains, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &TrainArguments, group: &Group) -> Result<(), Failure> {
    let given = arguments.genotype_file.as_deref().map(genotype::read).transpose()?;
    let mut job = Job::open_in(&arguments.stage, arguments.resume, arguments.live, group)?;
    if let Some(genotype) = given.as_ref().filter(|_| job.leads()) {
        job.discretize(Some(genotype))?;
    }
    job.train()?;
    job.print_path()
}
