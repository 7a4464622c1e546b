//! Runs a deployed da2s network on images, with nothing but the CPU kernels: no Burn, no training,
//! no autodiff.
//!
//! [`Network`] is read from a safetensors export, which contains its plan, its weights and the
//! preprocessing of images, in float32 or in [`int8`]. Contract: in float32, batch norms are folded
//! into convolutions, and logits agree with those of the trained network up to rounding; in int8,
//! every CPU computes the same bits. Whatever is wrong with a file is a typed error.

#![forbid(unsafe_code)]

mod error;
mod float32;
mod fold;
pub mod int8;
mod network;
mod plain;
pub mod profile;
mod tensors;

pub use error::{NetworkError, OutputNotFinite};
pub use fold::Missing;
pub use network::{Deployed, Network, Precision};
