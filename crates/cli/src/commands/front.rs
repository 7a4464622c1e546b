//! `da2s front`: networks of a run's search at several widths, depths or limits, and which of them
//! no other one beats.
//!
//! Contract: latencies are predicted from a latency table, if there is one and it has every block;
//! otherwise all networks are timed in turn on this machine, on one thread, as `da2s-infer` runs
//! them. Results are in `front/` in the run.

use std::path::Path;

use da2s::Hint;
use da2s::config::Request;
use da2s::run::{Job, deployed};
use da2s_infer::Network;
use da2s_infer::profile::{Subject, machine, medians_ms};
use da2s_records::schema::{Front, LatencySource};

use super::profile::engine;
use super::session::{Session, this_command};
use crate::args::FrontArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::{table, terminal};

/// Rounds in which the networks are timed.
const ROUNDS: usize = 50;

/// Trains the networks that are not trained yet, and writes and prints the front.
///
/// # Errors
/// Any failure. After a stop, the same command continues.
pub fn execute(arguments: &FrontArguments) -> Result<(), Failure> {
    let stage = &arguments.stage.stage;
    let mut session = Session::open(&stage.run, stage.quiet, &arguments.request()?)?;
    let mut front = session
        .front(&arguments.front())
        .map_err(|failure| match failure.code() {
            Code::Stopped => Failure::hinted(Code::Stopped, "stopped", &[Hint::Repeat]),
            _ => failure,
        })?;
    let run = session.end();
    if front.latency.is_none() {
        measure(&mut front, &run)?;
    }
    front.mark();
    let page = da2s_report::write_front(&run, &front)?;
    terminal::print(&table::of_front(&front, &page))
}

/// Times every network of the front of `run` on this machine.
fn measure(front: &mut Front, run: &Path) -> Result<(), Failure> {
    let network = |directory: &str| -> Result<Network, Failure> {
        let job = Job::read(&run.join(directory), &Request::default(), this_command())?;
        Ok(deployed(&job.trained()?)?)
    };
    let networks: Vec<Network> = front
        .points
        .iter()
        .map(|point| network(&point.directory))
        .collect::<Result<_, _>>()?;
    let subjects: Vec<Subject<'_>> = networks.iter().map(Subject::Network).collect();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_thread =
        one_thread.map_err(|error| Failure::new(Code::Files, format!("cannot start a thread: {error}")))?;
    let times_ms = one_thread
        .install(|| medians_ms(&subjects, ROUNDS))
        .map_err(da2s::run::Error::from)?;
    for (point, ms) in front.points.iter_mut().zip(times_ms) {
        point.trained.on_device.latency_ms = Some(ms);
    }
    front.latency = Some(LatencySource {
        measured: true,
        threads: Some(1),
        engine: Some(engine()),
        machine: Some(machine()),
    });
    Ok(())
}
