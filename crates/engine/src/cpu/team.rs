//! Threads that share the steps of one image, and wait actively for each other: most steps are
//! shorter than it takes to wake a thread for them.
//!
//! Contract: every step is run once, after all steps of earlier levels. Threads of the current
//! pool take part if they are idle; none is waited for before it has taken a step.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::schedule::Step;

/// Checks before a thread that waits offers its core to others.
const SPINS: usize = 2000;

/// The steps of an image in levels; the steps of a level share no tensor.
#[derive(Debug)]
pub(super) struct Levels {
    /// Each with the number of steps in earlier levels.
    steps: Vec<(Step, usize)>,
    /// Most steps in a level.
    widest: usize,
    count: usize,
}

impl Levels {
    pub(super) fn new(levels: &[Vec<Step>]) -> Self {
        let mut steps = Vec::with_capacity(levels.iter().map(Vec::len).sum());
        for level in levels {
            let before = steps.len();
            steps.extend(level.iter().map(|&step| (step, before)));
        }
        Self {
            steps,
            widest: levels.iter().map(Vec::len).max().unwrap_or(0),
            count: levels.len(),
        }
    }

    /// How many of `threads` can be busy: a chain of steps is left to one, in whose cache the data
    /// are.
    fn useful(&self, threads: usize) -> usize {
        if self.steps.len() < self.count + self.count / 2 {
            1
        } else {
            threads.min(self.widest)
        }
    }

    /// Runs all steps on at most `threads` threads. Each calls `work` once, with the steps that it
    /// is to run: it has to run one before it takes the next.
    pub(super) fn run(&self, threads: usize, work: impl Fn(Taken<'_>) + Sync) {
        let (taken, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let take_part = || {
            work(Taken {
                steps: &self.steps,
                taken: &taken,
                ended: &ended,
                is_running: false,
            });
        };
        let useful = self.useful(threads);
        if useful == 1 {
            return take_part();
        }
        rayon::scope(|scope| {
            for _ in 1..useful {
                scope.spawn(|_| {
                    // One that comes too late needs no memory.
                    if taken.load(Ordering::Relaxed) < self.steps.len() {
                        take_part();
                    }
                });
            }
            take_part();
            wait(|| ended.load(Ordering::Acquire) == self.steps.len());
        });
    }
}

/// The steps that a thread takes, one after the other.
pub(super) struct Taken<'a> {
    steps: &'a [(Step, usize)],
    /// Steps that threads have taken; more than there are once all have been taken.
    taken: &'a AtomicUsize,
    /// Steps that have ended.
    ended: &'a AtomicUsize,
    /// Whether this thread runs one now.
    is_running: bool,
}

impl Iterator for Taken<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.end();
        let &(step, before) = self.steps.get(self.taken.fetch_add(1, Ordering::Relaxed))?;
        wait(|| self.ended.load(Ordering::Acquire) >= before);
        self.is_running = true;
        Some(step)
    }
}

impl Taken<'_> {
    fn end(&mut self) {
        if std::mem::take(&mut self.is_running) {
            self.ended.fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for Taken<'_> {
    /// If the step panics, the others must not wait for it forever; the scope passes the panic on.
    fn drop(&mut self) {
        self.end();
    }
}

fn wait(is_over: impl Fn() -> bool) {
    let mut checks = 0;
    while !is_over() {
        checks += 1;
        if checks < SPINS {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use rayon::ThreadPoolBuilder;

    use super::*;

    /// Levels of these widths, whose steps have numbers.
    fn levels(widths: &[usize]) -> Vec<Vec<Step>> {
        let mut next = 0..;
        let mut level = |width: usize| next.by_ref().take(width).map(Step::Clear).collect();
        widths.iter().map(|&width| level(width)).collect()
    }

    #[test]
    fn every_step_is_run_once_and_after_those_of_earlier_levels() {
        for (threads, widths) in [
            (1, &[3, 1, 2][..]),
            (2, &[1; 5]),
            (2, &[8, 1, 5, 2]),
            (4, &[2, 9, 1, 1, 7]),
            (3, &[]),
        ] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let levels = levels(widths);
            for _ in 0..200 {
                let seen = Mutex::new(Vec::new());
                pool.install(|| {
                    Levels::new(&levels).run(threads, |steps| steps.for_each(|step| seen.lock().unwrap().push(step)))
                });
                let mut seen = seen.into_inner().unwrap();
                for level in &levels {
                    let rest = seen.split_off(level.len());
                    assert!(level.iter().all(|step| seen.contains(step)), "{seen:?} of {level:?}");
                    seen = rest;
                }
                assert!(seen.is_empty());
            }
        }
    }

    #[test]
    fn a_step_that_panics_keeps_nobody_waiting() {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for failing in 0..8 {
            let levels = Levels::new(&levels(&[3, 2, 3]));
            let work = |steps: Taken<'_>| steps.for_each(|step| assert!(step != Step::Clear(failing), "a step fails"));
            let ended = catch_unwind(AssertUnwindSafe(|| pool.install(|| levels.run(2, work))));
            assert!(ended.is_err());
        }
    }
}
