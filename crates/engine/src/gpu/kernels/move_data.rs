//! Copies data into and out of a cell's memory. The grids have two dimensions, because one
//! dimension is too small for all elements.

use cubecl::prelude::*;

/// The thread's index in the whole grid.
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

/// With `gather`, copies the channels of nodes, which are contiguous from `node` on, to their
/// positions in `to`, the output. Otherwise `from` has the layout of the output, and the numbers at
/// these positions are added to the nodes in `to`. The output has `all` numbers per sample; a node
/// has `size` numbers in one sample and `length` over the batch. Grid: elements of the nodes.
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
            // A node may occur twice.
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
