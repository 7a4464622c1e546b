//! Requests a checkpoint when the last one is long ago, so that a process that is killed within a
//! long epoch loses little.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::observer::{Event, Observer};

/// Longest time between two checkpoints, except for the length of a step.
const LONGEST: Duration = Duration::from_secs(600);

/// An observer that also requests checkpoints by the clock.
pub(super) struct Timely<'a> {
    observer: &'a mut dyn Observer,
    /// When the last checkpoint was written; `None` requests none.
    saved: Option<&'a Cell<Instant>>,
    longest: Duration,
}

impl<'a> Timely<'a> {
    /// Requests a checkpoint ten minutes after `saved`, the time of the last one, and whenever
    /// `observer` does.
    pub fn new(observer: &'a mut dyn Observer, saved: Option<&'a Cell<Instant>>) -> Self {
        Self {
            observer,
            saved,
            longest: LONGEST,
        }
    }
}

impl Observer for Timely<'_> {
    fn on(&mut self, event: Event<'_>) {
        self.observer.on(event);
    }

    fn stop(&self) -> bool {
        self.observer.stop()
    }

    fn checkpoint(&self) -> bool {
        let is_due = self.saved.is_some_and(|saved| saved.get().elapsed() >= self.longest);
        self.observer.checkpoint() || is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Silent;

    #[test]
    fn a_checkpoint_is_due_when_the_last_one_is_long_ago() {
        let now = Cell::new(Instant::now());
        let is_due = |saved, longest| {
            let observer = &mut Silent;
            Timely {
                observer,
                saved,
                longest,
            }
            .checkpoint()
        };
        assert!(is_due(Some(&now), Duration::ZERO));
        assert!(!is_due(Some(&now), Duration::from_secs(3600)));
        assert!(!is_due(None, Duration::ZERO));
    }
}
