//! A small HTTP server of pages that can only be read.
//!
//! A [`Server`] answers GET and HEAD from readers of its own address with what a function makes of
//! the path; `request.rs` and `address.rs` say which requests those are. It uses the standard
//! library's sockets and `httparse`: servers that keep connections open, or believe a request about
//! the length of its body, gave no way to get descriptors back (tiny_http), or bring a runtime
//! along (hyper).

#![forbid(unsafe_code)]

pub mod address;
mod connections;
mod page;
mod request;
mod server;

pub use page::Page;
pub use request::{Refusal, Request};
pub use server::Server;
