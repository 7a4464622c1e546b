//! Lines on a standard error that is not a terminal: one per event and, if there is no event for a
//! while, the progress of the run.
//!
//! Contract: a separate thread writes the progress, since the thread that computes is busy. It
//! writes nothing as long as events write lines often enough, and ends when the [`Pulse`] is
//! dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock;
use crate::terminal::tell;

/// The longest time before the first line: an error in the input is reported before that, as the
/// only line.
const FIRST: Duration = Duration::from_secs(3);
/// The longest time without a line; with [`POLL`] at most 15 seconds.
const SILENCE: Duration = Duration::from_secs(14);
/// How often that is checked.
const POLL: Duration = Duration::from_secs(1);

/// How far the run is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What the run is doing.
    pub text: String,
    /// Time left from now on.
    pub left: Option<Duration>,
}

/// Writes lines.
#[derive(Debug)]
pub struct Pulse {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    status: Status,
    /// When the status was reported.
    since: Instant,
    /// When the last line was written.
    last: Instant,
    /// The longest time without a line after that.
    patience: Duration,
    ended: bool,
}

impl Shared {
    /// A line is written at `now`.
    fn written(&mut self, now: Instant) {
        (self.last, self.patience) = (now, SILENCE);
    }

    /// The line that is due at `now`, if one is.
    fn due(&self, now: Instant) -> Option<String> {
        if now.saturating_duration_since(self.last) < self.patience || self.status.text.is_empty() {
            return None;
        }
        let left = self.status.left.map(|left| {
            let left = left.saturating_sub(now.saturating_duration_since(self.since));
            format!(", {} left", clock::text(left))
        });
        Some(format!("{}{}", self.status.text, left.unwrap_or_default()))
    }
}

impl Pulse {
    /// Starts the thread.
    pub fn start() -> Self {
        let now = Instant::now();
        let shared = Shared {
            status: Status::default(),
            since: now,
            last: now,
            patience: FIRST,
            ended: false,
        };
        let shared = Arc::new((Mutex::new(shared), Condvar::new()));
        let own = Arc::clone(&shared);
        let spawned = thread::Builder::new().spawn(move || watch(&own));
        Self {
            shared,
            // If the thread cannot be started, only events write lines.
            thread: spawned.ok(),
        }
    }

    /// Writes a line.
    pub fn line(&self, text: &str) {
        let mut shared = locked(&self.shared.0);
        shared.written(Instant::now());
        tell(text);
    }

    /// Sets the status to write if there is no line for a while.
    pub fn status(&self, status: Status) {
        let mut shared = locked(&self.shared.0);
        (shared.status, shared.since) = (status, Instant::now());
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        locked(&self.shared.0).ended = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot fail: it only writes lines.
            let _ = thread.join();
        }
    }
}

/// Writes the lines that are due until the pulse ends.
fn watch((shared, changed): &(Mutex<Shared>, Condvar)) {
    let mut shared = locked(shared);
    while !shared.ended {
        let now = Instant::now();
        if let Some(line) = shared.due(now) {
            tell(&line);
            shared.written(now);
        }
        let waited = changed.wait_timeout(shared, POLL);
        shared = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Every change is complete: a panic elsewhere leaves no half-written state.
fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_when_nothing_was_written_for_a_while() {
        let last = Instant::now();
        let mut shared = Shared {
            status: Status {
                text: "search 1/9".to_owned(),
                left: Some(Duration::from_secs(100)),
            },
            since: last,
            last,
            patience: FIRST,
            ended: false,
        };
        let later = |seconds| last + Duration::from_secs(seconds);
        assert_eq!(shared.due(later(1)), None);
        assert_eq!(shared.due(later(4)).unwrap(), "search 1/9, 1:36 min left");
        shared.written(last);
        assert_eq!(shared.due(later(5)), None);
        assert_eq!(shared.due(later(20)).unwrap(), "search 1/9, 1:20 min left");
        assert_eq!(shared.due(later(500)).unwrap(), "search 1/9, 0:00 min left");
        shared.status = Status::default();
        assert_eq!(shared.due(later(20)), None, "nothing was reported");
    }
}
