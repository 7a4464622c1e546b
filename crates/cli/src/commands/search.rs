//! `da2s search`: trains the super-network, in a new run directory.

use da2s::parallel::Group;

use super::session::Session;
use crate::args::CreateArguments;
use crate::failure::Failure;

/// Searches, and prints the path of the run.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &CreateArguments, group: &Group) -> Result<(), Failure> {
    let mut session = Session::create(arguments, None, group)?;
    let searched = session.search();
    session.noted(searched)?;
    session.print_path()
}
