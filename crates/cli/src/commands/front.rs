//! `da2s front`: trains networks of a run's search at several widths, depths or limits, and shows
//! the front: the networks that no other one beats.
//!
//! Contract: latencies are predicted from a latency table, if there is one and it has every block;
//! otherwise all networks are timed in turn on this machine, on one thread, as `da2s-infer` runs
//! them. Results are in `front/` in the run.

use da2s::Hint;

use super::session::Session;
use crate::args::FrontArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::{table, terminal};

/// Trains the networks that are not trained yet, and writes and prints the front.
///
/// # Errors
/// Any failure. After a stop, the same command continues.
pub fn execute(arguments: &FrontArguments) -> Result<(), Failure> {
    let stage = &arguments.stage.stage;
    let mut session = Session::open(&stage.run, stage.quiet, &arguments.request()?)?;
    let front = session
        .front(&arguments.front())
        .map_err(|failure| match failure.code() {
            Code::Stopped => Failure::hinted(Code::Stopped, "stopped", &[Hint::Repeat]),
            _ => failure,
        })?;
    let run = session.end();
    let page = da2s_report::write_front(&run, &front)?;
    terminal::print(&table::of_front(&front, &page))
}
