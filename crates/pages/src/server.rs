//! The server: one request per connection, one thread per connection, pages created one at a time.
//!
//! Contract: only requests accepted by `request.rs` are answered; no page of another origin can
//! read a response. A connection is closed after [`PATIENCE`], whatever the peer does or claims,
//! and earlier if `connections.rs` needs its slot for a newer one, so no peer can hold resources
//! that others need. If descriptors run out, the server waits for them. If that does not help, or
//! the system accepts no more connections for another reason, the server ends and returns the
//! reason instead of staying alive but unreachable. Posted bodies are in memory as far as they have
//! arrived, all together at most [`MOST_BODIES_BYTES`]. A server that is stopped answers the
//! requests that have arrived completely, and drops the others.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connections::{Connection, Connections};
use crate::page::Page;
use crate::request::{Body, MOST_HEAD_BYTES, Request, Uploads};

/// Time limit for receiving a request and for sending a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time limit for receiving a posted body.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Limit on the bytes of all bodies that are being received or answered.
const MOST_BODIES_BYTES: usize = 256 << 20;
/// Bytes of a body that are received at a time.
const PIECE_BYTES: usize = 64 << 10;
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
    uploads: Option<Uploads>,
    stopped: Arc<AtomicBool>,
    /// Bytes of all bodies in memory.
    bodies: AtomicUsize,
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
            bodies: AtomicUsize::new(0),
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

    /// Answers requests with the pages that `pages` creates for them, one at a time, until it is
    /// stopped.
    ///
    /// # Errors
    /// The system's error if it accepts no more connections.
    pub fn serve(&self, pages: impl FnMut(Asked<'_>) -> Page + Send) -> io::Result<()> {
        let pages = Mutex::new(pages);
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
    fn attend(&self, connection: &Connection<'_>, pages: &Mutex<impl FnMut(Asked<'_>) -> Page>) -> io::Result<()> {
        let stream = connection.stream();
        let Some((request, arrived)) = self.receive(stream)? else {
            return Ok(());
        };
        let mut held = Held::new(&self.bodies);
        let page = match (&request.path, &request.body) {
            (Err(refusal), _) => {
                let (status, sentence) = refusal.answer(self.address());
                Page::refusal(status, &sentence)
            }
            (Ok(path), None) => {
                connection.ask();
                answer(connection, pages, Asked { path, body: None })?
            }
            (Ok(path), Some(body)) => match receive_body(stream, body, &arrived, &mut held)? {
                Some(bytes) => {
                    connection.ask();
                    let body = Some((&*body.content_type, &*bytes));
                    answer(connection, pages, Asked { path, body })?
                }
                None => Page::refusal(503, "Too many bodies are being received; try again."),
            },
        };
        connection.ask();
        send(stream, &page.to_bytes(request.head_only, self.uploads.is_some()))?;
        part(stream)
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
}

impl Stopper {
    /// Stops the server after the requests that have arrived; returns whether it was stopped
    /// before.
    pub fn stop(&self) -> bool {
        let before = self.stopped.swap(true, Ordering::SeqCst);
        // It waits for a connection. If this one fails, the next reader's wakes it.
        let _ = TcpStream::connect(self.address);
        before
    }
}

/// The page for a request; an error if its connection had to make room for another.
fn answer(
    connection: &Connection<'_>,
    pages: &Mutex<impl FnMut(Asked<'_>) -> Page>,
    asked: Asked<'_>,
) -> io::Result<Page> {
    let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
    if connection.is_dropped() {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(pages(asked))
}

/// The share of a connection in the bytes of all bodies; returned when dropped.
struct Held<'a> {
    all: &'a AtomicUsize,
    own: usize,
}

impl<'a> Held<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        Self { all, own: 0 }
    }

    /// Takes more bytes, if there are so many.
    fn take(&mut self, bytes: usize) -> bool {
        self.own += bytes;
        self.all.fetch_add(bytes, Ordering::SeqCst) + bytes <= MOST_BODIES_BYTES
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::SeqCst);
    }
}

/// The body of a request of which `arrived` has arrived, with its head; `None` if there is no
/// memory for it.
///
/// # Errors
/// If the peer does not send it in time.
fn receive_body(
    mut stream: &TcpStream,
    body: &Body,
    arrived: &[u8],
    held: &mut Held<'_>,
) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + BODY_PATIENCE;
    if body.is_held_back {
        send(stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let first = &arrived[body.start..];
    // What is not announced is not read.
    let mut bytes = first[..first.len().min(body.length)].to_vec();
    if !held.take(bytes.len()) {
        return Ok(None);
    }
    let mut piece = vec![0; PIECE_BYTES];
    while bytes.len() < body.length {
        stream.set_read_timeout(Some(left(until)?))?;
        let most = PIECE_BYTES.min(body.length - bytes.len());
        match stream.read(&mut piece[..most]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) if !held.take(count) => return Ok(None),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
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
