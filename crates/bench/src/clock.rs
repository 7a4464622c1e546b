//! Timing: repetitions on the wall clock and in processor time, the steps of a stage as seen by its
//! observer, and the phases of a step as reported by its probe.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::tensor::Device;
use da2s::Error;
use da2s::observer::{Event, Observer};
use da2s::probe::Probe;
use da2s::resumable::{Resumable, StageError};
use serde::{Deserialize, Serialize};

use super::machine::processor_ms;

/// The times of repetitions in milliseconds, in the order in which they ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// On the wall clock.
    pub wall_ms: Vec<f64>,
    /// Of all threads together; empty if the system does not report it.
    pub processor_ms: Vec<f64>,
}

/// When a repetition began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    wall: Instant,
    processor_ms: Option<f64>,
}

impl Start {
    pub(super) fn now() -> Self {
        Self {
            wall: Instant::now(),
            processor_ms: processor_ms(),
        }
    }
}

impl Times {
    /// Adds the mean of `runs` runs since `start`.
    pub(super) fn add(&mut self, start: Start, runs: u32) {
        let runs = f64::from(runs);
        self.wall_ms.push(elapsed_ms(start.wall) / runs);
        let used = start.processor_ms.zip(processor_ms());
        self.processor_ms
            .extend(used.map(|(before, after)| (after - before) / runs));
    }

    /// The same without the first repetition.
    fn without_first(mut self) -> Self {
        for times in [&mut self.wall_ms, &mut self.processor_ms] {
            times.drain(..1.min(times.len()));
        }
        self
    }
}

/// A part of a repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Name of the phase.
    pub name: String,
    /// Median of its times.
    pub median_ms: f64,
}

/// Runs one uncounted step of `stage`, in which buffers are allocated, and then times `repeat`
/// steps. Then runs the same number of steps of the stage that `probed` returns; the probe of this
/// stage records the phases of the steps in the [`Laps`]. Returns the times and the [`Laps`].
pub(super) fn time_steps<S: Resumable>(
    stage: S,
    device: &Device,
    repeat: usize,
    probed: impl FnOnce(S, Probe) -> S,
) -> Result<(Times, Laps), Error> {
    let take = |stage: &S, times: &mut StepTimes| match stage.run(&mut stage.start(), times, &mut |_, _| Ok(())) {
        Ok(()) | Err(StageError::Stopped { .. }) => Ok(()),
        Err(error) => Err(error),
    };
    let mut times = StepTimes::new(repeat, None);
    take(&stage, &mut times)?;
    let laps = Laps::new(device);
    let stage = probed(stage, laps.probe());
    take(&stage, &mut StepTimes::new(repeat, Some(laps.clone())))?;
    Ok((times.seen.without_first(), laps))
}

/// Times every step of a stage and stops the stage when there are enough.
struct StepTimes {
    repeat: usize,
    since: Start,
    seen: Times,
    laps: Option<Laps>,
}

impl StepTimes {
    fn new(repeat: usize, laps: Option<Laps>) -> Self {
        Self {
            repeat,
            since: Start::now(),
            seen: Times::default(),
            laps,
        }
    }
}

impl Observer for StepTimes {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Step { .. } => self.seen.add(self.since, 1),
            // What happens between two epochs is not part of a step.
            Event::Started { .. }
            | Event::Checkpoint { .. }
            | Event::SearchEpoch(_)
            | Event::TrainEpoch(_)
            | Event::TuningEpoch(_)
            | Event::Seed { .. }
            | Event::Baseline { .. }
            | Event::FrontNetwork { .. }
            | Event::NewLength { .. }
            | Event::Gap(_)
            | Event::Widened(_)
            | Event::Warning(_) => {}
        }
        if let Some(laps) = &self.laps {
            laps.start();
        }
        self.since = Start::now();
    }

    fn stop(&self) -> bool {
        self.seen.wall_ms.len() > self.repeat
    }
}

/// Collects the phases of repetitions. A phase ends when the device has finished all its work.
/// Clones collect into the same list.
#[derive(Clone)]
pub(super) struct Laps {
    device: Device,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    since: Instant,
    times_ms: Vec<(&'static str, Vec<f64>)>,
}

impl Laps {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            seen: Arc::new(Mutex::new(Seen {
                since: Instant::now(),
                times_ms: Vec::new(),
            })),
        }
    }

    fn seen<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        finish(&self.device);
        // Every update is complete: a panic elsewhere leaves no half-written state.
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a repetition.
    pub(super) fn start(&self) {
        self.seen(|seen| seen.since = Instant::now());
    }

    /// Ends the phase `name`; the next one starts.
    pub(super) fn lap(&self, name: &'static str) {
        self.seen(|seen| {
            let took_ms = elapsed_ms(seen.since);
            match seen.times_ms.iter_mut().find(|(other, _)| *other == name) {
                Some((_, times)) => times.push(took_ms),
                None => seen.times_ms.push((name, vec![took_ms])),
            }
            seen.since = Instant::now();
        });
    }

    /// A probe that records the end of each phase here.
    fn probe(&self) -> Probe {
        let laps = self.clone();
        Probe::new(move |phase| laps.lap(phase))
    }

    /// The median of every phase, in the order in which the phases first ended.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let phase = |(name, times): &(&str, Vec<f64>)| Phase {
            name: (*name).to_owned(),
            median_ms: median(times),
        };
        self.seen(|seen| seen.times_ms.iter().map(phase).collect())
    }
}

/// Waits until `device` has finished its work; the CPU never has any outstanding.
fn finish(device: &Device) {
    // A device error appears when its results are read.
    let _ = device.sync();
}

/// Milliseconds since `since`.
fn elapsed_ms(since: Instant) -> f64 {
    1e3 * since.elapsed().as_secs_f64()
}

/// The median; the mean of the middle two for an even number of values, and 0 for none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 0 => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
        count => sorted[count / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn phases_keep_their_order() {
        let laps = Laps::new(&Device::flex());
        for _ in 0..2 {
            laps.start();
            laps.lap("forward");
            laps.lap("backward");
        }
        let names: Vec<String> = laps.phases().into_iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["forward", "backward"]);
    }

    #[test]
    fn the_first_step_is_not_counted() {
        let mut times = StepTimes::new(1, None);
        for seen in 1..=2 {
            assert!(!times.stop());
            times.on(Event::Warning("not a step".to_owned().into()));
            times.on(Event::Step {
                stage: da2s::stage::Stage::Search,
                epoch: 1,
                step: seen,
                steps: 9,
                loss: 0.0,
                accuracy: 0.0,
            });
        }
        assert!(times.stop());
        assert_eq!(times.seen.without_first().wall_ms.len(), 1);
    }
}
