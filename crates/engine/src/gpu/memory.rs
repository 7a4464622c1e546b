//! Memory on the device: buffers, and a program's tables.

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::program::Program;

/// Float32 numbers on the device.
#[derive(Clone, Debug)]
pub(super) struct Floats {
    handle: Handle,
    pub length: usize,
}

impl Floats {
    /// Memory for `length` numbers, uninitialised.
    pub(super) fn new(client: &Client, length: usize) -> Self {
        // The device refuses empty buffers.
        let length = length.max(1);
        Self {
            handle: client.empty(length * size_of::<f32>()),
            length,
        }
    }

    /// The numbers of a contiguous tensor.
    pub(super) fn of(client: &Client, handle: Handle, length: usize) -> Self {
        // An empty tensor is never read, but a buffer is required.
        if length == 0 {
            Self::new(client, 0)
        } else {
            Self { handle, length }
        }
    }

    pub(super) fn handle(self) -> Handle {
        self.handle
    }

    pub(super) fn arg(&self) -> BufferArg {
        // SAFETY: the buffer has `length` numbers: `new` created it so, or the caller of `of` did.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

/// Unsigned integers on the device.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    handle: Handle,
    length: usize,
}

impl Numbers {
    pub(super) fn new(client: &Client, numbers: &[u32]) -> Self {
        let numbers = if numbers.is_empty() { &[0] } else { numbers };
        Self {
            handle: client.create_from_slice(u32::as_bytes(numbers)),
            length: numbers.len(),
        }
    }

    pub(super) fn arg(&self) -> BufferArg {
        // SAFETY: the buffer was created from `length` numbers.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

/// A program whose tables are on the device.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub program: Program,
    pub table: Numbers,
    pub choices: Numbers,
    pub live: Numbers,
}

impl Loaded {
    pub(super) fn new(client: &Client, program: Program) -> Self {
        let live: Vec<u32> = program.live_norms.iter().map(|&live| u32::from(live)).collect();
        Self {
            table: Numbers::new(client, program.table.numbers()),
            choices: Numbers::new(client, &program.choices),
            live: Numbers::new(client, &live),
            program,
        }
    }
}
