//! A small HTTP server for pages, and for bodies that are posted to one path.
//!
//! A [`Server`] answers GET and HEAD requests from readers at its own address; a function creates
//! the page for each path. If it accepts [`Uploads`], it also reads the bodies that are posted to
//! their path. `request.rs` and `address.rs` define which requests are accepted. The server uses
//! the standard library's sockets and `httparse`. Existing servers were not suitable: tiny_http
//! keeps connections open, trusts the announced length of a body and offers no way to reclaim
//! descriptors; hyper needs an async runtime.

#![forbid(unsafe_code)]

pub mod address;
mod bodies;
mod connections;
mod multipart;
mod page;
mod request;
mod server;

pub use multipart::Posted;
pub use page::Page;
pub use request::{Body, Refusal, Request, Uploads};
pub use server::{Asked, Server, Stopper};
