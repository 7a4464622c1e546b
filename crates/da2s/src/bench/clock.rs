//! Time: the steps of a loop as its observer sees them, and the phases of a step taken apart.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use burn::tensor::Device;

use crate::observer::{Event, Observer};

/// A part of a repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What is done.
    pub name: String,
    /// The median of its times.
    pub median_ms: f64,
}

/// Times every step of a loop and stops it when there are enough. The first, in which buffers are made, does not count.
pub(super) struct StepTimes {
    repeat: usize,
    since: Instant,
    seen_ms: Vec<f64>,
}

impl StepTimes {
    pub(super) fn new(repeat: usize) -> Self {
        Self {
            repeat,
            since: Instant::now(),
            seen_ms: Vec::with_capacity(repeat + 1),
        }
    }

    /// The steps that count.
    pub(super) fn counted(mut self) -> Vec<f64> {
        self.seen_ms.drain(..1.min(self.seen_ms.len()));
        self.seen_ms
    }
}

impl Observer for StepTimes {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Step { .. } => self.seen_ms.push(elapsed_ms(self.since)),
            // What happens between two epochs is no part of a step.
            Event::Started { .. }
            | Event::Checkpoint { .. }
            | Event::SearchEpoch(_)
            | Event::TrainEpoch(_)
            | Event::Gap(_)
            | Event::Warning(_) => {}
        }
        self.since = Instant::now();
    }

    fn stop(&self) -> bool {
        self.seen_ms.len() > self.repeat
    }
}

/// Collects the phases of repetitions. A phase ends when the device has done all that it was given.
pub(super) struct Laps {
    device: Device,
    since: Instant,
    seen_ms: Vec<(&'static str, Vec<f64>)>,
}

impl Laps {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            since: Instant::now(),
            seen_ms: Vec::new(),
        }
    }

    /// Starts a repetition.
    pub(super) fn start(&mut self) {
        finish(&self.device);
        self.since = Instant::now();
    }

    /// Ends the phase `name`; the next one begins.
    pub(super) fn lap(&mut self, name: &'static str) {
        finish(&self.device);
        let took_ms = elapsed_ms(self.since);
        match self.seen_ms.iter_mut().find(|(other, _)| *other == name) {
            Some((_, times)) => times.push(took_ms),
            None => self.seen_ms.push((name, vec![took_ms])),
        }
        self.since = Instant::now();
    }

    /// The median of every phase, in the order in which they first ended.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let phase = |(name, times): &(&str, Vec<f64>)| Phase {
            name: (*name).to_owned(),
            median_ms: median(times),
        };
        self.seen_ms.iter().map(phase).collect()
    }
}

/// Waits for what `device` was given; on the CPU nothing ever is left.
fn finish(device: &Device) {
    // An error of the device shows where its results are read.
    let _ = device.sync();
}

/// Milliseconds since `since`.
pub(super) fn elapsed_ms(since: Instant) -> f64 {
    1e3 * since.elapsed().as_secs_f64()
}

/// The median; the mean of the middle two of an even number, and 0 of none.
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
    fn phases_keep_their_order_and_the_first_step_does_not_count() {
        let mut laps = Laps::new(&Device::flex());
        for _ in 0..2 {
            laps.start();
            laps.lap("forward");
            laps.lap("backward");
        }
        let names: Vec<String> = laps.phases().into_iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["forward", "backward"]);

        let mut times = StepTimes::new(1);
        for seen in 1..=2 {
            assert!(!times.stop());
            times.on(Event::Warning("a look at the images".to_owned().into()));
            let stage = crate::observer::Stage::Search;
            times.on(Event::Step {
                stage,
                epoch: 1,
                step: seen,
                steps: 9,
                loss: 0.0,
                accuracy: 0.0,
            });
        }
        assert!(times.stop());
        assert_eq!(times.counted().len(), 1);
    }
}
