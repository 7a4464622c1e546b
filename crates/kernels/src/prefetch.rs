//! Bringing memory into the cache ahead of its use.

/// Floats of a cache line.
const LINE: usize = 16;

/// Asks for `data` to be brought into the second cache, and returns at once. A hint: without effect where there is no such instruction.
#[inline]
pub fn prefetch(data: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in data.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: part of the baseline of x86-64, and a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, LINE);
}
