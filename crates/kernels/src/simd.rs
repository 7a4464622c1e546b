//! A vector of 16 `f32` for each CPU level, and the macro that compiles a kernel once a level.
//!
//! The vector is 16 wide everywhere (one AVX-512 register, two AVX ones, four NEON ones), so that weights, tables and
//! tails have one layout; where at most 8 channels are left over, half a vector takes them at half the cost. Kernels are `#[inline(always)]` functions over `S: Simd`; [`per_level!`] wraps each in a function
//! per level whose instructions are enabled, and picks among them by the [`Level`](crate::Level) it is given.

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen lanes of `f32`, or eight of them.
///
/// # Safety
/// Every method needs the instructions of its level; `load` and `store` need as many valid floats at the pointer as there are lanes,
/// `load_first` and `store_first` need `count` of them (at least 1; the other lanes read as zero and are not written).
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Vectors of half as many lanes. Those of a half are its own.
    type Half: Simd;
    /// Lanes of the vector.
    const WIDTH: usize;
    /// Whether there are 32 registers of 16 lanes (else: about 8).
    const WIDE: bool;
    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn load_first(from: *const f32, count: usize) -> Self::V;
    unsafe fn store(to: *mut f32, x: Self::V);
    unsafe fn store_first(to: *mut f32, x: Self::V, count: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` where `gate > 0`, else 0.
    unsafe fn where_positive(gate: Self::V, x: Self::V) -> Self::V;
    /// `(x where a = b else 0, 0 where a = b else x)`.
    unsafe fn split_equal(a: Self::V, b: Self::V, x: Self::V) -> (Self::V, Self::V);
}

/// Plain arrays; the compiler vectorises what it can.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const N: usize>;

macro_rules! lanes {
    ($i:ident => $value:expr) => {{
        let mut out = [0.0f32; N];
        for ($i, slot) in out.iter_mut().enumerate() {
            *slot = $value;
        }
        out
    }};
}

impl<const N: usize> Simd for Portable<N> {
    type V = [f32; N];
    type Half = Portable<{ LANES / 2 }>;
    const WIDTH: usize = N;
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; N]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the floats are valid by the trait's contract.
        unsafe { from.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self::V {
        let mut out = [0.0; N];
        // SAFETY: `count` floats are valid by the trait's contract.
        out[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(from, count) });
        out
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::V) {
        // SAFETY: the floats are valid by the trait's contract.
        unsafe { to.cast::<[f32; N]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, x: Self::V, count: usize) {
        // SAFETY: `count` floats are valid by the trait's contract.
        unsafe { std::slice::from_raw_parts_mut(to, count) }.copy_from_slice(&x[..count]);
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        lanes!(i => a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn where_positive(gate: Self::V, x: Self::V) -> Self::V {
        lanes!(i => if gate[i] > 0.0 { x[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn split_equal(a: Self::V, b: Self::V, x: Self::V) -> (Self::V, Self::V) {
        (
            lanes!(i => if a[i] == b[i] { x[i] } else { 0.0 }),
            lanes!(i => if a[i] == b[i] { 0.0 } else { x[i] }),
        )
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The two levels of x86-64. SAFETY of every block: the caller of a [`Simd`] method has the level's
    //! instructions and valid pointers; nothing else is asked by the intrinsics.
    use super::{LANES, Simd};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    /// The lowest `count` bits.
    #[inline(always)]
    fn first(count: usize) -> __mmask16 {
        (0xffff_u32 >> (LANES - count)) as __mmask16
    }

    impl Simd for Avx512 {
        type V = __m512;
        type Half = Avx<1, true>;
        const WIDTH: usize = LANES;
        const WIDE: bool = true;
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> __m512 {
            // SAFETY: see the module; masked-out lanes are not touched.
            unsafe { _mm512_maskz_loadu_ps(first(count), from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, x: __m512) {
            // SAFETY: see the module.
            unsafe { _mm512_storeu_ps(to, x) }
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, x: __m512, count: usize) {
            // SAFETY: see the module; masked-out lanes are not touched.
            unsafe { _mm512_mask_storeu_ps(to, first(count), x) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn where_positive(gate: __m512, x: __m512) -> __m512 {
            // SAFETY: see the module.
            unsafe {
                let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(positive, x)
            }
        }
        #[inline(always)]
        unsafe fn split_equal(a: __m512, b: __m512, x: __m512) -> (__m512, __m512) {
            // SAFETY: see the module.
            unsafe {
                let equal = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b);
                (_mm512_maskz_mov_ps(equal, x), _mm512_maskz_mov_ps(!equal, x))
            }
        }
    }

    /// `N` registers of 8 lanes. `MASKS`: there are 32 of them, and masks (of AVX-512VL).
    #[derive(Clone, Copy)]
    pub(crate) struct Avx<const N: usize, const MASKS: bool>;

    /// Lanes of a register.
    const HALF: usize = LANES / 2;

    /// Sixteen set lanes, then sixteen clear ones: a window of it selects the first lanes.
    static SELECT: [i32; 2 * LANES] = {
        let mut lanes = [0; 2 * LANES];
        let mut i = 0;
        while i < LANES {
            lanes[i] = -1;
            i += 1;
        }
        lanes
    };

    /// Mask of register `i` for the first `count` lanes of the vector.
    #[inline(always)]
    unsafe fn select(count: usize, i: usize) -> __m256i {
        // SAFETY: `count` ≤ 16 and `i` ≤ 1 leave 8 integers behind the pointer.
        unsafe { _mm256_loadu_si256(SELECT.as_ptr().add(LANES - count + HALF * i).cast()) }
    }

    macro_rules! registers {
        ($i:ident => $value:expr) => {{
            // SAFETY: see the module.
            unsafe {
                let mut out = [_mm256_setzero_ps(); N];
                for ($i, slot) in out.iter_mut().enumerate() {
                    *slot = $value;
                }
                out
            }
        }};
    }

    impl<const N: usize, const MASKS: bool> Simd for Avx<N, MASKS> {
        type V = [__m256; N];
        type Half = Avx<1, MASKS>;
        const WIDTH: usize = N * HALF;
        const WIDE: bool = MASKS;
        #[inline(always)]
        unsafe fn zero() -> Self::V {
            registers!(_i => _mm256_setzero_ps())
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            registers!(_i => _mm256_set1_ps(x))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            registers!(i => _mm256_loadu_ps(from.add(HALF * i)))
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> Self::V {
            if MASKS && N == 1 {
                return registers!(_i => _mm256_maskz_loadu_ps(first(count) as __mmask8, from));
            }
            // Masked-out lanes are not touched.
            registers!(i => _mm256_maskload_ps(from.wrapping_add(HALF * i), select(count, i)))
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, x: Self::V) {
            for (i, x) in x.into_iter().enumerate() {
                // SAFETY: see the module.
                unsafe { _mm256_storeu_ps(to.add(HALF * i), x) }
            }
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, x: Self::V, count: usize) {
            for (i, x) in x.into_iter().enumerate() {
                // SAFETY: see the module; masked-out lanes are not touched.
                unsafe {
                    if MASKS && N == 1 {
                        _mm256_mask_storeu_ps(to, first(count) as __mmask8, x);
                    } else {
                        _mm256_maskstore_ps(to.wrapping_add(HALF * i), select(count, i), x);
                    }
                }
            }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            registers!(i => _mm256_add_ps(a[i], b[i]))
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            registers!(i => _mm256_sub_ps(a[i], b[i]))
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            registers!(i => _mm256_mul_ps(a[i], b[i]))
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            registers!(i => _mm256_max_ps(a[i], b[i]))
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            registers!(i => _mm256_fmadd_ps(a[i], b[i], c[i]))
        }
        #[inline(always)]
        unsafe fn where_positive(gate: Self::V, x: Self::V) -> Self::V {
            registers!(i => _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(gate[i], _mm256_setzero_ps()), x[i]))
        }
        #[inline(always)]
        unsafe fn split_equal(a: Self::V, b: Self::V, x: Self::V) -> (Self::V, Self::V) {
            let equal = registers!(i => _mm256_cmp_ps::<_CMP_EQ_OQ>(a[i], b[i]));
            (
                registers!(i => _mm256_and_ps(equal[i], x[i])),
                registers!(i => _mm256_andnot_ps(equal[i], x[i])),
            )
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    //! The level of AArch64. SAFETY of every block: as for x86-64.
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
}

/// `per_level! { fn name { generics } { their names } (arguments) = body; }` makes `name(level, arguments)`, which runs
/// `body::<S, names>(arguments)` with the instructions of `level`. The body is an `#[inline(always)] unsafe fn` over
/// `S: Simd`; what else it demands of its caller is the contract of `name`.
macro_rules! per_level {
    ($(unsafe fn $name:ident {$($generics:tt)*} {$($generic:ident),*} ($($argument:ident: $type:ty),* $(,)?) = $body:ident;)*) => {$(
        /// Runs the body with the instructions of `level`.
        ///
        /// # Safety
        /// As the body's.
        #[inline]
        unsafe fn $name<$($generics)*>(level: $crate::Level, $($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn avx512<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the rest is the caller's.
                unsafe { $body::<$crate::simd::Avx512, $($generic),*>($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the rest is the caller's.
                unsafe { $body::<$crate::simd::Avx<2, false>, $($generic),*>($($argument),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the rest is the caller's.
                unsafe { $body::<$crate::simd::Neon<4>, $($generic),*>($($argument),*) }
            }
            match level.kind() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: a level exists only where its instructions do; the rest is the caller's.
                $crate::level::Kind::Avx512 => unsafe { avx512::<$($generic),*>($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::level::Kind::Avx2 => unsafe { avx2::<$($generic),*>($($argument),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: as above.
                $crate::level::Kind::Neon => unsafe { neon::<$($generic),*>($($argument),*) },
                // SAFETY: plain code; the rest is the caller's.
                $crate::level::Kind::Portable => unsafe { $body::<$crate::simd::Portable<16>, $($generic),*>($($argument),*) },
            }
        }
    )*};
}
pub(crate) use per_level;
