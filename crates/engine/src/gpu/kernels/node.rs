//! Nodes: pooling windows, and the weighted sum of all terms of a node.

use cubecl::prelude::*;

use super::super::table::{NONE, field, kind, slot};
use super::{kept, of_slot, read, tap};

/// The largest value, or the mean, of a window; padding never counts. Grid: elements of a channel
/// over the batch × channels × records.
#[cube(launch_unchecked)]
pub fn pool(activations: &mut [f32], table: &[u32], first: u32, batch: u32) {
    let record = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, record, field::INPUTS);
    let height = read(table, record, field::OUT_HEIGHT);
    let width = read(table, record, field::OUT_WIDTH);
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if channel >= channels || element >= batch * height * width {
        terminate!();
    }
    let column = element % width;
    let row = element / width % height;
    let sample = element / (width * height);
    let in_height = read(table, record, field::IN_HEIGHT);
    let in_width = read(table, record, field::IN_WIDTH);
    let kernel = read(table, record, field::KERNEL);
    let stride = read(table, record, field::STRIDE);
    let padding = read(table, record, field::PADDING);
    let image = read(table, record, field::SOURCE) + (sample * channels + channel) * in_height * in_width;
    let mut sum = 0.0f32;
    let mut most = f32::min_value();
    let mut count = 0u32;
    for ky in 0..kernel {
        let y = tap(row, ky, stride, 1u32, padding);
        if y < in_height {
            for kx in 0..kernel {
                let x = tap(column, kx, stride, 1u32, padding);
                if x < in_width {
                    let value = activations[(image + y * in_width + x) as usize];
                    sum += value;
                    // NaN stays NaN.
                    if value > most || value != value {
                        most = value;
                    }
                    count += 1;
                }
            }
        }
    }
    let mut value = sum / count as f32;
    if read(table, record, field::KIND) == comptime!(kind::MAX) {
        value = most;
    }
    let result = read(table, record, field::RESULT) + (sample * channels + channel) * height * width;
    activations[(result + row * width + column) as usize] = value;
}

/// A node's state: the sum over `count` records from `first` on, each through its norm, weighted by
/// the mixture and drop-path. Grid: elements of a channel over the batch × channels. A node without
/// records is zero.
#[cube(launch_unchecked)]
pub fn node_sum(
    activations: &mut [f32],
    norms: &[f32],
    mixture: &[f32],
    drops: &[f32],
    table: &[u32],
    first: u32,
    count: u32,
    node: u32,
    channels: u32,
    area: u32,
    batch: u32,
    #[comptime] drop: bool,
) {
    let channel = CUBE_POS_Y;
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if element >= batch * area {
        terminate!();
    }
    let sample = element / area;
    let at = (sample * channels + channel) * area + element % area;
    let mut sum = 0.0f32;
    for record in first..first + count {
        let slot = read(table, record, field::SLOT) + channel;
        let value = activations[(read(table, record, field::RESULT) + at) as usize] * of_slot(norms, slot, slot::SCALE)
            + of_slot(norms, slot, slot::SHIFT);
        let choice = read(table, record, field::CHOICE);
        let mut weight = kept(drops, choice, batch, sample, drop);
        if choice != comptime!(NONE) {
            weight *= mixture[choice as usize];
        }
        sum += weight * value;
    }
    activations[(node + at) as usize] = sum;
}
