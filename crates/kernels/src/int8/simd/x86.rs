//! The vectors for x86-64: AVX-512 with VNNI, and AVX2.
//!
//! AVX2's product of bytes limits sums of two products to 16 bits, which products of 255 and 127
//! exceed; so it multiplies 16-bit numbers, which is exact.

use std::arch::x86_64::*;

use super::Integers;
use crate::int8::output::{BlockScaling, Bounds};

/// AVX-512 with VNNI.
#[derive(Clone, Copy)]
pub(in crate::int8) struct Vnni;

impl Integers for Vnni {
    type Sums = __m512i;
    type Weights = __m512i;
    type Spread = __m512i;
    type Lanes = __m512i;
    type ChannelWeights = __m512i;
    type Channels = __m512i;
    const BLOCKS: usize = 4;
    const PIXELS: usize = 12;
    #[inline(always)]
    unsafe fn sums(bias: *const i32) -> Self::Sums {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { _mm512_loadu_epi32(bias) }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { _mm512_loadu_epi8(from) }
    }
    #[inline(always)]
    unsafe fn spread(from: *const u8) -> Self::Spread {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::Sums, x: Self::Spread, w: Self::Weights) -> Self::Sums {
        // SAFETY: the level is available.
        unsafe { _mm512_dpbusd_epi32(sums, x, w) }
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
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn channels(from: *const u8) -> Self::Channels {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn multiply_add(sums: Self::Lanes, x: Self::Channels, w: Self::ChannelWeights) -> Self::Lanes {
        // SAFETY: the level is available. The upper bytes of each value are zero, so the other
        // three products that are summed are, too. (LLVM would split the instruction for 16-bit
        // numbers into two.)
        unsafe { _mm512_dpbusd_epi32(sums, x, w) }
    }
    #[inline(always)]
    unsafe fn store(sums: Self::Lanes, scaling: BlockScaling, to: *mut u8) {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { Self::store_blocks([sums], scaling, to) }
    }
    #[inline(always)]
    unsafe fn store_blocks<const V: usize>(sums: [Self::Lanes; V], scaling: BlockScaling, to: *mut u8) {
        // SAFETY: guaranteed by the trait's contract; a mask is as long as the blocks.
        unsafe {
            let factors = std::array::from_fn(|v| _mm512_loadu_ps(scaling.after(v).factor()));
            let bytes = bytes(sums, factors, scaling.bounds);
            match V {
                1 => _mm_storeu_si128(to.cast(), _mm512_castsi512_si128(bytes)),
                2 => _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(bytes)),
                3 => _mm512_mask_storeu_epi32(to.cast(), 0x0FFF, bytes),
                _ => _mm512_storeu_si512(to.cast(), bytes),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_pixels<const R: usize>(sums: [Self::Lanes; R], scaling: BlockScaling, to: [*mut u8; R]) {
        let (fours, rest) = sums.as_chunks::<4>();
        let (fours_to, rest_to) = to.as_chunks::<4>();
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            for (&sums, to) in fours.iter().zip(fours_to) {
                let bytes = bytes(sums, [_mm512_loadu_ps(scaling.factor()); 4], scaling.bounds);
                _mm_storeu_si128(to[0].cast(), _mm512_castsi512_si128(bytes));
                _mm_storeu_si128(to[1].cast(), _mm512_extracti32x4_epi32::<1>(bytes));
                _mm_storeu_si128(to[2].cast(), _mm512_extracti32x4_epi32::<2>(bytes));
                _mm_storeu_si128(to[3].cast(), _mm512_extracti32x4_epi32::<3>(bytes));
            }
            for (&sums, &to) in rest.iter().zip(rest_to) {
                Self::store(sums, scaling, to);
            }
        }
    }
}

/// The bytes of up to four vectors of sums, one after another: bounds(factor · sum). NaN becomes
/// the lowest byte, as do numbers too low for 32 bits.
///
/// # Safety
/// Requires the instructions of [`Vnni`].
#[inline(always)]
unsafe fn bytes<const N: usize>(sums: [__m512i; N], factors: [__m512; N], bounds: Bounds) -> __m512i {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let integers = |n: usize| {
            if n >= N {
                return _mm512_setzero_si512();
            }
            let value = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[n]), factors[n]);
            // The second operand is the result if one is NaN.
            _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(bounds.high), value))
        };
        let zero_point = _mm512_set1_epi16(bounds.zero_point as i16);
        let words = |n: usize| _mm512_add_epi16(_mm512_packs_epi32(integers(n), integers(n + 1)), zero_point);
        let bytes = _mm512_packus_epi16(words(0), words(2));
        let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(bounds.least() as i8));
        // Each quarter has four bytes of each vector.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, bytes)
    }
}

/// AVX2.
#[derive(Clone, Copy)]
pub(in crate::int8) struct Avx2;

impl Integers for Avx2 {
    /// Two partial sums per output, four outputs per vector.
    type Sums = [__m256i; 4];
    /// 16-bit numbers.
    type Weights = [__m256i; 4];
    /// The four inputs as 16-bit numbers, four times.
    type Spread = __m256i;
    type Lanes = [__m256i; 2];
    type ChannelWeights = [__m256i; 2];
    type Channels = [__m256i; 2];
    const BLOCKS: usize = 1;
    const PIXELS: usize = 2;
    #[inline(always)]
    unsafe fn sums(bias: *const i32) -> Self::Sums {
        // SAFETY: guaranteed by the trait's contract. The second partial sum is zero.
        unsafe { [0, 4, 8, 12].map(|at| _mm256_cvtepu32_epi64(_mm_loadu_si128(bias.add(at).cast()))) }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { [0, 16, 32, 48].map(|at| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(at).cast()))) }
    }
    #[inline(always)]
    unsafe fn spread(from: *const u8) -> Self::Spread {
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            let four = _mm_cvtsi32_si128(from.cast::<i32>().read_unaligned());
            _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(four))
        }
    }
    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, x: Self::Spread, w: Self::Weights) -> Self::Sums {
        for (sum, w) in sums.iter_mut().zip(w) {
            // SAFETY: the level is available.
            *sum = unsafe { _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w)) };
        }
        sums
    }
    #[inline(always)]
    unsafe fn lanes(sums: Self::Sums) -> Self::Lanes {
        let [a, b, c, d] = sums;
        // SAFETY: the level is available.
        unsafe {
            // Outputs 0 1 4 5 | 2 3 6 7, which the permutation puts into order.
            let pair = |one, other| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(one, other));
            [pair(a, b), pair(c, d)]
        }
    }
    #[inline(always)]
    unsafe fn channel_sums(bias: *const i32) -> Self::Lanes {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { [0, 8].map(|at| _mm256_loadu_si256(bias.add(at).cast())) }
    }
    #[inline(always)]
    unsafe fn channel_weights(from: *const i8) -> Self::ChannelWeights {
        // SAFETY: guaranteed by the trait's contract.
        unsafe { [0, 8].map(|at| _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.add(at).cast()))) }
    }
    #[inline(always)]
    unsafe fn channels(from: *const u8) -> Self::Channels {
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            [
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.add(8).cast())),
            ]
        }
    }
    #[inline(always)]
    unsafe fn multiply_add(sums: Self::Lanes, x: Self::Channels, w: Self::ChannelWeights) -> Self::Lanes {
        // SAFETY: the level is available. The upper half of each value is zero, so the second of
        // the two products that are summed is, too.
        unsafe {
            [
                _mm256_add_epi32(sums[0], _mm256_madd_epi16(x[0], w[0])),
                _mm256_add_epi32(sums[1], _mm256_madd_epi16(x[1], w[1])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(sums: Self::Lanes, scaling: BlockScaling, to: *mut u8) {
        let (factor, bounds) = (scaling.factor(), scaling.bounds);
        // SAFETY: guaranteed by the trait's contract.
        unsafe {
            let part = |at: usize| {
                let value = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[at]), _mm256_loadu_ps(factor.add(8 * at)));
                let value = _mm256_max_ps(value, _mm256_set1_ps(bounds.low));
                let value = _mm256_min_ps(value, _mm256_set1_ps(bounds.high));
                _mm256_add_epi32(_mm256_cvtps_epi32(value), _mm256_set1_epi32(bounds.zero_point))
            };
            // 0–3 8–11 | 4–7 12–15 as 16-bit numbers, put into order, then as bytes.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(part(0), part(1)));
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.cast(), _mm_packus_epi16(low, high));
        }
    }
}
