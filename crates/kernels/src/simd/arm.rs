//! The level of AArch64. The SAFETY note in `x86.rs` applies to every block here.
use super::{LANES, Simd};
use std::arch::aarch64::*;

/// `Q` registers of 4 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Neon<const Q: usize>;

macro_rules! quads {
    ($i:ident => $value:expr) => {{
        // SAFETY: see the module.
        unsafe {
            let mut out = [vdupq_n_f32(0.0); Q];
            for ($i, slot) in out.iter_mut().enumerate() {
                *slot = $value;
            }
            out
        }
    }};
}

impl<const Q: usize> Simd for Neon<Q> {
    type V = [float32x4_t; Q];
    type Half = Neon<2>;
    const WIDTH: usize = 4 * Q;
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn zero() -> Self::V {
        quads!(_i => vdupq_n_f32(0.0))
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        quads!(_i => vdupq_n_f32(x))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        quads!(i => vld1q_f32(from.add(4 * i)))
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self::V {
        let mut lanes = [0.0f32; LANES];
        // SAFETY: `count` floats are valid at `from`, and `lanes` has 16.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::V) {
        for (i, quad) in x.into_iter().enumerate() {
            // SAFETY: see the module.
            unsafe { vst1q_f32(to.add(4 * i), quad) }
        }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, x: Self::V, count: usize) {
        let mut lanes = [0.0f32; LANES];
        // SAFETY: `count` floats are valid at `to`, and `lanes` has 16.
        unsafe {
            Self::store(lanes.as_mut_ptr(), x);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        quads!(i => vaddq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        quads!(i => vsubq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        quads!(i => vmulq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        quads!(i => vmaxq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        quads!(i => vminq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        quads!(i => vfmaq_f32(c[i], a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn where_positive(gate: Self::V, x: Self::V) -> Self::V {
        quads!(i => vbslq_f32(vcgtq_f32(gate[i], vdupq_n_f32(0.0)), x[i], vdupq_n_f32(0.0)))
    }
    #[inline(always)]
    unsafe fn split_equal(a: Self::V, b: Self::V, x: Self::V) -> (Self::V, Self::V) {
        (
            quads!(i => vbslq_f32(vceqq_f32(a[i], b[i]), x[i], vdupq_n_f32(0.0))),
            quads!(i => vbslq_f32(vceqq_f32(a[i], b[i]), vdupq_n_f32(0.0), x[i])),
        )
    }
}
