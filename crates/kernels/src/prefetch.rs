//! Loading memory into the cache before it is used.

/// Asks the CPU to load `count` floats, starting at `data`, into the second-level cache, and
/// returns at once. This is only a hint: the memory need not be valid, and on a CPU without such an
/// instruction nothing happens.
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
