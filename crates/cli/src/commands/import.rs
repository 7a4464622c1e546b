//! `da2s import`: creates a run from weights of another program.

use da2s::parallel::Group;

use super::session::Session;
use crate::args::ImportArguments;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Imports the weights of a network and evaluates it, or those of a super-network and discretizes
/// it; prints the table.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &ImportArguments) -> Result<(), Failure> {
    if arguments.create.resume {
        return Err(Failure::usage("an import always creates a new run: leave out --resume"));
    }
    let given = arguments.given.read()?;
    match (&arguments.weights, given, &arguments.supernet) {
        (Some(weights), Some(genotype), _) => {
            let mut session = Session::create(&arguments.create, None, &Group::alone())?;
            session
                .import_network(&genotype, weights)
                .map_err(|failure| arguments.given.named(failure))?;
            let summary = session.evaluate()?;
            terminal::print(&table::of_run(&summary, &[], None, None))
        }
        (None, None, Some(supernet)) => {
            let mut session = Session::create(&arguments.create, None, &Group::alone())?;
            session.import_supernet(supernet)?;
            let discretized = session.discretize(None)?;
            terminal::print(&table::of_discretization(&discretized))
        }
        (Some(_), None, _) => Err(Failure::usage(
            "--weights needs the genotype of the network: add --genotype or --genotype-file",
        )),
        (None, ..) => Err(Failure::usage(
            "--supernet takes no genotype: it follows from the weights of the operations and edges",
        )),
    }
}
