//! The page of `da2s watch --http`: a small server that makes one page after the other.
//!
//! Contract: only GET and HEAD; only for the hosts of `address.rs`; nothing may be kept, and no page of another origin may
//! read an answer. Whatever one request is, it ends or hangs alone: each is answered by a thread of its own.

use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use da2s_report::run::Follow;
use tiny_http::{Header, Method, Request, Response, Server};

use super::address::{is_host, is_origin};
use super::pages::{Page, Source};
use crate::exit::{Code, Failure};

/// Answers under way at a time. A browser asks for six pages at most at once.
const MOST_ANSWERS: usize = 64;
/// Longest body of a request that is answered. Nothing here wants any, and tiny_http takes memory of the length that is
/// claimed.
const MOST_BODY: usize = 1 << 20;

/// Serves the run in `run_dir` at `address` until Ctrl-C.
///
/// # Errors
/// [`Failure::Listen`] if the address cannot be listened on, or no longer.
pub fn serve(run_dir: &Path, follow: Follow, address: SocketAddr) -> Result<(), Failure> {
    let listen = |reason: String| Failure::Listen { address, reason };
    let server = Server::http(address).map_err(|error| listen(error.to_string()))?;
    // With port 0 the system has chosen one.
    let bound = server
        .server_addr()
        .to_ip()
        .ok_or_else(|| listen("this is no address of the Internet protocol".to_owned()))?;
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
    let mut source = Source::new(run_dir, follow);
    let answers = Arc::new(());
    loop {
        // An error comes once: tiny_http accepts no connection behind it.
        let request = server.recv().map_err(|error| listen(error.to_string()))?;
        // When a request is dropped its body is read to the end that it claims, which may take all memory, or for ever.
        let request = ManuallyDrop::new(request);
        let answered = Arc::clone(&answers);
        if Arc::strong_count(&answers) > MOST_ANSWERS + 1 || request.body_length() > Some(MOST_BODY) {
            continue;
        }
        let page = page(bound, shown, &mut source, &request);
        // Who has gone away needs no answer, and where there are no threads this one must not wait.
        let _ = std::thread::Builder::new().name("answer".to_owned()).spawn(move || {
            let _answered = answered;
            let _ = respond(ManuallyDrop::into_inner(request), page);
        });
    }
}

/// The page for a request to the server at `bound`, which its readers know as `shown`.
fn page(bound: SocketAddr, shown: SocketAddr, source: &mut Source<'_>, request: &Request) -> Page {
    let header = |name: &'static str| {
        let mut of_name = request.headers().iter().filter(|header| header.field.equiv(name));
        let first = of_name.next().map(|header| header.value.as_str());
        // Two of them could be read in two ways.
        if of_name.next().is_some() { Some("") } else { first }
    };
    let Some(host) = header("Host").filter(|host| is_host(bound, host)) else {
        return Page::refusal(403, &format!("This page has another address: http://{shown}/"));
    };
    if header("Origin").is_some_and(|origin| !is_origin(host, origin)) {
        return Page::refusal(403, "Pages of other sites may not read this one.");
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Page::refusal(405, "This page can only be read.");
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    source.answer(path)
}

fn respond(request: Request, page: Page) -> io::Result<()> {
    let mut response = Response::from_data(page.body).with_status_code(page.status);
    for (name, value) in [
        ("Content-Type", page.content_type),
        ("Content-Security-Policy", page.policy),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ] {
        // Names and values are constants of plain letters.
        response = match Header::from_bytes(name, value) {
            Ok(header) => response.with_header(header),
            Err(()) => return Err(io::Error::other(format!("no header: {name}"))),
        };
    }
    if page.status == 405 {
        response.add_header(Header::from_bytes("Allow", "GET, HEAD").map_err(|()| io::Error::other("no header"))?);
    }
    request.respond(response)
}

fn tell(sentence: &str) {
    use std::io::Write as _;
    // Where the standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{sentence}");
}
