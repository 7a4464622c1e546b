//! CPU arithmetic on slices: the loops under the cells of depthwise-separable mixed operations.
//!
//! Contract: `f32`, images in NHWC order (channels innermost), one image a call. No tensor library,
//! no threads, and no allocation but in the small tables that are made once a plan. Every kernel
//! takes the [`Level`] of the CPU that it may use; [`cpu_level`] finds the best one at run time.
//! Convolutions read from [`Padded`] images, whose border of zeros spares every kernel the case of
//! the border.
//!
//! Per-channel coefficients are handed over as *tables* (see [`table`]): the channel values
//! repeated until they fill whole vectors, so that a row of any number of channels is one flat run
//! of full vectors.

pub mod dense;
pub mod depthwise;
pub mod elementwise;
mod gemm;
mod image;
mod level;
pub mod norm;
pub mod pointwise;
pub mod pool;
mod prefetch;
pub mod reduce;
pub mod sgd;
mod simd;
pub mod table;
mod taps;

pub use image::{Extent, Padded, Phase, View, Window};
pub use level::{Level, cpu_level};
pub use prefetch::prefetch;
pub use taps::Taps;
