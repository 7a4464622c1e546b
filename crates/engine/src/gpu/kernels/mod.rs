//! The kernels: what one thread computes, for each kind of record.
//!
//! They see the memory of a cell as flat arrays: `activations`, `gradients`, `weights`, and `norms`
//! with [`SLOT_FIELDS`] numbers per channel. The grid is elements × channels (or groups of them) ×
//! records.

#![allow(
    clippy::manual_is_multiple_of,
    clippy::eq_op,
    clippy::collapsible_if,
    reason = "kernels are written in the subset of Rust that CubeCL translates"
)]

pub(super) mod convolution;
pub(super) mod data_gradient;
pub(super) mod move_data;
pub(super) mod node;
pub(super) mod norm;
pub(super) mod weight_gradient;

use cubecl::prelude::*;

use super::table::{FIELDS, NONE, PAD_BIAS, SLOT_FIELDS, slot};

/// Threads per cube.
pub(super) const THREADS: u32 = 256;
/// Threads that add up the results of the others.
const PARTS: u32 = 16;
/// Channels that a thread of a dense convolution computes, so that it reads its source once for all
/// of them.
pub(super) const GROUP: u32 = 8;

/// A field of a record.
#[cube]
fn read(table: &[u32], record: u32, #[comptime] field: u32) -> u32 {
    table[(record * comptime!(FIELDS) + field) as usize]
}

/// A number of a slot.
#[cube]
fn of_slot(norms: &[f32], slot: u32, #[comptime] number: u32) -> f32 {
    norms[(slot * comptime!(SLOT_FIELDS) + number) as usize]
}

/// `value` through ReLU if `relu`; NaN stays NaN.
#[cube]
fn rectified(value: f32, relu: u32) -> f32 {
    let mut result = value;
    if relu != 0 && value < 0.0f32 {
        result = 0.0f32;
    }
    result
}

/// The drop-path factor of a choice and a sample.
#[cube]
fn kept(drops: &[f32], choice: u32, batch: u32, sample: u32, #[comptime] drop: bool) -> f32 {
    let mut factor = 1.0f32;
    if drop {
        if choice != comptime!(NONE) {
            factor = drops[(choice * batch + sample) as usize];
        }
    }
    factor
}

/// The gradient of a result `x` of `channel`, given `gradient`, that of the norm's output.
#[cube]
fn before_norm(gradient: f32, x: f32, norms: &[f32], first: u32, channel: u32, factor: f32) -> f32 {
    let slot = first + channel;
    of_slot(norms, slot, slot::OF_G) * factor * gradient
        + of_slot(norms, slot, slot::OF_X) * x
        + of_slot(norms, slot, slot::REST)
}

/// The sum over `shared`, to which every thread of the cube has written a number; all threads
/// receive it.
#[cube]
fn total(shared: &mut [f32]) -> f32 {
    sync_cube();
    let mut part = 0.0f32;
    if UNIT_POS < comptime!(PARTS) {
        for at in 0..comptime!(THREADS / PARTS) {
            part += shared[(at * comptime!(PARTS) + UNIT_POS) as usize];
        }
    }
    sync_cube();
    if UNIT_POS < comptime!(PARTS) {
        shared[UNIT_POS as usize] = part;
    }
    sync_cube();
    let mut sum = 0.0f32;
    for at in 0..comptime!(PARTS) {
        sum += shared[at as usize];
    }
    sync_cube();
    sum
}

/// The row or column that a window's tap reads; beyond the border it is at least the side.
#[cube]
fn tap(position: u32, tap: u32, stride: u32, dilation: u32, padding: u32) -> u32 {
    position * stride + tap * dilation + comptime!(PAD_BIAS) - padding
}
