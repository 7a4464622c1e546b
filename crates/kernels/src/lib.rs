//! CPU arithmetic on slices: the inner loops of cells with depthwise-separable mixed operations.
//!
//! Contract: `f32`, except in [`int8`]; images in NHWC order (channels innermost), one image per
//! call. [`fixed`] and [`int8`], for networks that are deployed, have memory layouts of their own.
//! There is no tensor library and there are no threads; the only allocations are tables and packed
//! weights, created once per plan. Every kernel takes the CPU's [`Level`]; [`cpu_level`] detects
//! the best one at run time. ([`int8`] has its own [`int8::Level`].) Convolutions read
//! [`Padded`] images, whose border of zeros means that no kernel has to treat border pixels as a
//! special case.
//!
//! Per-channel coefficients are passed as *tables* (see [`table`]): the channel values repeated
//! until they fill whole vectors, so that a row with any number of channels is one flat run of full
//! vectors.

pub mod activation;
pub mod dense;
pub mod depthwise;
pub mod elementwise;
pub mod fixed;
mod gemm;
mod image;
pub mod int8;
mod level;
pub mod norm;
pub mod pointwise;
pub mod pool;
mod prefetch;
pub mod reduce;
mod region;
pub mod sgd;
mod simd;
mod squeeze;
pub mod table;
mod taps;

pub use image::{Extent, Padded, Phase, View, Window};
pub use level::{Level, cpu_level};
pub use prefetch::prefetch;
pub use squeeze::Squeeze;
pub use taps::Taps;
