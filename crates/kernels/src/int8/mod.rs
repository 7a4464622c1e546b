//! Arithmetic of networks whose weights are int8 and whose activations are uint8.
//!
//! Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", CVPR 2018, sections 2.1 to 2.4: a number is
//! scale · (q − zero point), products are summed in 32 bits, and the sum is scaled to the output's
//! quantisation. Here, as in ONNX, it is scaled in float32 and rounded half to even.
//!
//! Contract: images in NHWC order, a pixel has [`padded`] channels, of which those that were added
//! may have any value; borders hold the zero point, so that no kernel treats border pixels as a
//! special case. Sums of 32 bits wrap. All levels compute the same bits, since integer arithmetic
//! is exact, and each float32 operation is rounded once. There are no threads; only packed weights
//! and their scales are allocated, once per network.

#[cfg(target_arch = "x86_64")]
mod amx;
mod dense;
mod depthwise;
mod elementwise;
mod level;
mod output;
mod pool;
mod simd;

pub use dense::Dense;
pub use depthwise::Depthwise;
pub use elementwise::{Part, Term, bytes, place, relu, sum};
pub use level::{Level, int8_level};
pub use output::{Bounds, Scaling};
pub use pool::{Pool, channel_sums};

pub use crate::region::Region;

/// Channels of a pixel in memory: `channels` rounded up to the 16 lanes of a vector.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// Lanes of a vector of sums.
const LANES: usize = 16;
