//! The server: one request per connection, one thread per connection.
//!
//! Contract: only requests accepted by `request.rs` are answered; no page of another origin can
//! read a response. Whatever the peer does or claims, it has [`PATIENCE`] to send a head, the time
//! of `bodies.rs` for a body, [`PATIENCE`] to receive the response, and the same to close the
//! connection; how long the page takes is up to the function that creates it. A connection is
//! closed earlier if `connections.rs` needs its slot for a newer one, and memory is limited per
//! address, so no peer can hold resources that others need. If descriptors run out, the server
//! waits for them. If that does not help, or the system accepts no more connections for another
//! reason, the server ends and returns the reason instead of staying alive but unreachable. A
//! server that is stopped answers the requests that have arrived completely, and drops the others.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bodies::{self, Bodies};
use crate::connections::{Connection, Connections, Progress};
use crate::page::Page;
use crate::request::{MOST_HEAD_BYTES, Request, Uploads};

/// Time limit for receiving the head of a request, for sending a response, and for the peer to
/// close the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait before trying again after the system failed to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Consecutive failures after which the error is considered permanent: several times as long as a
/// connection may be held.
const MOST_FAILURES: usize = 600;
/// How long a peer that has been answered may be silent before the connection closes.
const GOODBYE: Duration = Duration::from_secs(1);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    bound: SocketAddr,
    uploads: Option<Uploads>,
    stopped: Arc<AtomicBool>,
    bodies: Bodies,
}

/// Stops a [`Server`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// A request that is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its path, without its query.
    pub path: &'a str,
    /// Content type and bytes of a posted body; `None` for GET and HEAD.
    pub body: Option<(&'a str, &'a [u8])>,
    connection: &'a Connection<'a>,
}

impl Asked<'_> {
    /// Whether the connection was closed to make room for another one.
    pub fn is_dropped(&self) -> bool {
        self.connection.is_dropped()
    }

    /// Whether the connection is open in both directions. A peer that has closed its side may have
    /// gone, or may still wait for the answer: nothing distinguishes the two.
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }
}

impl Server {
    /// Listens at `address`; with port 0 the system chooses one. Bodies are accepted as `uploads`
    /// says.
    ///
    /// # Errors
    /// The system's error.
    pub fn bind(address: SocketAddr, uploads: Option<Uploads>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok(Self {
            listener,
            bound,
            uploads,
            stopped: Arc::default(),
            bodies: Bodies::default(),
        })
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

    /// What stops this server.
    pub fn stopper(&self) -> Stopper {
        Stopper {
            address: self.address(),
            stopped: Arc::clone(&self.stopped),
        }
    }

    /// Answers requests with the pages that `pages` creates for them, until it is stopped. `pages`
    /// is called by several threads at once.
    ///
    /// # Errors
    /// The system's error if it accepts no more connections.
    pub fn serve(&self, pages: impl Fn(Asked<'_>) -> Page + Sync) -> io::Result<()> {
        let connections = Connections::default();
        thread::scope(|scope| {
            let mut failures = 0;
            loop {
                let accepted = self.listener.accept();
                if self.stopped.load(Ordering::SeqCst) {
                    connections.end_silent();
                    break Ok(());
                }
                match accepted {
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
                    Err(error) => break Err(error),
                }
            }
        })
    }

    /// Answers the request on a connection and closes it.
    fn attend(&self, connection: &Connection<'_>, pages: &(impl Fn(Asked<'_>) -> Page + Sync)) -> io::Result<()> {
        let stream = connection.stream();
        let Some((request, arrived)) = self.receive(stream)? else {
            return Ok(());
        };
        let mut share = self.bodies.share(connection.from());
        let answer = |path: &str, body| {
            connection.advance(Progress::Asked);
            pages(Asked { path, body, connection })
        };
        let page = match (&request.path, &request.body) {
            (Err(refusal), _) => refusal.page(self.bound),
            (Ok(path), None) => answer(path, None),
            (Ok(path), Some(body)) => {
                connection.advance(Progress::Sending);
                match bodies::receive(connection, body, &arrived, &mut share)? {
                    Some(bytes) => answer(path, Some((&*body.content_type, &*bytes))),
                    None => Page::refusal(503, "Too many bodies are being received; try again."),
                }
            }
        };
        drop(share);
        connection.advance(Progress::Asked);
        send(stream, &page.to_bytes(request.head_only))?;
        connection.advance(Progress::Answered);
        self.part(stream)
    }

    /// The head of a request, and all bytes that have arrived; `None` if the peer disconnects
    /// before the head is complete.
    fn receive(&self, mut stream: &TcpStream) -> io::Result<Option<(Request, Vec<u8>)>> {
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
            if let Some(request) = Request::parse(&head[..length], self.bound, self.uploads) {
                head.truncate(length);
                return Ok(Some((request, head)));
            }
        }
    }

    /// Waits for the peer to close the connection. Closing it while there is unread data, such as
    /// the rest of a body that is too long, would discard the response.
    fn part(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.shutdown(Shutdown::Write)?;
        let until = Instant::now() + PATIENCE;
        let mut rest = [0; 4096];
        while !self.stopped.load(Ordering::SeqCst) {
            stream.set_read_timeout(Some(left(until)?.min(GOODBYE)))?;
            if stream.read(&mut rest)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Stopper {
    /// Stops the server after the requests that have arrived; returns whether it was stopped
    /// before.
    pub fn stop(&self) -> bool {
        let before = self.stopped.swap(true, Ordering::SeqCst);
        // The server waits for a connection, and this one wakes it. If it fails, the next reader's
        // connection does.
        let _ = TcpStream::connect(self.address);
        before
    }
}

/// Sends all of it within [`PATIENCE`].
pub(crate) fn send(mut stream: &TcpStream, mut answer: &[u8]) -> io::Result<()> {
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

/// The time left until `until`; an error if it has passed.
pub(crate) fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
