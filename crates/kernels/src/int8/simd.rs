//! The vectors of int8 kernels for each level.
//!
//! A vector of sums has 16 lanes everywhere, so packed weights have one layout.

use super::LANES;
use super::output::BlockScaling;

/// Sixteen 32-bit sums, and what is added to them.
///
/// # Safety
/// Every method requires the instructions of its level. `sums` and `channel_sums` read 16 biases,
/// `weights` 64 bytes, `spread` 4, `channel_weights` and `channels` 16. For each vector of sums, a
/// `store` reads 16 factors and writes 16 bytes.
pub(super) trait Integers: Copy {
    /// Sixteen sums of a dense convolution, each possibly kept as several partial sums.
    type Sums: Copy;
    /// Weights of 16 outputs × 4 inputs.
    type Weights: Copy;
    /// Four inputs, for all outputs.
    type Spread: Copy;
    /// Sixteen sums in the order of the channels.
    type Lanes: Copy;
    /// Weights of 16 channels.
    type ChannelWeights: Copy;
    /// Values of 16 channels.
    type Channels: Copy;
    /// Blocks of 16 output channels that a tile may have.
    const BLOCKS: usize;
    /// Pixels of a tile with one block; only used if [`Self::BLOCKS`] is 1.
    const PIXELS: usize;
    /// Sums that begin with their biases.
    unsafe fn sums(bias: *const i32) -> Self::Sums;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    unsafe fn spread(from: *const u8) -> Self::Spread;
    /// Adds to each output the four products of its weights and the inputs.
    unsafe fn dot(sums: Self::Sums, x: Self::Spread, w: Self::Weights) -> Self::Sums;
    unsafe fn lanes(sums: Self::Sums) -> Self::Lanes;
    /// Sums of channels that begin with their biases.
    unsafe fn channel_sums(bias: *const i32) -> Self::Lanes;
    unsafe fn channel_weights(from: *const i8) -> Self::ChannelWeights;
    unsafe fn channels(from: *const u8) -> Self::Channels;
    /// Adds to each channel the product of its weight and its value.
    unsafe fn multiply_add(sums: Self::Lanes, x: Self::Channels, w: Self::ChannelWeights) -> Self::Lanes;
    /// Writes bounds(factor · sum).
    unsafe fn store(sums: Self::Lanes, scaling: BlockScaling, to: *mut u8);
    /// Stores `V` adjacent blocks of a pixel, from the block of `scaling` on.
    #[inline(always)]
    unsafe fn store_blocks<const V: usize>(sums: [Self::Lanes; V], scaling: BlockScaling, to: *mut u8) {
        for (v, sums) in sums.into_iter().enumerate() {
            // SAFETY: guaranteed by the trait's contract.
            unsafe { Self::store(sums, scaling.after(v), to.add(v * LANES)) };
        }
    }
    /// Stores a block of `R` pixels.
    #[inline(always)]
    unsafe fn store_pixels<const R: usize>(sums: [Self::Lanes; R], scaling: BlockScaling, to: [*mut u8; R]) {
        for (sums, to) in sums.into_iter().zip(to) {
            // SAFETY: guaranteed by the trait's contract.
            unsafe { Self::store(sums, scaling, to) };
        }
    }
}

/// Plain loops.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Integers for Portable {
    type Sums = [i32; LANES];
    type Weights = [[i8; 4]; LANES];
    type Spread = [u8; 4];
    type Lanes = [i32; LANES];
    type ChannelWeights = [i8; LANES];
    type Channels = [u8; LANES];
    const BLOCKS: usize = 1;
    const PIXELS: usize = 2;
    #[inline(always)]
    unsafe fn sums(bias: *const i32) -> Self::Sums {
        // SAFETY: the numbers are valid by the trait's contract.
        unsafe { bias.cast::<Self::Sums>().read() }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: the bytes are valid by the trait's contract.
        unsafe { from.cast::<Self::Weights>().read() }
    }
    #[inline(always)]
    unsafe fn spread(from: *const u8) -> Self::Spread {
        // SAFETY: the bytes are valid by the trait's contract.
        unsafe { from.cast::<Self::Spread>().read() }
    }
    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, x: Self::Spread, w: Self::Weights) -> Self::Sums {
        for (sum, w) in sums.iter_mut().zip(&w) {
            for (&x, &w) in x.iter().zip(w) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn lanes(sums: Self::Sums) -> Self::Lanes {
        sums
    }
    #[inline(always)]
    unsafe fn channel_sums(bias: *const i32) -> Self::Lanes {
        // SAFETY: as above.
        unsafe { Self::sums(bias) }
    }
    #[inline(always)]
    unsafe fn channel_weights(from: *const i8) -> Self::ChannelWeights {
        // SAFETY: the bytes are valid by the trait's contract.
        unsafe { from.cast::<Self::ChannelWeights>().read() }
    }
    #[inline(always)]
    unsafe fn channels(from: *const u8) -> Self::Channels {
        // SAFETY: the bytes are valid by the trait's contract.
        unsafe { from.cast::<Self::Channels>().read() }
    }
    #[inline(always)]
    unsafe fn multiply_add(mut sums: Self::Lanes, x: Self::Channels, w: Self::ChannelWeights) -> Self::Lanes {
        for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
            *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
        }
        sums
    }
    #[inline(always)]
    unsafe fn store(sums: Self::Lanes, scaling: BlockScaling, to: *mut u8) {
        let (factor, bounds) = (scaling.factor(), scaling.bounds);
        // SAFETY: the numbers are valid by the trait's contract.
        let factor = unsafe { factor.cast::<[f32; LANES]>().read() };
        let mut bytes = [0; LANES];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = bounds.byte(sums[at] as f32 * factor[at]);
        }
        // SAFETY: the bytes are valid by the trait's contract.
        unsafe { to.cast::<[u8; LANES]>().write(bytes) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Vnni};

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm;
