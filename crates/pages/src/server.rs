//! The server: one connection per request, each in a thread of its own, one page created after the
//! other.
//!
//! Contract: only what `request.rs` lets through is answered; no page of another origin may read an
//! answer. A connection is closed after [`PATIENCE`], whatever the other side does or claims, and
//! earlier where `connections.rs` needs its place for a newer one, so that nobody can hold what
//! others need. When descriptors have run out, the server waits for them; if they do not come back,
//! or the system accepts no more connections for another reason, it ends with that reason instead
//! of living on unseen.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connections::{Connection, Connections};
use crate::page::Page;
use crate::request::{MOST_HEAD_BYTES, Request};

/// How long a request may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a connection that the system does not give.
const PAUSE: Duration = Duration::from_millis(100);
/// Failures in a row after which the system is believed: several times as long as a connection may
/// be held.
const MOST_FAILURES: usize = 600;
/// What is still read of a request that was answered, so that the answer is not lost with the
/// connection.
const MOST_REST_BYTES: usize = 1 << 20;
/// How long the other side may take to say that it has the answer.
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
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok(Self { listener, bound })
    }

    /// The address under which readers on this machine reach it.
    pub fn address(&self) -> SocketAddr {
        if self.bound.ip().is_unspecified() {
            SocketAddr::from((Ipv4Addr::LOCALHOST, self.bound.port()))
        } else {
            self.bound
        }
    }

    /// Whether readers on other machines reach it.
    pub fn is_public(&self) -> bool {
        !self.bound.ip().is_loopback()
    }

    /// Answers requests with what `pages` makes of their paths, one at a time, until the system
    /// accepts no more connections; returns its reason.
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
                        // Where there is no thread, the connection is closed, and the next one may
                        // have more luck.
                        let _ = thread::Builder::new()
                            .name("page".to_owned())
                            .spawn_scoped(scope, move || {
                                // A reader who has gone away needs no answer.
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

    /// Answers the request that comes on a connection, and ends it.
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

/// The head of a request; `None` if the other side leaves before it is whole.
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

/// Ends the connection when the other side does. To close it while there is something to read would
/// take the answer back.
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

/// The time until then, an error if there is none.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
