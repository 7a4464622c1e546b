//! Bringing memory into the cache ahead of its use.

/// Asks for `count` floats from `data` on to be brought into the second cache, and returns at once.
/// A hint: the memory need not be valid, and where there is no such instruction nothing happens.
#[inline]
pub fn prefetch(data: *const f32, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..count).step_by(crate::simd::LANES) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: part of the baseline of x86-64, and a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(data.wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, count);
}
