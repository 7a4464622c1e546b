//! Estimates the time left in a run: in the current stage from the steps that this process has
//! taken, and in the stages after it from the plan of the run.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use da2s::planner::{StageTime, span};
use da2s::stage::Stage;

/// Fraction of a stage's steps after which its speed corrects the planned times of later stages.
const KNOWN: f64 = 0.05;
/// Bounds of the factor by which the planned times of later stages are corrected.
const SLOWER: [f64; 2] = [0.5, 2.0];

/// The clock of a run.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Instant,
    /// The stage, once one has begun.
    stage: Option<Stage>,
    /// Epochs of the stage.
    pub epochs: usize,
    /// Steps of the stage that were complete when this process began.
    first_step: Option<usize>,
    /// Completed steps.
    pub steps_done: usize,
    /// Total number of steps.
    pub steps: usize,
    /// The planned time of the whole stage, and of what was left of it when the clock started.
    planned_s: Option<[f64; 2]>,
    /// The planned stages after the current one.
    ahead: VecDeque<StageTime>,
}

impl Clock {
    /// The clock of a run without a plan, before its first stage.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            stage: None,
            epochs: 0,
            first_step: None,
            steps_done: 0,
            steps: 0,
            planned_s: None,
            ahead: VecDeque::new(),
        }
    }

    /// The stages to come, in their order.
    pub fn expect(&mut self, stages: &[StageTime]) {
        self.ahead = stages.iter().copied().collect();
    }

    /// Starts the clock of a stage with `epochs` epochs; the first `over` of them are complete.
    /// Planned stages before it count as complete.
    pub fn start(&mut self, stage: Stage, epochs: usize, over: usize) {
        // A stage that restarts after a value that was not finite keeps its planned time.
        if self.stage != Some(stage) {
            let at = self.ahead.iter().position(|planned| planned.stage == Some(stage));
            let planned = at.and_then(|at| self.ahead.drain(..=at).next_back());
            self.planned_s = planned.map(|planned| [planned.time_s; 2]);
        }
        let share = 1.0 - over.min(epochs) as f64 / epochs.max(1) as f64;
        self.planned_s = self.planned_s.map(|[all_s, _]| [all_s, share * all_s]);
        self.stage = Some(stage);
        self.began = Instant::now();
        self.epochs = epochs;
        self.first_step = None;
        (self.steps_done, self.steps) = (0, 0);
    }

    /// The stage has another number of epochs from now on.
    pub fn change_epochs(&mut self, epochs: usize) {
        let factor = epochs as f64 / self.epochs.max(1) as f64;
        self.planned_s = self.planned_s.map(|times_s| times_s.map(|time_s| factor * time_s));
        self.steps = self.steps / self.epochs.max(1) * epochs;
        self.epochs = epochs;
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

    /// Time left in the run; `None` until there is enough data for an estimate.
    pub fn left(&self) -> Option<Duration> {
        self.left_after(self.began.elapsed().as_secs_f64())
            .map(Duration::from_secs_f64)
    }

    /// The same, in seconds, when the stage has taken `elapsed_s`.
    fn left_after(&self, elapsed_s: f64) -> Option<f64> {
        let ahead_s: f64 = self.ahead.iter().map(|planned| planned.time_s).sum();
        let Some(first) = self.first_step else {
            let [_, planned_s] = self.planned_s?;
            return Some((planned_s - elapsed_s).max(0.0) + ahead_s);
        };
        let done = self.steps_done - first;
        // A search that continues beyond its epochs has no known remaining steps.
        let left = self.steps.saturating_sub(self.steps_done);
        let left_s = elapsed_s * left as f64 / done as f64;
        // If other programs slow the machine down, later stages are assumed to be as slow.
        let slower = match self.planned_s {
            Some([_, planned_s]) if first == 0 && done as f64 >= KNOWN * self.steps as f64 => {
                ((elapsed_s + left_s) / planned_s).clamp(SLOWER[0], SLOWER[1])
            }
            _ => 1.0,
        };
        Some(left_s + slower * ahead_s)
    }
}

/// Minutes and seconds, or hours and minutes.
pub fn text(duration: Duration) -> String {
    span(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::planner::Whose;

    fn planned(stage: Option<Stage>, time_s: f64) -> StageTime {
        StageTime {
            stage,
            whose: Whose::Run,
            time_s,
        }
    }

    #[test]
    fn the_clock_counts_from_the_start_of_this_process() {
        let mut clock = Clock::new();
        assert_eq!(clock.left(), None);
        clock.start(Stage::Search, 10, 0);
        assert_eq!(clock.left(), None);
        clock.step(5, 3, 11);
        assert_eq!((clock.steps, clock.steps_done, clock.first_step), (110, 47, Some(46)));
        clock.step(10, 11, 11);
        assert_eq!(clock.left(), Some(Duration::ZERO));
        clock.step(11, 1, 11);
        assert_eq!(clock.left(), Some(Duration::ZERO), "an extra epoch");
    }

    #[test]
    fn the_time_left_is_that_of_all_stages() {
        let mut clock = Clock::new();
        clock.expect(&[
            planned(Some(Stage::Search), 100.0),
            planned(Some(Stage::Discretize), 10.0),
            planned(Some(Stage::Train), 200.0),
            planned(None, 2.0),
        ]);
        clock.start(Stage::Search, 10, 0);
        assert_eq!(clock.left_after(0.0), Some(312.0));
        clock.step(1, 1, 100);
        // A single step says nothing about the machine.
        assert_eq!(clock.left_after(0.2), Some(0.2 * 999.0 + 212.0));
        // Half of the search took as long as all of it should.
        clock.step(5, 100, 100);
        assert_eq!(clock.left_after(100.0), Some(100.0 + 2.0 * 212.0));
        // Planned stages that never started are skipped.
        clock.start(Stage::Train, 5, 0);
        assert_eq!(clock.left_after(50.0), Some(152.0));
        clock.step(3, 1, 10);
        clock.start(Stage::Train, 5, 0);
        assert_eq!(clock.left_after(0.0), Some(202.0), "again, from the start");
        clock.start(Stage::Train, 8, 4);
        assert_eq!(clock.left_after(0.0), Some(102.0), "again, from a checkpoint");
        clock.start(Stage::Evaluate, 0, 0);
        assert_eq!(clock.left_after(0.0), None, "a stage that is not in the plan");
    }

    #[test]
    fn a_training_of_another_length_keeps_what_is_known_about_the_speed() {
        let mut clock = Clock::new();
        clock.expect(&[planned(Some(Stage::Train), 100.0), planned(None, 10.0)]);
        clock.start(Stage::Train, 10, 0);
        clock.step(1, 1, 10);
        clock.step(4, 10, 10);
        // Twice as slow as planned: 80 s for 40 steps, and 120 s for the other 60.
        assert_eq!(clock.left_after(80.0), Some(120.0 + 2.0 * 10.0));
        clock.change_epochs(5);
        assert_eq!(clock.left_after(80.0), Some(20.0 + 2.0 * 10.0));
    }

    #[test]
    fn a_restarted_training_is_not_mistaken_for_the_training_of_a_baseline() {
        let stages = [Stage::Discretize, Stage::Train, Stage::Evaluate];
        let mut clock = Clock::new();
        clock.expect(
            &[stages, stages]
                .concat()
                .iter()
                .map(|&stage| planned(Some(stage), 10.0))
                .collect::<Vec<_>>(),
        );
        // A run that resumes reads its discretization again.
        clock.start(Stage::Discretize, 0, 0);
        assert_eq!(clock.left_after(0.0), Some(60.0));
        clock.start(Stage::Train, 5, 0);
        clock.start(Stage::Train, 5, 0);
        assert_eq!(clock.left_after(0.0), Some(50.0));
        clock.start(Stage::Evaluate, 0, 0);
        clock.start(Stage::Discretize, 0, 0);
        // Resumed after one of four epochs.
        clock.start(Stage::Train, 4, 1);
        assert_eq!(clock.left_after(0.0), Some(17.5));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(text(Duration::from_secs(75)), "1:15 min");
        assert_eq!(text(Duration::from_secs(2 * 3600 + 300)), "2:05 h");
    }
}
