//! `da2s run`: all stages in order; with a given genotype or network, those after the search.

use std::time::Instant;

use da2s::Error;
use da2s::parallel::Group;
use da2s::space::Genotype;

use super::session::{PlanStart, Session};
use crate::args::RunArguments;
use crate::failure::Failure;
use crate::{table, terminal};

/// Runs all stages, or with `--resume` the unfinished ones, and prints the table.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &RunArguments, group: &Group) -> Result<(), Failure> {
    let began = Instant::now();
    // The other processes receive the genotype from the leading one.
    let asked = if group.leads() { asked(arguments)? } else { None };
    let layers = arguments.layers().map_err(Error::from)?;
    let planned = PlanStart {
        time: arguments.time,
        given: asked.as_ref(),
        began,
    };
    let created = Session::create_planned(&arguments.create, arguments.network(), &layers, planned, group);
    let mut session = created.map_err(|failure| arguments.given.named(failure))?;
    let given = session.given(asked)?;
    let finished = stages(&mut session, given.as_ref(), began).map_err(|failure| arguments.given.named(failure));
    let table = session.noted(finished)?;
    let run = session.end();
    let Some(mut table) = table else { return Ok(()) };
    if !arguments.create.quiet {
        table += &table::next_steps(&run);
    }
    terminal::print(&table)
}

/// The requested genotype, given as text, a file or the name of a network.
fn asked(arguments: &RunArguments) -> Result<Option<Genotype>, Failure> {
    match arguments.network() {
        Some(network) => {
            let genotype = network.genotype();
            Ok(Some(genotype.map_err(|error| Error::Genotype { path: None, error })?))
        }
        None => arguments.given.read(),
    }
}

/// Runs the stages, and returns the final table in the leading process; the others only search and
/// train.
fn stages(session: &mut Session, given: Option<&Genotype>, began: Instant) -> Result<Option<String>, Failure> {
    if session.as_led(given.is_none())? {
        session.search()?;
    }
    let undecided = if session.leads() {
        Some(session.discretize_once(given)?)
    } else {
        None
    };
    session.plan_training()?;
    session.train()?;
    let evaluated = if session.leads() {
        let summary = session.evaluate()?;
        // Written now, since training other seeds and baselines may take several times as long as
        // everything so far.
        Some((summary, da2s_report::write_report(session.path())?))
    } else {
        None
    };
    let with_seeds = session.seeds()?;
    let with_all = session.baselines()?.or(with_seeds);
    let (Some(undecided), Some(evaluated)) = (undecided, evaluated) else {
        return Ok(None);
    };
    let (summary, report) = match with_all {
        Some((summary, report)) => (summary, report?),
        None => evaluated,
    };
    let took = Some(began.elapsed());
    Ok(Some(table::of_run(&summary, &undecided, Some(&report), took)))
}
