//! A trained network of da2s on images, for where it is deployed: the CPU kernels, and neither Burn
//! nor training nor autodiff.
//!
//! [`Network`] is read from an export in the format safetensors, which holds its plan, its weights
//! and what is done to a picture. Contract: the cells of da2s's fused engine, to the bit, and
//! logits within rounding; whatever is wrong with a file is a typed error.

#![forbid(unsafe_code)]

mod error;
mod network;

pub use error::NetworkError;
pub use network::{Deployed, Network};
