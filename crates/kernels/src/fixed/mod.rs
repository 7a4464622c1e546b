//! Arithmetic of networks whose weights are fixed: a batch norm is folded into the convolution
//! before it, and the sum of two tensors and an activation function into the step before them.
//!
//! Contract: `f32`, images in NHWC order; in memory, the channels of a pixel are rounded up to
//! whole vectors ([`padded`]), and the additional ones contain finite numbers. Borders are zero, so
//! that no kernel treats border pixels as a special case. Each output is one sum: its bias, then
//! the products over taps and inputs, and at the end what is added. So the bits do not depend on
//! how a step is divided among threads. Weights are packed once. The kernels take pointers, because
//! threads may write different channels of one pixel.

mod dense;
mod depthwise;
mod pool;

use std::ops::Range;

pub use dense::Dense;
pub use depthwise::Depthwise;
pub use pool::{Pool, channel_sums};

use crate::image::{Extent, View};
use crate::region::Pixels;
use crate::simd::{LANES, Simd};
pub use crate::table::rounded as padded;

/// What a call computes, and where.
#[derive(Clone, Debug)]
pub struct Region<'a> {
    /// Output pixels.
    pub extent: Extent,
    /// The pixel under the window's first tap, for each output pixel.
    pub source: View,
    /// The output pixels.
    pub target: View,
    /// The pixels that are added, if there are any.
    pub added: View,
    /// The offset at which each tap reads, relative to `source`.
    pub taps: &'a [usize],
    /// Blocks of 16 output channels.
    pub blocks: Range<usize>,
}

/// The memory of a call.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What is read.
    pub source: *const [f32],
    /// What is added to the result, if anything is; it may be the target.
    pub added: Option<*const [f32]>,
    /// What is written.
    pub target: *mut [f32],
}

/// The smallest and the largest value of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    low: f32,
    high: f32,
}

impl Bounds {
    /// Any value, as without an activation function.
    pub const NONE: Self = Self {
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };
    /// ReLU.
    pub const RELU: Self = Self { low: 0.0, ..Self::NONE };
    /// ReLU6.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };

    /// `x` within the bounds; NaN stays.
    ///
    /// # Safety
    /// Requires the instructions of `S`.
    #[inline(always)]
    unsafe fn limit<S: Simd>(self, x: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { S::min(S::splat(self.high), S::max(S::splat(self.low), x)) }
    }
}

impl Region<'_> {
    fn is_empty(&self) -> bool {
        self.extent.rows * self.extent.columns * self.blocks.len() == 0
    }

    /// The pointers to `memory`. Panics unless the region has exactly `taps` taps and its blocks
    /// are among the first `blocks`. Also panics unless the memory contains `read` floats at each
    /// tap of each pixel, and `written` floats at each output pixel and each pixel that is added.
    fn checked(&self, (taps, blocks): (usize, usize), (read, written): (usize, usize), memory: Memory) -> Pointers {
        assert_eq!(self.taps.len(), taps, "taps of a convolution");
        assert!(self.blocks.end <= blocks, "too few weights");
        let furthest = self.taps.iter().max().copied().unwrap_or(0);
        let end = self.source.last(self.extent).saturating_add(furthest);
        assert!(
            end.saturating_add(read) <= memory.source.len(),
            "a tap reads outside the image"
        );
        let end = self.target.last(self.extent).saturating_add(written);
        assert!(end <= memory.target.len(), "the output does not fit");
        if let Some(added) = memory.added {
            let end = self.added.last(self.extent).saturating_add(written);
            assert!(end <= added.len(), "what is added is outside its image");
        }
        Pointers {
            source: memory.source.cast(),
            added: memory.added.map_or(std::ptr::null(), |added| added.cast()),
            target: memory.target.cast(),
        }
    }

    /// The pixels of source, target and what is added.
    fn pixels(&self) -> Pixels<3> {
        Pixels::new(self.extent, [self.source, self.target, self.added])
    }
}

/// Pointers to checked memory.
#[derive(Clone, Copy)]
struct Pointers {
    source: *const f32,
    /// Null if nothing is added.
    added: *const f32,
    target: *mut f32,
}

impl Pointers {
    /// Writes the first `lanes` of 16 channels of a pixel, after adding and limiting.
    ///
    /// # Safety
    /// Requires the instructions of `S`, and positions that were checked.
    #[inline(always)]
    unsafe fn finish<S: Simd, const ADD: bool>(
        self,
        bounds: Bounds,
        mut sum: S::V,
        (to, plus): (usize, usize),
        lanes: usize,
    ) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if lanes == LANES {
                if ADD {
                    sum = S::add(sum, S::load(self.added.add(plus)));
                }
                S::store(self.target.add(to), bounds.limit::<S>(sum));
            } else {
                if ADD {
                    sum = S::add(sum, S::load_first(self.added.add(plus), lanes));
                }
                S::store_first(self.target.add(to), bounds.limit::<S>(sum), lanes);
            }
        }
    }
}
