//! Moving data: into a cell's memory and out of it. The grids have two dimensions, for more
//! elements than one may have.

use cubecl::prelude::*;

/// The thread's place in the whole grid.
#[cube]
fn place() -> u32 {
    (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * CUBE_DIM_X + UNIT_POS_X
}

/// `to[to_at + i] = from[from_at + i]`. Grid: elements.
#[cube(launch_unchecked)]
pub fn copy(from: &[f32], to: &mut [f32], from_at: u32, to_at: u32, length: u32) {
    let at = place();
    if at < length {
        to[(to_at + at) as usize] = from[(from_at + at) as usize];
    }
}

/// `to[to_at + i] = 0`. Grid: elements.
#[cube(launch_unchecked)]
pub fn clear(to: &mut [f32], to_at: u32, length: u32) {
    let at = place();
    if at < length {
        to[(to_at + at) as usize] = 0.0f32;
    }
}

/// The channels of nodes, which lie one behind the other from `node` on, to, or added from, their
/// place among the `all` numbers that a sample of the output has; `size` is that of a node in one
/// sample, `length` over the batch. Grid: elements of the nodes.
#[cube(launch_unchecked)]
pub fn channels(
    from: &[f32],
    to: &mut [f32],
    node: u32,
    size: u32,
    first: u32,
    all: u32,
    length: u32,
    elements: u32,
    #[comptime] gather: bool,
) {
    let at = place();
    if at < elements {
        let own = at % length;
        let outside = own / size * all + first + at / length * size + own % size;
        if gather {
            to[outside as usize] = from[(node + at) as usize];
        } else {
            // A node may be named twice.
            to[(node + at) as usize] += from[outside as usize];
        }
    }
}

/// The sum over slices of `length` numbers. Grid: numbers.
#[cube(launch_unchecked)]
pub fn sum_slices(from: &[f32], to: &mut [f32], slices: u32, length: u32) {
    let at = place();
    if at < length {
        let mut sum = 0.0f32;
        for slice in 0..slices {
            sum += from[(slice * length + at) as usize];
        }
        to[at as usize] = sum;
    }
}
