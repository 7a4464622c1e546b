//! The open connections, and which of them is closed to make room for a new one.
//!
//! Contract: a new connection is always admitted. If its address already has
//! [`MOST_OF_AN_ADDRESS`], or there are [`MOST`] in total, the oldest one that has not sent a
//! complete request is dropped; if all have, the oldest. No connection is dropped before it is
//! [`GRACE`] old; the new one waits for that. So a reader, who sends a request at once, is answered
//! however fast others open connections.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Limit on open connections.
const MOST: usize = 64;
/// Limit per address. A browser opens six at most.
const MOST_OF_AN_ADDRESS: usize = 32;
/// Time in which a connection can send its request undisturbed.
const GRACE: Duration = Duration::from_millis(200);

/// The open connections, the oldest first.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Vec<Arc<State>>>,
    /// Notified when a connection closes.
    left: Condvar,
}

#[derive(Debug)]
struct State {
    stream: TcpStream,
    from: IpAddr,
    since: Instant,
    /// Whether its request has arrived completely.
    asked: AtomicBool,
    dropped: AtomicBool,
}

/// A connection; it frees its slot when dropped.
#[derive(Debug)]
pub struct Connection<'a> {
    all: &'a Connections,
    state: Arc<State>,
}

impl Connections {
    /// Admits a connection from the address `from`.
    pub fn admit(&self, stream: TcpStream, from: IpAddr) -> Connection<'_> {
        let state = Arc::new(State {
            stream,
            from,
            since: Instant::now(),
            asked: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        });
        let mut open = self.open();
        while let Some(at) = in_the_way(&open, from) {
            let left = GRACE.saturating_sub(open[at].since.elapsed());
            if left.is_zero() {
                open.remove(at).end();
            } else {
                let waited = self.left.wait_timeout(open, left);
                (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
        open.push(Arc::clone(&state));
        Connection { all: self, state }
    }

    /// Drops the oldest connection without a complete request. Used when the system has no
    /// resources left to accept another one.
    pub fn make_room(&self) {
        let mut open = self.open();
        let idle = open
            .iter()
            .position(|state| !state.asked.load(Ordering::SeqCst) && state.since.elapsed() >= GRACE);
        if let Some(at) = idle {
            open.remove(at).end();
        }
    }

    /// Drops all connections without a complete request.
    pub fn end_silent(&self) {
        let silent = |state: &Arc<State>| !state.asked.load(Ordering::SeqCst);
        for state in self.open().iter().filter(|state| silent(state)) {
            state.end();
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<State>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the connection in both directions.
    fn end(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        // It may already have been closed by the peer.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The connection that has to close before another one from `from` can be admitted, if any.
fn in_the_way(open: &[Arc<State>], from: IpAddr) -> Option<usize> {
    let of_address = |state: &Arc<State>| state.from == from;
    if open.iter().filter(|&state| of_address(state)).count() >= MOST_OF_AN_ADDRESS {
        oldest(open, of_address)
    } else if open.len() >= MOST {
        oldest(open, |_| true)
    } else {
        None
    }
}

/// Index of the oldest connection for which `so` holds, preferably one without a complete request.
fn oldest(open: &[Arc<State>], so: impl Fn(&Arc<State>) -> bool) -> Option<usize> {
    let silent = |state: &Arc<State>| so(state) && !state.asked.load(Ordering::SeqCst);
    open.iter().position(silent).or_else(|| open.iter().position(&so))
}

impl Connection<'_> {
    /// The stream.
    pub fn stream(&self) -> &TcpStream {
        &self.state.stream
    }

    /// Marks the request as complete.
    pub fn ask(&self) {
        self.state.asked.store(true, Ordering::SeqCst);
    }

    /// Whether it was closed to make room for another.
    pub fn is_dropped(&self) -> bool {
        self.state.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.all.open().retain(|state| !Arc::ptr_eq(state, &self.state));
        self.all.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn the_oldest_without_a_request_makes_room() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connections = Connections::default();
        let admit = |from: u8| {
            let _other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            connections.admit(listener.accept().unwrap().0, IpAddr::V4(Ipv4Addr::new(10, 0, 0, from)))
        };
        let own: Vec<Connection<'_>> = (0..MOST_OF_AN_ADDRESS).map(|_| admit(1)).collect();
        own[0].ask();
        let other = admit(2);
        assert!(own.iter().all(|connection| !connection.is_dropped()));
        let newest = admit(1);
        let dropped = |all: &[Connection<'_>]| all.iter().map(Connection::is_dropped).collect::<Vec<_>>();
        assert!(dropped(&own)[1] && dropped(&own).iter().filter(|&&dropped| dropped).count() == 1);
        assert!(!other.is_dropped() && !newest.is_dropped());
        // If all have sent requests, the oldest is dropped.
        for connection in own.iter().chain([&newest]) {
            connection.ask();
        }
        let _last = admit(1);
        assert!(dropped(&own)[0] && !newest.is_dropped());
        drop((own, newest));
        assert_eq!(connections.open().len(), 2);
        // The limit over all addresses.
        let rest: Vec<Connection<'_>> = (0..MOST).map(|at| admit(10 + at as u8)).collect();
        assert!(other.is_dropped() && !rest[MOST - 1].is_dropped());
    }
}
