//! A global allocator that says so when there is no memory, where Rust's own ends the process
//! without a word that a user can use.
//!
//! Contract: it is the system's allocator; only where that has nothing to give does a program's own
//! function end the process. Who asks whether memory can be had (`try_reserve`) is answered in the
//! same way.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, and what ends the process where it has nothing: a function that is told
/// how many bytes were asked for, and must not allocate.
#[derive(Debug)]
pub struct Allocator {
    exhausted: fn(usize) -> !,
}

impl Allocator {
    /// An allocator that ends with `exhausted`.
    pub const fn new(exhausted: fn(usize) -> !) -> Self {
        Self { exhausted }
    }

    fn given(&self, pointer: *mut u8, bytes: usize) -> *mut u8 {
        if pointer.is_null() {
            (self.exhausted)(bytes);
        }
        pointer
    }
}

// SAFETY: every call is passed on to the system's allocator as it is, and what it returns is
// returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        self.given(unsafe { System.realloc(pointer, layout, size) }, size)
    }
}
