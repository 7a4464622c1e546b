//! Posted bodies: received within limits on memory and time.
//!
//! Contract: a body takes memory as it arrives, in steps of [`STEP_BYTES`]. All together take at
//! most [`MOST_BYTES`], and those of an address [`MOST_OF_AN_ADDRESS`], so that no peer can take
//! the share of others. A body arrives within [`PATIENCE`], at least [`LEAST_BYTES`] of it every
//! [`LULL`].

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connections::{Connection, Progress};
use crate::request::Body;
use crate::server::{left, send};

/// Limit on the bytes of all bodies that are being received or answered.
const MOST_BYTES: usize = 256 << 20;
/// The same for those of an address.
const MOST_OF_AN_ADDRESS: usize = 64 << 20;
/// Number of bytes that are allocated at a time.
const STEP_BYTES: usize = 1 << 20;
/// Time limit for receiving a body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time in which some of it has to arrive.
const LULL: Duration = Duration::from_secs(5);
/// Minimum number of bytes in that time, unless the body is complete.
const LEAST_BYTES: usize = 64 << 10;

/// The memory of all bodies: bytes by address.
#[derive(Debug, Default)]
pub struct Bodies(Mutex<HashMap<IpAddr, usize>>);

impl Bodies {
    /// A share of the memory for a body from this address; it has no bytes yet.
    pub fn share(&self, from: IpAddr) -> Share<'_> {
        Share {
            all: self,
            from,
            own: 0,
        }
    }
}

/// The memory of a body; returned when dropped.
#[derive(Debug)]
pub struct Share<'a> {
    all: &'a Bodies,
    from: IpAddr,
    own: usize,
}

impl Share<'_> {
    /// Reserves more bytes, if the limits allow it; returns whether they do.
    fn take(&mut self, bytes: usize) -> bool {
        let mut held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = held.values().sum();
        let of_address = held.get(&self.from).copied().unwrap_or(0);
        let is_there = all + bytes <= MOST_BYTES && of_address + bytes <= MOST_OF_AN_ADDRESS;
        if is_there {
            held.insert(self.from, of_address + bytes);
            self.own += bytes;
        }
        is_there
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = held.get(&self.from).map_or(0, |bytes| bytes - self.own);
        if rest == 0 {
            held.remove(&self.from);
        } else {
            held.insert(self.from, rest);
        }
    }
}

/// The body of a request; `arrived` is what has arrived with its head. `None` if there is no memory
/// for the body. Bytes beyond the announced length are ignored.
///
/// # Errors
/// If the peer does not send it in time.
pub fn receive(
    connection: &Connection<'_>,
    body: &Body,
    arrived: &[u8],
    share: &mut Share<'_>,
) -> io::Result<Option<Vec<u8>>> {
    let mut stream = connection.stream();
    if body.is_held_back {
        send(stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let until = Instant::now() + PATIENCE;
    let mut first = &arrived[body.start..];
    let mut bytes = Vec::new();
    let mut due = (Instant::now() + LULL, LEAST_BYTES);
    while bytes.len() < body.length {
        let capacity = (bytes.len() + STEP_BYTES).min(body.length);
        if !share.take(capacity - bytes.len()) {
            return Ok(None);
        }
        bytes.reserve_exact(capacity - bytes.len());
        let mut length = bytes.len();
        bytes.resize(capacity, 0);
        while length < capacity {
            let read = if first.is_empty() {
                stream.set_read_timeout(Some(left(until.min(due.0))?))?;
                stream.read(&mut bytes[length..])
            } else {
                first.read(&mut bytes[length..])
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            connection.advance(Progress::Sending);
            if length >= due.1 {
                due = (Instant::now() + LULL, length + LEAST_BYTES);
            }
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_cannot_take_the_share_of_another() {
        let bodies = Bodies::default();
        let from = |last: u8| IpAddr::from([127, 0, 0, last]);
        let mut first = bodies.share(from(2));
        let mut second = bodies.share(from(2));
        assert!(first.take(MOST_OF_AN_ADDRESS / 2) && second.take(MOST_OF_AN_ADDRESS / 2));
        assert!(!first.take(1), "its address has used its share");
        let mut other = bodies.share(from(1));
        assert!(other.take(MOST_OF_AN_ADDRESS));
        drop(second);
        assert!(first.take(MOST_OF_AN_ADDRESS / 2));
        // All addresses together.
        let mut more: Vec<Share<'_>> = (3..10).map(|last| bodies.share(from(last))).collect();
        let taken = more
            .iter_mut()
            .filter_map(|share| share.take(MOST_OF_AN_ADDRESS).then_some(()));
        assert_eq!(taken.count(), MOST_BYTES / MOST_OF_AN_ADDRESS - 2);
        drop((first, other, more));
        assert!(bodies.0.lock().unwrap().is_empty());
    }
}
