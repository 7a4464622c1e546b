//! Huge pages for large memory: a pass over hundreds of megabytes in small pages spends much of its
//! time on address translation, most of all in a virtual machine, which translates twice.
//!
//! Contract: it is advice. It changes no contents, and a system without huge pages uses small
//! ones.

/// Bytes of a huge page on most systems.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks for huge pages for `bytes` of memory from `pointer` on. The system uses a huge page only if
/// this was called for all of its memory. So small adjacent buffers can share a huge page if it was
/// called for each of them. It must be called before the memory is first touched.
pub(crate) fn advise_huge_pages(pointer: *mut u8, bytes: usize) {
    /// A multiple of the size of small pages on every system.
    const PAGE_BYTES: usize = 64 << 10;
    #[cfg(target_os = "linux")]
    {
        let before = pointer.addr() % PAGE_BYTES;
        let first = pointer.wrapping_sub(before);
        // SAFETY: advice changes no contents; in pages that are not mapped it does nothing.
        unsafe { libc::madvise(first.cast(), before + bytes, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (pointer, bytes, PAGE_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_keeps_the_contents() {
        let mut bytes = vec![7u8; 3 * HUGE_PAGE_BYTES];
        for first in [0, 5, HUGE_PAGE_BYTES + 1] {
            advise_huge_pages(bytes[first..].as_mut_ptr(), HUGE_PAGE_BYTES);
        }
        assert!(bytes.iter().all(|&byte| byte == 7));
    }
}
