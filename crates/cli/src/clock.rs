//! Estimates the time left in a stage, from the steps that this process has taken.

use std::time::{Duration, Instant};

/// The clock of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    /// Epochs of the stage.
    pub epochs: usize,
    /// Steps of the stage that were complete when this process began.
    first_step: Option<usize>,
    /// Completed steps.
    pub steps_done: usize,
    /// Total number of steps.
    pub steps: usize,
}

impl Clock {
    /// Starts the clock of a stage of `epochs`.
    pub fn start(epochs: usize) -> Self {
        Self {
            began: Instant::now(),
            epochs,
            first_step: None,
            steps_done: 0,
            steps: 0,
        }
    }

    /// Records a step: `step` of `steps` in `epoch`, both from 1.
    pub fn step(&mut self, epoch: usize, step: usize, steps: usize) {
        self.steps = self.epochs * steps;
        self.steps_done = (epoch - 1) * steps + step;
        self.first_step.get_or_insert(self.steps_done - 1);
    }

    /// The stage was paused for `duration`.
    pub fn stood(&mut self, duration: Duration) {
        self.began += duration;
    }

    /// Time left; `None` until there is enough data for an estimate.
    pub fn left(&self) -> Option<Duration> {
        let done = self.steps_done - self.first_step?;
        // A search that continues beyond its epochs has no known remaining steps.
        let left = self.steps.saturating_sub(self.steps_done);
        Some(self.began.elapsed().mul_f64(left as f64 / done as f64))
    }
}

/// Minutes and seconds, or hours and minutes.
pub fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02} h", seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_from_where_this_process_began() {
        let mut clock = Clock::start(10);
        assert_eq!(clock.left(), None);
        clock.step(5, 3, 11);
        assert_eq!((clock.steps, clock.steps_done, clock.first_step), (110, 47, Some(46)));
        clock.step(10, 11, 11);
        assert_eq!(clock.left(), Some(Duration::ZERO));
        clock.step(11, 1, 11);
        assert_eq!(clock.left(), Some(Duration::ZERO), "an extra epoch");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(text(Duration::from_secs(75)), "1:15 min");
        assert_eq!(text(Duration::from_secs(2 * 3600 + 300)), "2:05 h");
    }
}
