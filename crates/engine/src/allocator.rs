//! A global allocator that reports when memory runs out, since Rust's default handler aborts
//! without a message that helps users, and that asks for huge pages for large memory.
//!
//! Contract: it forwards to the system's allocator. If an allocation fails, a function of the
//! program ends the process. So callers of `try_reserve` never see its error.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::huge_pages::advise_huge_pages;

/// Allocations from this size on ask for huge pages. It is far below the size of a huge page,
/// because neighbours can share one; smaller allocations are too frequent for a system call each.
const LARGE_BYTES: usize = 128 << 10;

/// The system's allocator, plus the function that ends the process if an allocation fails. That
/// function receives the number of bytes requested and must not allocate.
#[derive(Debug)]
pub struct Allocator {
    exhausted: fn(usize) -> !,
}

impl Allocator {
    /// An allocator that calls `exhausted` if an allocation fails.
    pub const fn new(exhausted: fn(usize) -> !) -> Self {
        Self { exhausted }
    }

    fn given(&self, pointer: *mut u8, bytes: usize) -> *mut u8 {
        if pointer.is_null() {
            (self.exhausted)(bytes);
        }
        if bytes >= LARGE_BYTES {
            advise_huge_pages(pointer, bytes);
        }
        pointer
    }
}

// SAFETY: every call is forwarded unchanged to the system's allocator, and its result is returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: guaranteed by the caller.
        self.given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: guaranteed by the caller.
        self.given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: guaranteed by the caller.
        self.given(unsafe { System.realloc(pointer, layout, size) }, size)
    }
}
