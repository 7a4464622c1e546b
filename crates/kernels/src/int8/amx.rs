//! AMX: eight registers, called tiles, of up to 16 rows of up to 64 bytes, and the product of two
//! of them, which adds 16 × 16 sums of 64 products of bytes in one instruction.
//!
//! Reference: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18
//! (Programming with Intel AMX), and volume 2 for the instructions; for the permission, the
//! documentation of Linux, "Using XSTATE features in user space applications".
//!
//! Contract: [`Tiles`] is a proof that this thread's tiles have shapes. There is at most one of
//! them per thread at a time. Rust has no stable intrinsics for AMX, so each instruction is inline
//! assembly. Tiles keep their values between the functions of this file. The language does not
//! promise this; it relies on the compiler, which emits no instruction on tiles of its own, and
//! which keeps the order of these blocks, since they are not `pure`. After the permission, Linux
//! refuses alternate signal stacks of this process that are too small for the tiles.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};

/// Rows of a tile, at most.
pub(super) const ROWS: usize = 16;
/// Bytes of a row, at most.
pub(super) const ROW_BYTES: usize = 64;
/// Number of tiles.
const TILES: usize = 8;

/// Whether the CPU has tiles with products of bytes, and this process may use them.
pub(super) fn available() -> bool {
    // Leaf 7, EDX: AMX-TILE and AMX-INT8.
    let needed = 1 << 24 | 1 << 25;
    // Inline assembly cannot be interpreted, and other systems have other ways to permit the use.
    cfg!(all(target_os = "linux", not(miri)))
        && __cpuid(0).eax >= 7
        && __cpuid_count(7, 0).edx & needed == needed
        && permitted()
}

/// Asks Linux for the permission to use tiles. Linux grants it only if it saves them when it
/// switches threads.
fn permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let result: isize;
    // SAFETY: the call reads and writes no memory of this process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Rows, and bytes of a row, of each tile.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// A shape for each tile.
    ///
    /// # Panics
    /// If one is larger than a tile, or only one side of it is zero.
    pub(super) fn new(shapes: [(usize, usize); TILES]) -> Self {
        let mut all = Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for (tile, (rows, bytes)) in shapes.into_iter().enumerate() {
            assert!(
                rows <= ROWS && bytes <= ROW_BYTES && (rows == 0) == (bytes == 0),
                "the shape of a tile"
            );
            all.rows[tile] = rows as u8;
            all.row_bytes[tile] = bytes as u16;
        }
        all
    }
}

/// The tiles of this thread, which have shapes until this value is dropped. A tile's number is the
/// constant `T`, `C`, `A` or `B`.
pub(super) struct Tiles {
    /// Not for other threads.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Tiles {
    /// # Safety
    /// The tiles are [`available`], and this thread has no other value of this type.
    #[inline(always)]
    pub(super) unsafe fn new(shapes: &Shapes) -> Self {
        // SAFETY: the caller guarantees the instruction; the shapes were checked.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes, options(nostack, preserves_flags, readonly)) }
        Self {
            _thread: std::marker::PhantomData,
        }
    }

    /// Reads rows that begin every `step` bytes.
    ///
    /// # Safety
    /// The rows are valid.
    #[inline(always)]
    pub(super) unsafe fn load<const T: usize>(&self, from: *const u8, step: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            asm!(
                "tileloadd tmm{}, [{} + {}]", const T, in(reg) from, in(reg) step,
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    /// Adds to the 32-bit sums of tile `C` the products of tile `A`, with unsigned bytes, and tile
    /// `B`, whose rows have four signed bytes for each column of the sums.
    ///
    /// # Safety
    /// The shapes of the three tiles fit.
    #[inline(always)]
    pub(super) unsafe fn dot<const C: usize, const A: usize, const B: usize>(&self) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            asm!(
                "tdpbusd tmm{}, tmm{}, tmm{}", const C, const A, const B,
                options(nostack, preserves_flags, nomem),
            );
        }
    }

    /// Writes rows of 16 sums, one after another.
    ///
    /// # Safety
    /// The rows are valid.
    #[inline(always)]
    pub(super) unsafe fn store<const T: usize>(&self, to: *mut i32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            asm!(
                "tilestored [{} + {}], tmm{}", in(reg) to, in(reg) ROW_BYTES, const T,
                options(nostack, preserves_flags),
            );
        }
    }
}

impl Drop for Tiles {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the tiles have shapes. Without any, the system has nothing to save.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }
}
