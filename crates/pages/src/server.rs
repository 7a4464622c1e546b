//! The server: one request per connection, one thread per connection, pages created one at a time.
//!
//! Contract: only requests accepted by `request.rs` are answered; no page of another origin can
//! read a response. A connection is closed after [`PATIENCE`], whatever the peer does or claims,
//! and earlier if `connections.rs` needs its slot for a newer one, so no peer can hold resources
//! that others need. If descriptors run out, the server waits for them. If that does not help, or
//! the system accepts no more connections for another reason, the server ends and returns the
//! reason instead of staying alive but unreachable.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connections::{Connection, Connections};
use crate::page::Page;
use crate::request::{MOST_HEAD_BYTES, Request};

/// Time limit for receiving a request and for sending a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait before trying again after the system failed to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Consecutive failures after which the error is considered permanent: several times as long as a
/// connection may be held.
const MOST_FAILURES: usize = 600;
/// Limit on what is still read of an answered request, so that the response is not lost when the
/// connection closes.
const MOST_REST_BYTES: usize = 1 << 20;
/// How long to wait for the peer to confirm the response.
const GOODBYE: Duration = Duration::from_secs(1);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    bound: SocketAddr,
}

impl Server {
    /// Listens at `address`; with port 0 the system chooses one.
    ///
    /// # Errors
    /// The system's error.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok(Self { listener, bound })
    }

    /// The address at which readers on this machine reach the server.
    pub fn address(&self) -> SocketAddr {
        if self.bound.ip().is_unspecified() {
            SocketAddr::from((Ipv4Addr::LOCALHOST, self.bound.port()))
        } else {
            self.bound
        }
    }

    /// Whether readers on other machines can reach the server.
    pub fn is_public(&self) -> bool {
        !self.bound.ip().is_loopback()
    }

    /// Answers requests with the pages that `pages` creates for their paths, one at a time, until
    /// the system accepts no more connections; returns the system's error.
    pub fn serve(&self, pages: impl FnMut(&str) -> Page + Send) -> io::Error {
        let pages = Mutex::new(pages);
        let connections = Connections::default();
        thread::scope(|scope| {
            let mut failures = 0;
            loop {
                match self.listener.accept() {
                    Ok((stream, from)) => {
                        failures = 0;
                        let (pages, connections) = (&pages, &connections);
                        let connection = connections.admit(stream, from.ip());
                        // If no thread can be started, the connection is closed; the next one may
                        // succeed.
                        let _ = thread::Builder::new()
                            .name("page".to_owned())
                            .spawn_scoped(scope, move || {
                                // Errors are ignored: the reader has gone.
                                let _ = self.attend(&connection, pages);
                            });
                    }
                    Err(_) if failures < MOST_FAILURES => {
                        failures += 1;
                        connections.make_room();
                        thread::sleep(PAUSE);
                    }
                    Err(error) => break error,
                }
            }
        })
    }

    /// Answers the request on a connection and closes it.
    fn attend(&self, connection: &Connection<'_>, pages: &Mutex<impl FnMut(&str) -> Page>) -> io::Result<()> {
        let stream = connection.stream();
        let Some(request) = receive(stream, self.bound)? else {
            return Ok(());
        };
        connection.ask();
        let page = match &request.path {
            Ok(path) => {
                let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
                if connection.is_dropped() {
                    return Ok(());
                }
                pages(path)
            }
            Err(refusal) => {
                let (status, sentence) = refusal.answer(self.address());
                Page::refusal(status, &sentence)
            }
        };
        send(stream, &page.to_bytes(request.head_only))?;
        part(stream)
    }
}

/// The head of a request; `None` if the peer disconnects before it is complete.
fn receive(mut stream: &TcpStream, bound: SocketAddr) -> io::Result<Option<Request>> {
    let until = Instant::now() + PATIENCE;
    let mut head = vec![0; MOST_HEAD_BYTES];
    let mut length = 0;
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut head[length..]) {
            Ok(0) => return Ok(None),
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if let Some(request) = Request::parse(&head[..length], bound) {
            return Ok(Some(request));
        }
    }
}

fn send(mut stream: &TcpStream, mut answer: &[u8]) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !answer.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(answer) {
            Ok(count) => answer = &answer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits for the peer to close the connection. Closing it while there is unread data would discard
/// the response.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + GOODBYE;
    let (mut rest, mut read_bytes) = ([0; 4096], 0);
    while read_bytes < MOST_REST_BYTES {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut rest)? {
            0 => break,
            count => read_bytes += count,
        }
    }
    Ok(())
}

/// The time left until `until`; an error if it has passed.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
