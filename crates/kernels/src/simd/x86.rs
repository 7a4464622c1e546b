//! The two levels of x86-64.
//!
//! SAFETY of every block: the caller of a [`Simd`] method guarantees the level's instructions and
//! valid pointers; the intrinsics require nothing else.
use super::{LANES, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// The lowest `count` bits.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    (0xffff_u32 >> (LANES - count)) as __mmask16
}

/// The lanes where `a` is larger than `b` (`_CMP_GT_OQ`), or equal to it (`_CMP_EQ_OQ`).
#[inline(always)]
unsafe fn compare<const HOW: i32>(a: __m512, b: __m512) -> __mmask16 {
    // Miri supports neither comparisons nor the maximum at this width: under Miri only, they are
    // computed on plain floats.
    if cfg!(miri) {
        // SAFETY: sixteen floats either way.
        let [a, b] = [a, b].map(|x| unsafe { std::mem::transmute::<__m512, [f32; LANES]>(x) });
        let (mut mask, mut i) = (0, 0);
        while i < LANES {
            let holds = if HOW == _CMP_GT_OQ { a[i] > b[i] } else { a[i] == b[i] };
            mask |= __mmask16::from(holds) << i;
            i += 1;
        }
        return mask;
    }
    // SAFETY: see the module.
    unsafe { _mm512_cmp_ps_mask::<HOW>(a, b) }
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
        unsafe {
            if cfg!(miri) {
                return _mm512_mask_blend_ps(compare::<_CMP_GT_OQ>(a, b), b, a);
            }
            _mm512_max_ps(a, b)
        }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the module.
        unsafe {
            if cfg!(miri) {
                return _mm512_mask_blend_ps(compare::<_CMP_GT_OQ>(b, a), b, a);
            }
            _mm512_min_ps(a, b)
        }
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
            let positive = compare::<_CMP_GT_OQ>(gate, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(positive, x)
        }
    }
    #[inline(always)]
    unsafe fn split_equal(a: __m512, b: __m512, x: __m512) -> (__m512, __m512) {
        // SAFETY: see the module.
        unsafe {
            let equal = compare::<_CMP_EQ_OQ>(a, b);
            (_mm512_maskz_mov_ps(equal, x), _mm512_maskz_mov_ps(!equal, x))
        }
    }
}

/// `N` registers of 8 lanes. `MASKS`: there are 32 registers, and masks (AVX-512VL).
#[derive(Clone, Copy)]
pub(crate) struct Avx<const N: usize, const MASKS: bool>;

/// Lanes of a register.
const HALF: usize = LANES / 2;

/// Sixteen set lanes followed by sixteen clear ones: a window into it selects the first lanes.
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
    // SAFETY: `count` ≤ 16 and `i` ≤ 1 leave 8 integers from the pointer on.
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
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        registers!(i => _mm256_min_ps(a[i], b[i]))
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
