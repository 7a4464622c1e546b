//! The commands, one module each.

mod bench;
mod compare;
mod completions;
mod config;
mod data;
mod discretize;
mod draw;
mod evaluate;
mod export;
mod front;
mod genotype;
mod http;
mod import;
mod lookup;
mod man;
mod metrics;
mod predict;
mod profile;
mod quantise;
mod report;
mod run;
pub mod runs;
mod search;
mod serve;
mod session;
mod train;
pub mod watch;

use da2s::parallel::Group;

use crate::args::{Arguments, Verb};
use crate::failure::Failure;
use crate::processes;

/// Executes the command, as one of the processes of `group`.
///
/// # Errors
/// Any failure, with its exit code.
pub fn execute(arguments: &Arguments, group: &Group) -> Result<(), Failure> {
    processes::suit(&arguments.verb, group)?;
    match &arguments.verb {
        Verb::Run(arguments) => run::execute(arguments, group),
        Verb::Search(arguments) => search::execute(arguments, group),
        Verb::Discretize(arguments) => discretize::execute(arguments),
        Verb::Train(arguments) => train::execute(arguments, group),
        Verb::Evaluate(arguments) => evaluate::execute(arguments),
        Verb::Front(arguments) => front::execute(arguments),
        Verb::Predict(arguments) => predict::execute(arguments),
        Verb::Serve(arguments) => serve::execute(arguments),
        Verb::Quantise(arguments) => quantise::execute(arguments),
        Verb::Export(arguments) => export::execute(arguments),
        Verb::Import(arguments) => import::execute(arguments),
        Verb::Genotype(arguments) => genotype::execute(arguments),
        Verb::Report(arguments) => report::execute(arguments),
        Verb::Draw(arguments) => draw::execute(arguments),
        Verb::Compare(arguments) => compare::execute(arguments),
        Verb::Runs(arguments) => runs::execute(arguments),
        Verb::Metrics(arguments) => metrics::execute(arguments),
        Verb::Watch(arguments) => watch::execute(arguments),
        Verb::Lookup(arguments) => lookup::execute(arguments),
        Verb::Config(arguments) => config::execute(arguments),
        Verb::Data(arguments) => data::execute(&arguments.verb),
        Verb::Profile(arguments) => profile::execute(arguments),
        Verb::Bench(arguments) => bench::execute(arguments),
        Verb::Completions(arguments) => completions::execute(arguments),
        Verb::Man(arguments) => man::execute(arguments),
    }
}
