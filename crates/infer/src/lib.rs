//! Runs a deployed da2s network on images, with nothing but the CPU kernels: no Burn, no training,
//! no autodiff.
//!
//! [`Network`] is read from a safetensors export, which contains its plan, its weights and the
//! preprocessing of images. Contract: the cells have the same bits as in da2s's fused engine, and
//! logits agree up to rounding; whatever is wrong with a file is a typed error.

#![forbid(unsafe_code)]

mod error;
mod network;
pub mod profile;

pub use error::NetworkError;
pub use network::{Deployed, Network};
