//! The connections that are open, and which of them makes room for a new one.
//!
//! Contract: a new connection always gets a place. Where its address has [`MOST_OF_AN_ADDRESS`], or
//! all have [`MOST`], the oldest that has not sent a whole request is dropped, and if all have, the
//! oldest; but none before it has been there for [`GRACE`], for which the new one waits. So a
//! reader, who asks at once, is answered, however fast others open connections for their own sake.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections at a time.
const MOST: usize = 64;
/// Of one address. A browser opens six at most.
const MOST_OF_AN_ADDRESS: usize = 32;
/// What a connection has to send its request in.
const GRACE: Duration = Duration::from_millis(200);

/// The open connections, the oldest first.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Vec<Arc<State>>>,
    /// Told when one leaves.
    left: Condvar,
}

#[derive(Debug)]
struct State {
    stream: TcpStream,
    from: IpAddr,
    since: Instant,
    /// Whether its request is there as a whole.
    asked: AtomicBool,
    dropped: AtomicBool,
}

/// A connection, which leaves its place when this goes.
#[derive(Debug)]
pub struct Connection<'a> {
    all: &'a Connections,
    state: Arc<State>,
}

impl Connections {
    /// Takes a connection from the address `from` in.
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

    /// Drops the oldest that has not sent a whole request, where there is nothing left to take a
    /// new one with.
    pub fn make_room(&self) {
        let mut open = self.open();
        let idle = open
            .iter()
            .position(|state| !state.asked.load(Ordering::SeqCst) && state.since.elapsed() >= GRACE);
        if let Some(at) = idle {
            open.remove(at).end();
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<State>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends it for both sides.
    fn end(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        // One that the other side has closed meanwhile is closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The connection that has to go before another from the address `from` has a place, if one has.
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

/// The place of the oldest of those that are `so`, if one can be had that has not sent its request.
fn oldest(open: &[Arc<State>], so: impl Fn(&Arc<State>) -> bool) -> Option<usize> {
    let silent = |state: &Arc<State>| so(state) && !state.asked.load(Ordering::SeqCst);
    open.iter().position(silent).or_else(|| open.iter().position(&so))
}

impl Connection<'_> {
    /// The stream.
    pub fn stream(&self) -> &TcpStream {
        &self.state.stream
    }

    /// Its request is there.
    pub fn ask(&self) {
        self.state.asked.store(true, Ordering::SeqCst);
    }

    /// Whether it made room for another.
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
    fn the_oldest_that_has_not_asked_makes_room() {
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
        // Where all have asked, the oldest goes.
        for connection in own.iter().chain([&newest]) {
            connection.ask();
        }
        let _last = admit(1);
        assert!(dropped(&own)[0] && !newest.is_dropped());
        drop((own, newest));
        assert_eq!(connections.open().len(), 2);
        // All places together.
        let rest: Vec<Connection<'_>> = (0..MOST).map(|at| admit(10 + at as u8)).collect();
        assert!(other.is_dropped() && !rest[MOST - 1].is_dropped());
    }
}
