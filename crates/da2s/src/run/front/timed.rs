//! How long the networks of a front take on this machine: in turn, on one thread, as `da2s-infer`
//! runs them.

use std::io;

use da2s_infer::Network;
use da2s_infer::profile::{Subject, machine, medians_ms};
use da2s_records::files::FRONT;
use da2s_records::schema::{Front, FrontPoint, LatencySource};

use crate::config::Request;
use crate::run::{Error, Job, deployed, deployed_engine};

/// Rounds in which the networks are timed.
const ROUNDS: usize = 50;

impl Job {
    /// Times every network of the `front` of this run, unless their latencies are predicted, and
    /// determines again which networks are on the front.
    ///
    /// # Errors
    /// If a network cannot be read, `da2s-infer` refuses it, or no thread can be started.
    pub fn time_front(&self, front: &mut Front) -> Result<(), Error> {
        if front.latency.is_some() {
            return Ok(());
        }
        let network = |point: &FrontPoint| -> Result<Network, Error> {
            let path = self.directory().path().join(&point.directory);
            deployed(&Self::read(&path, &Request::default(), String::new())?.trained()?)
        };
        let networks: Vec<Network> = front.points.iter().map(network).collect::<Result<_, _>>()?;
        let subjects: Vec<Subject<'_>> = networks.iter().map(Subject::Network).collect();
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let one_thread = one_thread.map_err(|error| {
            Error::io(
                "start a thread for",
                self.directory().file(FRONT),
                io::Error::other(error),
            )
        })?;
        let times_ms = one_thread.install(|| medians_ms(&subjects, ROUNDS))?;
        for (point, ms) in front.points.iter_mut().zip(times_ms) {
            point.trained.on_device.latency_ms = Some(ms);
        }
        front.latency = Some(LatencySource {
            measured: true,
            threads: Some(1),
            engine: Some(deployed_engine()),
            machine: Some(machine()),
        });
        front.mark();
        Ok(())
    }
}
