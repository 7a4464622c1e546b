//! The page of `da2s watch --http`: a small server, one request after the other.
//!
//! Contract: only GET and HEAD; only for the hosts of `address.rs`; nothing may be kept, and no page of another origin may
//! read an answer. An error of one request ends that request.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use da2s_report::run::Follow;
use tiny_http::{Header, Method, Request, Response, Server};

use super::address::{is_host, is_origin};
use super::pages::{Page, answer};
use crate::exit::Failure;

/// Serves the run in `run_dir` at `address` until Ctrl-C.
///
/// # Errors
/// [`Failure::Listen`] if the address cannot be listened on.
pub fn serve(run_dir: &Path, mut follow: Follow, address: SocketAddr) -> Result<(), Failure> {
    let listen = |reason: String| Failure::Listen { address, reason };
    let server = Arc::new(Server::http(address).map_err(|error| listen(error.to_string()))?);
    // With port 0 the system has chosen one.
    let bound = server
        .server_addr()
        .to_ip()
        .ok_or_else(|| listen("this is no address of the Internet protocol".to_owned()))?;
    let (waiting, ended) = (Arc::clone(&server), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let end = Arc::clone(&ended);
    ctrlc::set_handler(move || {
        end.store(true, std::sync::atomic::Ordering::SeqCst);
        waiting.unblock();
    })
    .map_err(|error| listen(error.to_string()))?;
    if !bound.ip().is_loopback() {
        tell("da2s: everybody who reaches this machine can read the run: the page asks for no password");
    }
    let shown = if bound.ip().is_unspecified() {
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, bound.port()))
    } else {
        bound
    };
    crate::commands::print(&format!("http://{shown}/\n"))?;
    while !ended.load(std::sync::atomic::Ordering::SeqCst) {
        // Without a request it was woken to end, or there was an error of one connection.
        if let Ok(request) = server.recv() {
            let page = page(bound, run_dir, &mut follow, &request);
            // Who has gone away needs no answer.
            let _ = respond(request, page);
        }
    }
    Ok(())
}

/// The page for a request.
fn page(bound: SocketAddr, run_dir: &Path, follow: &mut Follow, request: &Request) -> Page {
    let header = |name: &'static str| {
        let mut of_name = request.headers().iter().filter(|header| header.field.equiv(name));
        let first = of_name.next().map(|header| header.value.as_str());
        // Two of them could be read in two ways.
        if of_name.next().is_some() { Some("") } else { first }
    };
    if !header("Host").is_some_and(|host| is_host(bound, host)) {
        return Page::refusal(403, &format!("This page has another address: http://{bound}/"));
    }
    if header("Origin").is_some_and(|origin| !is_origin(bound, origin)) {
        return Page::refusal(403, "Pages of other sites may not read this one.");
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Page::refusal(405, "This page can only be read.");
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    answer(run_dir, follow, path)
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
