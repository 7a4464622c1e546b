//! How threads share the operations of one image. They wait actively for each other: most pieces
//! take less time than it takes to wake a thread.
//!
//! Contract: every piece is run once, after all pieces of earlier phases. Nobody waits for a
//! thread that has not taken a piece. In each phase a thread begins with the pieces that have its
//! number, because its cache still contains what it wrote for the pieces with this number in
//! earlier phases.

use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::team::Team;

/// Number of checks after which a waiting thread begins to offer its core to others.
const SPINS: usize = 2000;
/// Minimum number of multiply-adds per piece, unless the operation has only one.
const PER_PIECE: usize = 1 << 15;

/// The operations in their phases.
#[derive(Debug)]
pub(super) struct Phases {
    /// The operations of each phase.
    phases: Vec<Range<usize>>,
    /// The work of each, and into how many pieces it can be divided.
    costs: Vec<(usize, usize)>,
}

/// One of the pieces of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub number: usize,
    pub of: usize,
}

impl Piece {
    /// Its share of `count` rows or blocks.
    pub(super) fn range(self, count: usize) -> Range<usize> {
        self.number * count / self.of..(self.number + 1) * count / self.of
    }
}

impl Phases {
    /// The phase, the work and the most pieces of each operation; phases ascend.
    pub(super) fn new(operations: impl Iterator<Item = (usize, (usize, usize))>) -> Self {
        let (mut phases, mut costs) = (Vec::<Range<usize>>::new(), Vec::new());
        let mut current = None;
        for (at, (phase, cost)) in operations.enumerate() {
            match phases.last_mut() {
                Some(last) if current == Some(phase) => last.end = at + 1,
                _ => phases.push(at..at + 1),
            }
            current = Some(phase);
            costs.push(cost);
        }
        Self { phases, costs }
    }

    fn pieces(&self, operation: usize, threads: usize) -> usize {
        let (work, most) = self.costs[operation];
        threads.min(work / PER_PIECE).min(most).max(1)
    }
}

/// Which pieces have been taken.
#[derive(Debug)]
pub(super) struct Claims {
    threads: usize,
    /// The pieces of all operations: phase by phase, within a phase ordered by their numbers.
    tasks: Vec<(usize, Piece)>,
    phases: Vec<Range<usize>>,
    /// For each task, the number of the last call in which it was taken.
    taken: Vec<AtomicUsize>,
    calls: usize,
}

impl Claims {
    /// The claims of this number of threads.
    pub(super) fn new(phases: &Phases, threads: usize) -> Self {
        let mut claims = Self {
            threads,
            tasks: Vec::new(),
            phases: Vec::new(),
            taken: Vec::new(),
            calls: 0,
        };
        for phase in &phases.phases {
            let first = claims.tasks.len();
            for number in 0..threads {
                for operation in phase.clone() {
                    let of = phases.pieces(operation, threads);
                    if number < of {
                        claims.tasks.push((operation, Piece { number, of }));
                    }
                }
            }
            claims.phases.push(first..claims.tasks.len());
        }
        claims.taken.resize_with(claims.tasks.len(), AtomicUsize::default);
        claims
    }

    /// The number of threads.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The largest number of pieces of an operation, which is the number of threads worth using.
    pub(super) fn useful(&self) -> usize {
        self.tasks.iter().map(|(_, piece)| piece.of).max().unwrap_or(1)
    }

    /// Runs all pieces, with the threads of a team if there is one.
    pub(super) fn run(&mut self, team: Option<&mut Team>, work: impl Fn(usize, Piece) + Sync) {
        self.calls = self.calls.wrapping_add(1);
        let ended = AtomicUsize::new(0);
        let (this, ended, work) = (&*self, &ended, &work);
        let take_part = |thread: usize| {
            this.take_part(thread, ended, work);
        };
        match team {
            Some(team) => team.run(&take_part),
            None => take_part(0),
        }
    }

    fn take_part(&self, thread: usize, ended: &AtomicUsize, work: &(impl Fn(usize, Piece) + Sync)) {
        for phase in &self.phases {
            let tasks = &self.tasks[phase.clone()];
            let own = tasks.partition_point(|(_, piece)| piece.number < thread) % tasks.len().max(1);
            for at in (own..tasks.len()).chain(0..own) {
                let taken = &self.taken[phase.start + at];
                let before = taken.load(Ordering::Relaxed);
                if before == self.calls
                    || taken
                        .compare_exchange(before, self.calls, Ordering::Relaxed, Ordering::Relaxed)
                        .is_err()
                {
                    continue;
                }
                // If the work panics, the other threads must not wait for this piece forever;
                // `Team::run` passes the panic on.
                let _end = End(ended);
                wait(|| ended.load(Ordering::Acquire) >= phase.start);
                let (operation, piece) = tasks[at];
                work(operation, piece);
            }
        }
        if thread == 0 {
            wait(|| ended.load(Ordering::Acquire) == self.tasks.len());
        }
    }
}

/// Counts a piece when it ends.
struct End<'a>(&'a AtomicUsize);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Waits actively.
pub(super) fn wait(is_over: impl Fn() -> bool) {
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

    use super::*;

    const MUCH: usize = 100 * PER_PIECE;

    fn phases(widths: &[usize]) -> Phases {
        let each = widths.iter().enumerate().flat_map(|(phase, &width)| {
            (0..width).map(move |at| (phase, if at % 2 == 0 { (MUCH, 3) } else { (1, 8) }))
        });
        Phases::new(each)
    }

    #[test]
    fn every_piece_is_run_once_and_after_those_of_earlier_phases() {
        for (threads, widths) in [
            (1, &[3, 1, 2][..]),
            (2, &[1; 5]),
            (2, &[8, 1, 5, 2]),
            (4, &[2, 9, 1, 1, 7]),
            (3, &[]),
        ] {
            let mut team = Team::new(threads - 1).unwrap();
            let phases = phases(widths);
            let mut claims = Claims::new(&phases, threads);
            for _ in 0..200 {
                let seen = Mutex::new(Vec::new());
                claims.run(Some(&mut team), |operation, piece| {
                    seen.lock().unwrap().push((operation, piece))
                });
                let mut seen = seen.into_inner().unwrap();
                for phase in &phases.phases {
                    let count: usize = phase.clone().map(|one| phases.pieces(one, threads)).sum();
                    let rest = seen.split_off(count);
                    assert!(seen.iter().all(|(operation, _)| phase.contains(operation)), "{seen:?}");
                    seen.sort_by_key(|&(operation, piece)| (operation, piece.number));
                    seen.dedup();
                    assert_eq!(seen.len(), count);
                    seen = rest;
                }
                assert!(seen.is_empty());
            }
        }
    }

    #[test]
    fn pieces_cover_everything_once() {
        for (of, count) in [(1, 5), (2, 5), (3, 3), (4, 9)] {
            let all = (0..of).flat_map(|number| Piece { number, of }.range(count));
            assert_eq!(all.collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_piece_that_panics_keeps_nobody_waiting() {
        let mut team = Team::new(1).unwrap();
        let phases = phases(&[3, 2, 3]);
        for failing in 0..8 {
            let mut claims = Claims::new(&phases, 2);
            let work = |operation: usize, _: Piece| assert!(operation != failing, "a piece fails");
            let ended = catch_unwind(AssertUnwindSafe(|| claims.run(Some(&mut team), work)));
            assert!(ended.is_err());
        }
    }
}
