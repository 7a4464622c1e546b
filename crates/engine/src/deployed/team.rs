//! Threads that help with single images.
//!
//! They wait actively for the next call for a while, and then sleep: to run a small network takes
//! less time than to wake a thread. Contract: [`Team::run`] returns when no thread uses the work
//! any more; if the work panics in one of them, so does the call.

use std::any::Any;
use std::hint::spin_loop;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, yield_now};
use std::time::{Duration, Instant};

/// How long a thread waits actively for the next call.
const AWAKE: Duration = Duration::from_millis(1);
/// How long it waits before it begins to offer its core to other threads.
const ALONE: Duration = Duration::from_micros(100);
/// Checks between two looks at the clock.
const CHECKS: usize = 64;

/// What the threads run; the argument is the number of the thread.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

/// Threads that wait for calls.
#[derive(Debug)]
pub(super) struct Team {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Odd while a call runs.
    call: AtomicUsize,
    /// The work of the call: a pointer to a [`Work`].
    work: AtomicPtr<()>,
    /// Number of threads that may use the work.
    inside: AtomicUsize,
    /// Threads that sleep, and what wakes them.
    sleeping: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
    is_over: AtomicBool,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    /// Starts `helpers` threads besides the caller's.
    ///
    /// # Errors
    /// If the system starts no more threads.
    pub(super) fn new(helpers: usize) -> io::Result<Self> {
        let mut team = Self {
            state: Arc::new(State::default()),
            threads: Vec::with_capacity(helpers),
        };
        for number in 1..=helpers {
            let state = Arc::clone(&team.state);
            let builder = Builder::new().name(format!("da2s-{number}"));
            team.threads.push(builder.spawn(move || state.help(number))?);
        }
        Ok(team)
    }

    /// Number of threads besides the caller's.
    pub(super) fn helpers(&self) -> usize {
        self.threads.len()
    }

    /// Runs `work` with 0 in the calling thread, and with its number in each thread that joins in
    /// time.
    pub(super) fn run(&mut self, work: Work<'_>) {
        let state = &*self.state;
        *locked(&state.panicked) = None;
        let work_pointer = (&raw const work).cast_mut().cast::<()>();
        state.work.store(work_pointer, Ordering::Relaxed);
        let open = Open::new(state);
        work(0);
        drop(open);
        if let Some(panic) = locked(&state.panicked).take() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        drop(locked(&self.state.lock));
        self.state.wake.notify_all();
        for thread in self.threads.drain(..) {
            // Panics in the work have been passed on by `Team::run`.
            let _ = thread.join();
        }
    }
}

/// A call that threads may join.
struct Open<'a>(&'a State);

impl<'a> Open<'a> {
    fn new(state: &'a State) -> Self {
        state.call.fetch_add(1, Ordering::SeqCst);
        if state.sleeping.load(Ordering::SeqCst) > 0 {
            drop(locked(&state.lock));
            state.wake.notify_all();
        }
        Self(state)
    }
}

impl Drop for Open<'_> {
    /// Closes the call, and waits for the threads that have joined it.
    fn drop(&mut self) {
        self.0.call.fetch_add(1, Ordering::SeqCst);
        super::claims::wait(|| self.0.inside.load(Ordering::SeqCst) == 0);
    }
}

impl State {
    /// The number of the running call, unless it is the one that this thread has `seen` last.
    fn next(&self, seen: usize) -> Option<usize> {
        let call = self.call.load(Ordering::SeqCst);
        (call % 2 == 1 && call != seen).then_some(call)
    }

    fn help(&self, number: usize) {
        let mut seen = 0;
        while self.is_wanted(seen) {
            self.inside.fetch_add(1, Ordering::SeqCst);
            // The call may have been closed meanwhile. If not, it waits for this thread.
            if let Some(call) = self.next(seen) {
                seen = call;
                let work = self.work.load(Ordering::Relaxed).cast_const().cast::<Work<'_>>();
                // SAFETY: the call that stored the pointer is open, and closing it waits until this
                // thread is no longer inside.
                let work = unsafe { *work };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(number))) {
                    *locked(&self.panicked) = Some(panic);
                }
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Waits for the next call, first actively; false if there will be none.
    fn is_wanted(&self, seen: usize) -> bool {
        let is_due = || self.next(seen).is_some() || self.is_over.load(Ordering::SeqCst);
        let began = Instant::now();
        while !is_due() && began.elapsed() < AWAKE {
            for _ in 0..CHECKS {
                if is_due() {
                    break;
                }
                spin_loop();
            }
            // Another thread may need the core.
            if began.elapsed() > ALONE {
                yield_now();
            }
        }
        if !is_due() {
            let mut guard = locked(&self.lock);
            self.sleeping.fetch_add(1, Ordering::SeqCst);
            while !is_due() {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleeping.fetch_sub(1, Ordering::SeqCst);
        }
        !self.is_over.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_runs_its_own_work_and_ends_after_it() {
        let mut team = Team::new(3).unwrap();
        for round in 0..500 {
            let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            team.run(&|number| {
                assert!(number < 4);
                begun.fetch_add(1, Ordering::SeqCst);
                std::hint::black_box(round);
                ended.fetch_add(1, Ordering::SeqCst);
            });
            let count = begun.into_inner();
            assert!((1..=4).contains(&count));
            assert_eq!(ended.into_inner(), count);
        }
    }

    #[test]
    fn threads_that_sleep_are_woken() {
        let mut team = Team::new(1).unwrap();
        while team.state.sleeping.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let helped = AtomicBool::new(false);
        team.run(&|number| {
            if number == 1 {
                helped.store(true, Ordering::SeqCst);
            } else {
                super::super::claims::wait(|| helped.load(Ordering::SeqCst));
            }
        });
    }

    #[test]
    fn a_panic_in_any_thread_is_passed_on_and_the_team_remains_usable() {
        let mut team = Team::new(1).unwrap();
        for failing in [0, 1] {
            let began = AtomicBool::new(false);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                team.run(&|number| {
                    if number == failing {
                        began.store(true, Ordering::SeqCst);
                        panic!("the work fails");
                    }
                    super::super::claims::wait(|| began.load(Ordering::SeqCst));
                });
            }));
            assert!(ended.is_err());
        }
        team.run(&|_| ());
        assert_eq!(team.helpers(), 1);
    }
}
