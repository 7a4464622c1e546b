//! The next result of a pure function, computed by idle threads while its caller does other work.
//!
//! Contract: a result is the same whether it was computed ahead or on request. At most one is
//! computed ahead. A caller never waits for a computation that has not begun, but does it itself,
//! so this cannot deadlock in a pool of a single thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

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
        if let Some(next) = next {
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
        if self.is_taken.swap(true, Ordering::AcqRel) {
            self.result.recv().ok()
        } else {
            None
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

    #[test]
    fn a_result_that_was_begun_is_not_computed_twice() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (ahead, calls) = (Ahead::default(), Arc::new(AtomicUsize::new(0)));
        let get = |key, next| {
            let calls = Arc::clone(&calls);
            let compute = move |key: &usize| {
                calls.fetch_add(1, Ordering::Relaxed);
                *key
            };
            ahead.get(key, next, compute)
        };
        pool.install(|| get(1, Some(2)));
        // The pool's only thread runs its own jobs before those from outside, so it computes the
        // next result before this empty job.
        pool.install(|| ());
        assert_eq!((get(2, None), calls.load(Ordering::Relaxed)), (2, 2));
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let ahead = Ahead::default();
        let odd = |key: &i32| assert!(key % 2 == 0, "{key} is odd");
        pool.install(|| ahead.get(2, Some(3), odd));
        pool.install(|| ());
        let panicked = catch_unwind(AssertUnwindSafe(|| ahead.get(3, None, odd)));
        assert!(panicked.is_err());
    }
}
