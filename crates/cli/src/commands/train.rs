//! `da2s train`: trains the final network of a run's genotype, or of one in a file.

use da2s::parallel::Group;

use super::genotype;
use super::session::Session;
use crate::args::TrainArguments;
use crate::failure::Failure;

/// Trains, and prints the path of the run.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &TrainArguments, group: &Group) -> Result<(), Failure> {
    // The other processes receive the genotype from the leading one.
    let file = arguments.genotype_file.as_deref().filter(|_| group.leads());
    let given = file.map(genotype::read).transpose()?;
    let mut session = Session::open_in(arguments, group)?;
    if let (Some(genotype), Some(path)) = (&given, file) {
        session
            .discretize(Some(genotype))
            .map_err(|failure| genotype::of_file(path, failure))?;
    }
    session.train()?;
    session.print_path()
}
