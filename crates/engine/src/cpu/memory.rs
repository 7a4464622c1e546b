//! Memory of the executor: aligned buffers, tensors placed in them, and concurrent access by
//! several threads.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use crate::huge_pages::{HUGE_PAGE_BYTES, advise_huge_pages};

/// Floats that begin on a cache line. Large buffers use huge pages where the system has them:
/// otherwise a sweep over hundreds of megabytes spends much of its time on address translation.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// The allocation and its size.
    whole: NonNull<u8>,
    bytes: usize,
    /// Floats from its first page (or cache line) on.
    first: NonNull<f32>,
    len: usize,
}

// SAFETY: a buffer owns its memory.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            whole: NonNull::dangling(),
            bytes: 0,
            first: NonNull::dangling(),
            len: 0,
        }
    }
}

const LINE_BYTES: usize = 64;

impl Buffer {
    fn layout(bytes: usize) -> Layout {
        match Layout::from_size_align(bytes, align_of::<f32>()) {
            Ok(layout) => layout,
            Err(_) => panic!("a buffer of {bytes} bytes exceeds the address space"),
        }
    }

    /// Ensures room for `len` floats. The contents are lost when the buffer grows.
    pub(crate) fn reserve(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        self.free();
        let wanted = len * size_of::<f32>();
        let align = if wanted >= HUGE_PAGE_BYTES {
            HUGE_PAGE_BYTES
        } else {
            LINE_BYTES
        };
        let layout = Self::layout(wanted + align);
        // SAFETY: the layout is not empty.
        let pointer = unsafe { alloc_zeroed(layout) };
        let Some(whole) = NonNull::new(pointer) else {
            handle_alloc_error(layout)
        };
        // SAFETY: the allocation is `align` bytes longer than requested.
        let first = unsafe { whole.add(whole.align_offset(align)) };
        // Large allocations come from the system untouched, so the advice comes early enough.
        if align == HUGE_PAGE_BYTES {
            advise_huge_pages(first.as_ptr(), wanted);
        }
        *self = Self {
            whole,
            bytes: layout.size(),
            first: first.cast(),
            len,
        };
    }

    fn free(&mut self) {
        if self.bytes > 0 {
            // SAFETY: allocated in `reserve` with the same layout.
            unsafe { dealloc(self.whole.as_ptr(), Self::layout(self.bytes)) };
            (self.bytes, self.len) = (0, 0);
        }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: `len` floats were allocated and zeroed from `first` on.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: `len` floats were allocated and zeroed from `first` on.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.free();
    }
}

/// Positions of the images of a tensor in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    start: usize,
    stride: usize,
    len: usize,
}

impl Tensor {
    pub(super) fn range(self, image: usize) -> Range<usize> {
        let at = self.start + image * self.stride;
        at..at + self.len
    }
}

/// Places tensors in a buffer.
#[derive(Debug)]
pub(super) struct Arena {
    images: usize,
    len: usize,
}

/// Floats of one way of a typical second-level cache (1 MiB, eight ways).
const WAY_FLOATS: usize = 32 << 10;

impl Arena {
    /// Tensors of `images` images each.
    pub(super) fn new(images: usize) -> Self {
        Self::starting_at(images, 0)
    }

    /// The same, after the first `len` floats.
    pub(super) fn starting_at(images: usize, len: usize) -> Self {
        Self { images, len }
    }

    /// Places a tensor of `len` floats per image.
    pub(super) fn place(&mut self, len: usize) -> Tensor {
        let tensor = Tensor {
            start: self.len,
            stride: len.next_multiple_of(16),
            len,
        };
        // The tensors of an image are used together. If they were all 2ⁿ bytes apart, they would
        // compete for the same sets of the second-level cache. Steps of the golden ratio times a
        // cache way spread them evenly over the sets.
        let total = self.images * tensor.stride;
        self.len += total
            + (WAY_FLOATS * 618 / 1000)
                .next_multiple_of(16)
                .min((total / 16).next_multiple_of(16) + 5 * 16);
        tensor
    }

    /// Floats of all tensors.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// A slice that several threads access in disjoint ranges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pointer: *mut f32,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: access goes through unsafe methods whose callers keep the threads apart.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Floats.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn new(slice: &'a mut [f32]) -> Self {
        Self {
            pointer: slice.as_mut_ptr(),
            len: slice.len(),
            owner: PhantomData,
        }
    }

    /// # Safety
    /// Nobody writes to `range` during the lifetime of the result.
    pub(super) unsafe fn read(&self, range: Range<usize>) -> &'a [f32] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "read beyond a buffer"
        );
        // SAFETY: in bounds; the caller guarantees the rest.
        unsafe { std::slice::from_raw_parts(self.pointer.add(range.start), range.end - range.start) }
    }

    /// # Safety
    /// Nobody else reads or writes `range` during the lifetime of the result.
    pub(super) unsafe fn write(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "write beyond a buffer"
        );
        // SAFETY: in bounds; the caller guarantees the rest.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(range.start), range.end - range.start) }
    }

    /// # Safety
    /// As for [`Shared::read`], for one image of `tensor`.
    pub(super) unsafe fn image(&self, tensor: Tensor, image: usize) -> &'a [f32] {
        // SAFETY: guaranteed by the caller.
        unsafe { self.read(tensor.range(image)) }
    }

    /// # Safety
    /// As for [`Shared::write`], for one image of `tensor`.
    pub(super) unsafe fn image_mut(&self, tensor: Tensor, image: usize) -> &'a mut [f32] {
        // SAFETY: guaranteed by the caller.
        unsafe { self.write(tensor.range(image)) }
    }
}

/// Buffers that are used for one call, shared by all cells of a network (clones share them). A cell
/// borrows what it needs and returns it, so a network holds as much as its largest cell needs.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    free: Arc<Mutex<Vec<Buffer>>>,
}

impl Workspace {
    /// An empty workspace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the buffers that are not on loan.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|buffer| buffer.len * size_of::<f32>()).sum()
    }

    /// A buffer of at least `len` floats (not zeroed): the smallest free one that fits, otherwise
    /// the largest, grown.
    pub(super) fn lease(&self, len: usize) -> Lease<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Buffer| buffer.len >= len;
        let best = (0..free.len()).min_by_key(|&at| {
            if fits(&free[at]) {
                (0, free[at].len)
            } else {
                (1, usize::MAX - free[at].len)
            }
        });
        let mut buffer = best.map(|at| free.swap_remove(at)).unwrap_or_default();
        drop(free);
        buffer.reserve(len);
        Lease {
            workspace: self,
            buffer,
        }
    }
}

/// A buffer on loan from a [`Workspace`].
#[derive(Debug)]
pub(super) struct Lease<'a> {
    workspace: &'a Workspace,
    buffer: Buffer,
}

impl Lease<'_> {
    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        self.buffer.as_mut_slice()
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.workspace
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_a_line_and_are_reused() {
        let workspace = Workspace::new();
        let at = {
            let mut lease = workspace.lease(1000);
            lease.as_mut_slice()[999] = 1.0;
            lease.as_mut_slice().as_ptr() as usize
        };
        assert_eq!(at % 64, 0);
        assert_eq!(workspace.lease(500).as_mut_slice().as_ptr() as usize, at);
    }

    #[test]
    fn tensors_do_not_overlap() {
        let mut arena = Arena::new(3);
        let (a, b) = (arena.place(17), arena.place(5));
        assert!(a.range(2).end <= b.range(0).start && b.range(2).end <= arena.len());
        assert!(a.range(0).end <= a.range(1).start);
    }
}
