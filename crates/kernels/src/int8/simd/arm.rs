//! The vectors for AArch64: NEON.

use std::arch::aarch64::*;

use super::Integers;
use crate::int8::output::BlockScaling;

/// NEON: products of 16-bit numbers, which every AArch64 CPU has.
#[derive(Clone, Copy)]
pub(in crate::int8) struct Neon;

impl Integers for Neon {
    type Sums = [int32x4_t; 4];
    /// For each of the four inputs, the weights of 16 outputs.
    type Weights = int8x16x4_t;
    type Spread = [i16; 4];
    type Lanes = [int32x4_t; 4];
    type ChannelWeights = int8x16_t;
    type Channels = [int16x8_t; 2];
    const BLOCKS: usize = 1;
    const PIXELS: usize = 4;
    #[inline(always)]
    unsafe fn sums(bias: *const i32) -> Self::Sums {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { [0, 4, 8, 12].map(|at| vld1q_s32(bias.add(at))) }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { vld4q_s8(from) }
    }
    #[inline(always)]
    unsafe fn spread(from: *const u8) -> Self::Spread {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { from.cast::<[u8; 4]>().read().map(i16::from) }
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::Sums, x: Self::Spread, w: Self::Weights) -> Self::Sums {
        let [mut a, mut b, mut c, mut d] = sums;
        for (x, w) in x.into_iter().zip([w.0, w.1, w.2, w.3]) {
            // SAFETY: the level is available.
            unsafe {
                let (low, high) = (vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w));
                a = vmlal_n_s16(a, vget_low_s16(low), x);
                b = vmlal_high_n_s16(b, low, x);
                c = vmlal_n_s16(c, vget_low_s16(high), x);
                d = vmlal_high_n_s16(d, high, x);
            }
        }
        [a, b, c, d]
    }
    #[inline(always)]
    unsafe fn lanes(sums: Self::Sums) -> Self::Lanes {
        sums
    }
    #[inline(always)]
    unsafe fn channel_sums(bias: *const i32) -> Self::Lanes {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { Self::sums(bias) }
    }
    #[inline(always)]
    unsafe fn channel_weights(from: *const i8) -> Self::ChannelWeights {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { vld1q_s8(from) }
    }
    #[inline(always)]
    unsafe fn channels(from: *const u8) -> Self::Channels {
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            let x = vld1q_u8(from);
            [vmovl_u8(vget_low_u8(x)), vmovl_high_u8(x)].map(|x| vreinterpretq_s16_u16(x))
        }
    }
    #[inline(always)]
    unsafe fn multiply_add(sums: Self::Lanes, x: Self::Channels, w: Self::ChannelWeights) -> Self::Lanes {
        let ([a, b, c, d], [x_low, x_high]) = (sums, x);
        // SAFETY: the level is available.
        unsafe {
            let (w_low, w_high) = (vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w));
            [
                vmlal_s16(a, vget_low_s16(x_low), vget_low_s16(w_low)),
                vmlal_high_s16(b, x_low, w_low),
                vmlal_s16(c, vget_low_s16(x_high), vget_low_s16(w_high)),
                vmlal_high_s16(d, x_high, w_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(sums: Self::Lanes, scaling: BlockScaling, to: *mut u8) {
        let (factor, bounds) = (scaling.factor(), scaling.bounds);
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            let part = |at: usize| {
                let value = vmulq_f32(vcvtq_f32_s32(sums[at]), vld1q_f32(factor.add(4 * at)));
                // Unlike vmaxq_f32, it returns the bound for NaN, as the other levels do.
                let value = vmaxnmq_f32(value, vdupq_n_f32(bounds.low));
                let value = vminq_f32(value, vdupq_n_f32(bounds.high));
                vqmovun_s32(vaddq_s32(vcvtnq_s32_f32(value), vdupq_n_s32(bounds.zero_point)))
            };
            let low = vqmovn_u16(vcombine_u16(part(0), part(1)));
            let high = vqmovn_u16(vcombine_u16(part(2), part(3)));
            vst1q_u8(to, vcombine_u8(low, high));
        }
    }
}
