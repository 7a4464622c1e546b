//! The page of `da2s watch --http`: a small server, a connection a request and a thread, one page made after the other.
//!
//! Contract: only what `request.rs` lets through; nothing may be kept, and no page of another origin may read an answer. A connection
//! is given back after [`PATIENCE`] whatever the other side does or claims, so that nobody can hold what others need: descriptors that
//! have run out are waited for, and if they do not come back, or the system accepts no more for another reason, the program
//! ends with that reason instead of living on unseen.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use da2s_report::run::Follow;

use super::pages::{Page, Source};
use super::request::{MOST_HEAD_BYTES, Request};
use crate::exit::{Code, Failure};

/// Connections at a time. A browser opens six at most.
const MOST_CONNECTIONS: usize = 64;
/// How long a request may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a connection that the system does not give.
const PAUSE: Duration = Duration::from_millis(100);
/// Failures in a row after which the system is believed: several times as long as a connection may be held.
const MOST_FAILURES: usize = 600;
/// What is still read of a request that was answered, so that the answer is not lost with the connection.
const MOST_REST_BYTES: usize = 1 << 20;
/// How long the other side may take to say that it has the answer.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves the run in `run_dir` at `address` until Ctrl-C.
///
/// # Errors
/// [`Failure::Listen`] if the address cannot be listened on, or no longer.
pub fn serve(run_dir: &Path, follow: Follow, address: SocketAddr) -> Result<(), Failure> {
    let listen = |reason: String| Failure::Listen { address, reason };
    let listener = TcpListener::bind(address).map_err(|error| listen(error.to_string()))?;
    // With port 0 the system has chosen one.
    let bound = listener.local_addr().map_err(|error| listen(error.to_string()))?;
    // It only reads, so there is nothing to save, and no thread to wait for.
    ctrlc::set_handler(|| std::process::exit(Code::Done.number())).map_err(|error| listen(error.to_string()))?;
    if !bound.ip().is_loopback() {
        tell("da2s: everybody who reaches this machine can read the run: the page asks for no password");
    }
    let shown = if bound.ip().is_unspecified() {
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, bound.port()))
    } else {
        bound
    };
    crate::commands::print(&format!("http://{shown}/\n"))?;
    let server = Server {
        bound,
        shown,
        source: Mutex::new(Source::new(run_dir, follow)),
    };
    let open = Arc::new(());
    let failed = thread::scope(|scope| {
        let mut failures = 0;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    failures = 0;
                    let held = Arc::clone(&open);
                    if Arc::strong_count(&open) > MOST_CONNECTIONS + 1 {
                        continue;
                    }
                    let server = &server;
                    // Where there is no thread, the connection is closed, and the next one may have more luck.
                    let _ = thread::Builder::new()
                        .name("page".to_owned())
                        .spawn_scoped(scope, move || {
                            let _held = held;
                            // Who has gone away needs no answer.
                            let _ = server.attend(&stream);
                        });
                }
                Err(_) if failures < MOST_FAILURES => {
                    failures += 1;
                    thread::sleep(PAUSE);
                }
                Err(error) => break error,
            }
        }
    });
    Err(listen(failed.to_string()))
}

/// What all connections share.
struct Server<'a> {
    bound: SocketAddr,
    /// The address as readers know it.
    shown: SocketAddr,
    source: Mutex<Source<'a>>,
}

impl Server<'_> {
    /// Answers the request that comes on `stream`, and ends the connection.
    fn attend(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(request) = receive(stream, self.bound)? else {
            return Ok(());
        };
        let page = match &request.path {
            Ok(path) => self.source.lock().unwrap_or_else(PoisonError::into_inner).answer(path),
            Err(refusal) => {
                let (status, sentence) = refusal.answer(self.shown);
                Page::refusal(status, &sentence)
            }
        };
        send(stream, &answer(&page, request.head_only))?;
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

/// Ends the connection when the other side does. To close it while there is something to read would take the answer back.
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

/// The bytes of an answer.
fn answer(page: &Page, head_only: bool) -> Vec<u8> {
    let reason = match page.status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    };
    let allow = if page.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let mut answer = format!(
        "HTTP/1.1 {status} {reason}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\
         Content-Security-Policy: {policy}\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\n\
         Cache-Control: no-store\r\n\
         {allow}Connection: close\r\n\r\n",
        status = page.status,
        content_type = page.content_type,
        length = page.body.len(),
        policy = page.policy,
    )
    .into_bytes();
    if !head_only {
        answer.extend_from_slice(&page.body);
    }
    answer
}

fn tell(sentence: &str) {
    // Where the standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{sentence}");
}
