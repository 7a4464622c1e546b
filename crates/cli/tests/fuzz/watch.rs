//! What `da2s watch --http` reads requests with: the command is a program, on which nothing can depend.

#![allow(
    dead_code,
    unused_imports,
    reason = "the rest of them is for the server, and for their own tests"
)]

#[path = "../../src/commands/watch/address.rs"]
pub mod address;
#[path = "../../src/commands/watch/request.rs"]
pub mod request;
