//! The server of `da2s watch --http` and of `da2s serve`: how it starts, and the messages if it
//! fails.

use std::error::Error;
use std::net::SocketAddr;

use da2s_pages::{Server, Uploads};

use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal::{self, tell};

/// A server at `address`.
///
/// # Errors
/// If the address is unavailable.
pub fn bind(address: SocketAddr, uploads: Option<Uploads>) -> Result<Server, Failure> {
    Server::bind(address, uploads).map_err(|error| {
        let advice = "choose another port, or 0 for any free one";
        Failure::usage(format!("cannot serve at {address}: {error}; {advice}"))
    })
}

/// Prints the address of `server`. If other machines can reach it, prints a warning first: `can`
/// says what their users can do.
///
/// # Errors
/// If standard output cannot be written to.
pub fn announce(server: &Server, can: &str) -> Result<(), Failure> {
    if server.is_public() {
        tell(&format!(
            "da2s: anyone who can reach this machine, at its IP address, {can}: the page asks for no password"
        ));
    }
    terminal::print(&format!("http://{}/\n", server.address()))
}

/// The failure of `server` after it has been bound.
pub fn ended(server: &Server, error: &dyn Error) -> Failure {
    let reason = format!("the server at {} ended: {error}", server.address());
    Failure::new(Code::Files, reason)
}
