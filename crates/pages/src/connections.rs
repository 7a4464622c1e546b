//! The open connections, and which of them is closed to make room for a new one.
//!
//! Contract: a new connection is always admitted. If its address already has
//! [`MOST_OF_AN_ADDRESS`], or there are [`MOST`] in total, the least advanced one is dropped: one
//! without a complete head before one that has been answered, before one whose body is arriving,
//! before one that waits for its answer; and of equal ones the one that has been idle longest. No
//! connection is dropped before it is [`GRACE`] old; the new one waits for that. So a reader, who
//! sends a request at once, is answered however fast others open connections, and a body that
//! keeps arriving is not dropped for connections that send nothing.

use std::io::ErrorKind;
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

/// The open connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Vec<Arc<State>>>,
    /// Notified when a connection closes.
    left: Condvar,
}

/// How far a connection has come; connections that are least advanced are dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// The head of its request is incomplete.
    Silent,
    /// It has been answered.
    Answered,
    /// The body of its request is incomplete.
    Sending,
    /// Its request has arrived completely.
    Asked,
}

#[derive(Debug)]
struct State {
    stream: TcpStream,
    from: IpAddr,
    since: Instant,
    /// How far it has come, and when it last came further.
    progress: Mutex<(Progress, Instant)>,
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
        let now = Instant::now();
        let state = Arc::new(State {
            stream,
            from,
            since: now,
            progress: Mutex::new((Progress::Silent, now)),
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

    /// Drops the least advanced connection, unless all have sent complete requests. Used when the
    /// system has no resources left to accept another one.
    pub fn make_room(&self) {
        let mut open = self.open();
        let is_idle = |state: &State| !state.has_asked() && state.since.elapsed() >= GRACE;
        if let Some(at) = least(&open, is_idle) {
            open.remove(at).end();
        }
    }

    /// Drops all connections without a complete request.
    pub fn end_silent(&self) {
        let is_silent = |state: &State| matches!(state.progress().0, Progress::Silent | Progress::Sending);
        for state in self.open().iter().filter(|state| is_silent(state)) {
            state.end();
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<State>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn progress(&self) -> (Progress, Instant) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_asked(&self) -> bool {
        self.progress().0 == Progress::Asked
    }

    /// Closes the connection in both directions.
    fn end(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        // It may already have been closed by the peer.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The connection that has to close before another one from `from` can be admitted, if any.
fn in_the_way(open: &[Arc<State>], from: IpAddr) -> Option<usize> {
    let of_address = |state: &State| state.from == from;
    if open.iter().filter(|state| of_address(state)).count() >= MOST_OF_AN_ADDRESS {
        least(open, of_address)
    } else if open.len() >= MOST {
        least(open, |_| true)
    } else {
        None
    }
}

/// Index of the least advanced connection for which `so` holds.
fn least(open: &[Arc<State>], so: impl Fn(&State) -> bool) -> Option<usize> {
    let found = open.iter().enumerate().filter(|(_, state)| so(state));
    found.min_by_key(|(_, state)| state.progress()).map(|(at, _)| at)
}

impl Connection<'_> {
    /// The stream.
    pub fn stream(&self) -> &TcpStream {
        &self.state.stream
    }

    /// The address of the peer.
    pub fn from(&self) -> IpAddr {
        self.state.from
    }

    /// Records that the connection has reached this progress, or that its body keeps arriving.
    pub fn advance(&self, progress: Progress) {
        let mut own = self.state.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *own = (progress, Instant::now());
    }

    /// Whether the connection was closed to make room for another one.
    pub fn is_dropped(&self) -> bool {
        self.state.dropped.load(Ordering::SeqCst)
    }

    /// Whether the connection is open in both directions: the peer has not closed its side, and the
    /// connection was not closed to make room for another one.
    pub fn is_open(&self) -> bool {
        let stream = self.stream();
        if self.is_dropped() || stream.set_nonblocking(true).is_err() {
            return false;
        }
        let is_there = match stream.peek(&mut [0]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        stream.set_nonblocking(false).is_ok() && is_there
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

    /// Admits connections from 10.0.0.N, whose peers have gone.
    fn admit<'a>(listener: &TcpListener, connections: &'a Connections, from: u8) -> Connection<'a> {
        let _other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        connections.admit(listener.accept().unwrap().0, IpAddr::V4(Ipv4Addr::new(10, 0, 0, from)))
    }

    fn dropped(all: &[Connection<'_>]) -> Vec<usize> {
        (0..all.len()).filter(|&at| all[at].is_dropped()).collect()
    }

    #[test]
    fn the_oldest_without_a_request_makes_room() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connections = Connections::default();
        let admit = |from| admit(&listener, &connections, from);
        let own: Vec<Connection<'_>> = (0..MOST_OF_AN_ADDRESS).map(|_| admit(1)).collect();
        own[0].advance(Progress::Asked);
        let other = admit(2);
        assert_eq!(dropped(&own), [0usize; 0]);
        let newest = admit(1);
        assert_eq!(dropped(&own), [1]);
        assert!(!other.is_dropped() && !newest.is_dropped());
        // If all have sent requests, the oldest is dropped.
        for connection in own.iter().chain([&newest]) {
            connection.advance(Progress::Asked);
        }
        let _last = admit(1);
        assert!(own[0].is_dropped() && !newest.is_dropped());
        drop((own, newest));
        assert_eq!(connections.open().len(), 2);
        // The limit over all addresses.
        let rest: Vec<Connection<'_>> = (0..MOST).map(|at| admit(10 + at as u8)).collect();
        assert!(other.is_dropped() && !rest[MOST - 1].is_dropped());
    }

    #[test]
    fn a_body_that_arrives_outlasts_those_that_do_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connections = Connections::default();
        let admit = |from| admit(&listener, &connections, from);
        let mut own: Vec<Connection<'_>> = (0..MOST_OF_AN_ADDRESS).map(|_| admit(1)).collect();
        own[0].advance(Progress::Sending);
        own.extend((0..MOST_OF_AN_ADDRESS).map(|_| admit(1)));
        let silent: Vec<usize> = (1..=MOST_OF_AN_ADDRESS).collect();
        assert_eq!(dropped(&own), silent, "those without a head");
        for connection in &own {
            connection.advance(Progress::Sending);
        }
        own[0].advance(Progress::Sending);
        own.push(admit(1));
        assert_eq!(dropped(&own), (1..=MOST_OF_AN_ADDRESS + 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_peer_that_has_gone_is_noticed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connections = Connections::default();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = connections.admit(listener.accept().unwrap().0, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(connection.is_open());
        drop(peer);
        // On loopback the end arrives at once, but not by contract.
        assert_eq!(connection.stream().peek(&mut [0]).unwrap(), 0);
        assert!(!connection.is_open());
    }
}
