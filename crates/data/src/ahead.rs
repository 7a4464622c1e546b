//! The next result of a pure function, computed by other threads of the pool while its caller does
//! other work.
//!
//! Contract: a result is the same whether it was computed ahead or on request. At most one is
//! computed ahead, and none in a pool of a single thread, which has no time to spare. A caller
//! never waits for a computation that has not begun, but does it itself. While it waits for one
//! that has begun, it runs other jobs of the pool.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rayon::Yield;

/// The result that is computed ahead, with its key.
pub(super) struct Ahead<K, T>(Mutex<Option<Pending<K, T>>>);

struct Pending<K, T> {
    key: K,
    /// Set by the thread that begins the computation, or by the owner so that none begins it.
    is_taken: Arc<AtomicBool>,
    result: Receiver<T>,
}

impl<K: PartialEq, T: Send + 'static> Ahead<K, T> {
    /// Returns the result for `key`, computed ahead or now, and begins to compute the one for
    /// `next`, if any. A result that was computed ahead for another key is dropped.
    pub fn get(&self, key: K, next: Option<K>, compute: impl Fn(&K) -> T + Send + 'static) -> T
    where
        K: Send + Clone + 'static,
    {
        // A `Pending` is complete or absent, even if a thread panicked while it held the lock.
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ahead = pending.filter(|pending| pending.key == key).and_then(Pending::finish);
        let result = ahead.unwrap_or_else(|| compute(&key));
        // A single thread would run the job only when its caller is done with everything.
        if let Some(next) = next.filter(|_| rayon::current_num_threads() > 1) {
            let pending = Pending::begin(next, compute);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
        }
        result
    }
}

impl<K, T> Default for Ahead<K, T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<K, T> fmt::Debug for Ahead<K, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Ahead").finish_non_exhaustive()
    }
}

impl<K: Send + Clone + 'static, T: Send + 'static> Pending<K, T> {
    fn begin(key: K, compute: impl Fn(&K) -> T + Send + 'static) -> Self {
        let (send, result) = sync_channel(1);
        let is_taken = Arc::new(AtomicBool::new(false));
        let (own, of) = (Arc::clone(&is_taken), key.clone());
        rayon::spawn(move || {
            if !own.swap(true, Ordering::AcqRel)
                // After a panic, the caller computes the result again, and panics itself.
                && let Ok(result) = catch_unwind(AssertUnwindSafe(|| compute(&of)))
            {
                // Sending fails if the result is no longer needed.
                let _ = send.send(result);
            }
        });
        Self { key, is_taken, result }
    }
}

impl<K, T> Pending<K, T> {
    /// The result; `None` if its computation has not begun, or panicked.
    fn finish(self) -> Option<T> {
        if !self.is_taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        loop {
            match self.result.try_recv() {
                Ok(result) => return Some(result),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => match rayon::yield_now() {
                    // This thread has run a job of the pool, perhaps a part of the computation.
                    Some(Yield::Executed) => {}
                    Some(Yield::Idle) => thread::yield_now(),
                    None => return self.result.recv().ok(),
                },
            }
        }
    }
}

impl<K, T> Drop for Pending<K, T> {
    fn drop(&mut self) {
        self.is_taken.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn results_match_their_keys_in_any_order_and_on_any_number_of_threads() {
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let ahead = Ahead::default();
                for key in [0, 1, 2, 7, 8, 3, 3, 4] {
                    assert_eq!(ahead.get(key, Some(key + 1), |key| 10 * key), 10 * key);
                    // An idle thread may begin to compute the next result, or not.
                    rayon::yield_now();
                }
            });
        }
    }

    /// Counts how often it is called.
    #[derive(Clone, Default)]
    struct Calls(Arc<AtomicUsize>);

    impl Calls {
        fn count(&self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }

        fn wait_for(&self, count: usize) {
            while self.0.load(Ordering::Acquire) < count {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_result_that_was_begun_is_not_computed_twice() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (ahead, calls) = (Ahead::default(), Calls::default());
        let get = |key, next| {
            let calls = calls.clone();
            let compute = move |key: &usize| {
                calls.count();
                *key
            };
            ahead.get(key, next, compute)
        };
        pool.install(|| get(1, Some(2)));
        calls.wait_for(2);
        assert_eq!(pool.install(|| get(2, None)), 2);
        assert_eq!(get(7, None), 7);
        assert_eq!(calls.0.load(Ordering::Acquire), 3);
    }

    #[test]
    fn a_single_thread_computes_nothing_ahead() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (ahead, calls) = (Ahead::default(), Calls::default());
        let of = calls.clone();
        pool.install(|| ahead.get(1, Some(2), move |_| of.count()));
        // If there were a job ahead, the thread would run it before this one from outside the pool.
        pool.install(|| ());
        assert_eq!(calls.0.load(Ordering::Acquire), 1);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (ahead, calls) = (Ahead::default(), Calls::default());
        let of = calls.clone();
        let odd = move |key: &i32| {
            of.count();
            assert!(key % 2 == 0, "{key} is odd");
        };
        pool.install(|| ahead.get(2, Some(3), odd.clone()));
        calls.wait_for(2);
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.install(|| ahead.get(3, None, odd))));
        assert!(panicked.is_err());
    }
}
