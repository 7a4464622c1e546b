//! A vector of 16 `f32` for each CPU instruction set, and the macro that compiles a kernel once for
//! each.
//!
//! The vector is 16 wide everywhere (one AVX-512 register, two AVX ones, four NEON ones), so
//! weights, tables and tails have one layout. Where at most 8 channels remain, half a vector
//! handles them at half the cost. Kernels are `#[inline(always)]` functions over `S: Simd`;
//! [`per_level!`] wraps each in one function per level, with that level's instructions enabled, and
//! calls the one for the [`Level`](crate::Level) it receives.

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen lanes of `f32`, or eight of them.
///
/// # Safety
/// Every method requires the instructions of its level. `load` and `store` require as many valid
/// floats at the pointer as there are lanes; `load_first` and `store_first` require `count` of them
/// (at least 1); the other lanes read as zero and are not written.
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Vectors of half as many lanes. For a half vector, this is the type itself.
    type Half: Simd;
    /// Lanes of the vector.
    const WIDTH: usize;
    /// Whether there are 32 registers of 16 lanes (otherwise about 8).
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
    /// NaN if `b` is NaN, like [`Simd::min`].
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` where `gate > 0`, else 0.
    unsafe fn where_positive(gate: Self::V, x: Self::V) -> Self::V;
    /// `(x where a = b else 0, 0 where a = b else x)`.
    unsafe fn split_equal(a: Self::V, b: Self::V, x: Self::V) -> (Self::V, Self::V);
}

/// Plain arrays, vectorised by the compiler as far as it can.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const N: usize>;

#[cfg(not(miri))]
macro_rules! lanes {
    ($i:ident => $value:expr) => {{
        let mut out = [0.0f32; N];
        for ($i, slot) in out.iter_mut().enumerate() {
            *slot = $value;
        }
        out
    }};
}

/// A loop without iterator calls, on which Miri spends most of its time.
#[cfg(miri)]
macro_rules! lanes {
    ($i:ident => $value:expr) => {{
        let mut out = [0.0f32; N];
        let mut $i = 0;
        while $i < N {
            out[$i] = $value;
            $i += 1;
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
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => if a[i] < b[i] { a[i] } else { b[i] })
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
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm;

/// `per_level! { fn name { generics } { their names } (arguments) = body; }` creates `name(level,
/// arguments)`, which runs `body::<S, names>(arguments)` with the instructions of `level`. The body
/// is an `#[inline(always)] unsafe fn` over `S: Simd`; its other safety requirements are those of
/// `name`.
macro_rules! per_level {
    ($(unsafe fn $name:ident {$($generics:tt)*} {$($generic:ident),*} ($($argument:ident: $type:ty),* $(,)?) = $body:ident;)*) => {$(
        /// Runs the body with the instructions of `level`.
        ///
        /// # Safety
        /// As for the body.
        #[inline]
        unsafe fn $name<$($generics)*>(level: $crate::Level, $($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn avx512<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::simd::Avx512, $($generic),*>($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::simd::Avx<2, false>, $($generic),*>($($argument),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon<$($generics)*>($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::simd::Neon<4>, $($generic),*>($($argument),*) }
            }
            match level.kind() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: a level exists only where its instructions do; the caller guarantees the
                // rest.
                $crate::level::Instructions::Avx512 => unsafe { avx512::<$($generic),*>($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::level::Instructions::Avx2 => unsafe { avx2::<$($generic),*>($($argument),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: as above.
                $crate::level::Instructions::Neon => unsafe { neon::<$($generic),*>($($argument),*) },
                // SAFETY: plain code; the caller guarantees the rest.
                $crate::level::Instructions::Portable => unsafe { $body::<$crate::simd::Portable<16>, $($generic),*>($($argument),*) },
            }
        }
    )*};
}
pub(crate) use per_level;
