//! `da2s discretize`: the genotype of a run's search and its gap; or a given genotype.

use super::genotype;
use super::session::Session;
use crate::args::DiscretizeArguments;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Discretizes, and prints the genotype, its gap and its size.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &DiscretizeArguments) -> Result<(), Failure> {
    let given = arguments.genotype.as_deref().map(genotype::of_text).transpose()?;
    let stage = &arguments.stage.stage;
    let mut session = Session::open(&stage.run, stage.quiet, &arguments.request()?)?;
    let discretized = session.discretize(given.as_ref())?;
    terminal::print(&table::of_discretization(&discretized))
}
