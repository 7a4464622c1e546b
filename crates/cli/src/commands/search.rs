//! `da2s search`: the super-network, in a new run directory.

use da2s::parallel::Group;

use super::session::Session;
use crate::args::CreateArguments;
use crate::failure::Failure;

/// Searches, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &CreateArguments, group: &Group) -> Result<(), Failure> {
    let mut session = Session::create(arguments, group)?;
    let searched = session.search();
    session.noted(searched)?;
    session.print_path()
}
