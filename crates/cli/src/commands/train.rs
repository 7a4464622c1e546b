//! `da2s train`: the final network of a run's genotype, or of one in a file.

use super::genotype;
use super::job::Job;
use crate::args::TrainArguments;
use crate::exit::Failure;

/// Trains, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &TrainArguments) -> Result<(), Failure> {
    let given = arguments.genotype_file.as_deref().map(genotype::read).transpose()?;
    let mut job = Job::open(&arguments.stage, arguments.resume)?;
    job.show(arguments.live)?;
    if let Some(genotype) = &given {
        job.discretize(Some(genotype))?;
    }
    job.train()?;
    super::print(&format!("{}\n", job.end().display()))
}
