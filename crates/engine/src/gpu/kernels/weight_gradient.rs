//! Gradients of the kernels of convolutions: sums over pixels and samples. They are computed in
//! slices that are added afterwards; this keeps the whole device busy and the order of additions
//! fixed.

use cubecl::prelude::*;

use super::super::table::{NONE, field, slot};
use super::{THREADS, before_norm, kept, of_slot, read, rectified, tap, total};

/// Side of the square of weights that a cube computes, one per thread.
pub const SIDE: u32 = 16;
/// Pixels that the cube reads at a time.
const PIXELS: u32 = 64;
const _: () = assert!(SIDE * SIDE == THREADS, "one thread per weight");

/// For depthwise convolutions with kernels of `side` × `side`. Grid: slices × channels × records.
#[cube(launch_unchecked)]
pub fn depthwise(
    activations: &[f32],
    gradients: &[f32],
    norms: &[f32],
    partials: &mut [f32],
    table: &[u32],
    first: u32,
    batch: u32,
    slices: u32,
    weight_count: u32,
    #[comptime] side: u32,
) {
    let record = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, record, field::INPUTS);
    if channel >= channels {
        terminate!();
    }
    let height = read(table, record, field::OUT_HEIGHT);
    let width = read(table, record, field::OUT_WIDTH);
    let in_height = read(table, record, field::IN_HEIGHT);
    let in_width = read(table, record, field::IN_WIDTH);
    let stride = read(table, record, field::STRIDE);
    let dilation = read(table, record, field::DILATION);
    let padding = read(table, record, field::PADDING);
    let slot = read(table, record, field::SOURCE_SLOT);
    let mut scale = 1.0f32;
    let mut shift = 0.0f32;
    if slot != comptime!(NONE) {
        scale = of_slot(norms, slot + channel, slot::SCALE);
        shift = of_slot(norms, slot + channel, slot::SHIFT);
    }
    let images = read(table, record, field::SOURCE) + channel * in_height * in_width;
    let gradient = read(table, record, field::GRADIENT) + channel * height * width;
    let mut shared = Shared::new_slice(comptime!(THREADS as usize));
    let mut sums = Array::<f32>::new(comptime!((side * side) as usize));
    #[unroll]
    for at in 0..comptime!(side * side) {
        sums[at as usize] = 0.0f32;
    }
    let count = batch * height * width;
    let turns = count.div_ceil(slices * comptime!(THREADS));
    for turn in 0..turns {
        let element = (turn * slices + CUBE_POS_X) * comptime!(THREADS) + UNIT_POS;
        if element < count {
            let column = element % width;
            let row = element / width % height;
            let sample = element / (width * height);
            let g = gradients[(gradient + sample * channels * height * width + row * width + column) as usize];
            let image = images + sample * channels * in_height * in_width;
            #[unroll]
            for ky in 0..side {
                let y = tap(row, ky, stride, dilation, padding);
                #[unroll]
                for kx in 0..side {
                    let x = tap(column, kx, stride, dilation, padding);
                    if y < in_height && x < in_width {
                        let read = activations[(image + y * in_width + x) as usize];
                        let value = rectified(read * scale + shift, 1u32);
                        sums[comptime!(ky * side + kx) as usize] += g * value;
                    }
                }
            }
        }
    }
    let place = CUBE_POS_X * weight_count + read(table, record, field::WEIGHT) + channel * comptime!(side * side);
    #[unroll]
    for at in 0..comptime!(side * side) {
        shared[UNIT_POS as usize] = sums[at as usize];
        let sum = total(&mut shared);
        if UNIT_POS == 0 {
            partials[(place + at) as usize] = sum;
        }
    }
}

/// For dense convolutions. Grid: slices × squares of weights × records; each thread has one weight.
/// The squares are numbered by tap, then output, then input; for each tap, there are `squares_out`
/// of them along the outputs and `squares_in` along the inputs.
#[cube(launch_unchecked)]
pub fn dense(
    activations: &[f32],
    gradients: &[f32],
    norms: &[f32],
    drops: &[f32],
    partials: &mut [f32],
    table: &[u32],
    first: u32,
    batch: u32,
    slices: u32,
    weight_count: u32,
    squares_out: u32,
    squares_in: u32,
    #[comptime] drop: bool,
) {
    let record = first + CUBE_POS_Z;
    let kernel = read(table, record, field::KERNEL);
    let inputs = read(table, record, field::INPUTS);
    let outputs = read(table, record, field::OUTPUTS);
    let input_begin = CUBE_POS_Y % squares_in * comptime!(SIDE);
    let output_begin = CUBE_POS_Y / squares_in % squares_out * comptime!(SIDE);
    let pair = CUBE_POS_Y / (squares_in * squares_out);
    if pair >= kernel * kernel || input_begin >= inputs || output_begin >= outputs {
        terminate!();
    }
    let height = read(table, record, field::OUT_HEIGHT);
    let width = read(table, record, field::OUT_WIDTH);
    let in_height = read(table, record, field::IN_HEIGHT);
    let in_width = read(table, record, field::IN_WIDTH);
    let stride = read(table, record, field::STRIDE);
    let dilation = read(table, record, field::DILATION);
    let padding = read(table, record, field::PADDING);
    let relu = read(table, record, field::RELU);
    let source_first = read(table, record, field::SOURCE);
    let channels = read(table, record, field::RESULT_CHANNELS);
    let result_first = read(table, record, field::RESULT_FIRST);
    let gradient_at = read(table, record, field::GRADIENT);
    let result_at = read(table, record, field::RESULT);
    let slots = read(table, record, field::SLOT);
    let choice = read(table, record, field::CHOICE);
    let area = height * width;

    // Rows of length PIXELS + 1: the numbers of a column are in different banks.
    let mut reads = Shared::new_slice(comptime!((SIDE * (PIXELS + 1)) as usize));
    let mut pulls = Shared::new_slice(comptime!((SIDE * (PIXELS + 1)) as usize));
    let own_input = UNIT_POS % comptime!(SIDE);
    let own_output = UNIT_POS / comptime!(SIDE);
    let mut sum = 0.0f32;
    let count = batch * area;
    let turns = count.div_ceil(slices * comptime!(PIXELS));
    for turn in 0..turns {
        let begin = (turn * slices + CUBE_POS_X) * comptime!(PIXELS);
        for part in 0..comptime!(SIDE * PIXELS / THREADS) {
            let at = part * comptime!(THREADS) + UNIT_POS;
            let pixel = at % comptime!(PIXELS);
            let row_of_square = at / comptime!(PIXELS);
            let element = begin + pixel;
            let mut value = 0.0f32;
            let mut pull = 0.0f32;
            if element < count {
                let sample = element / area;
                let row = element / width % height;
                let column = element % width;
                let input = input_begin + row_of_square;
                let y = tap(row, pair / kernel, stride, dilation, padding);
                let x = tap(column, pair % kernel, stride, dilation, padding);
                if input < inputs && y < in_height && x < in_width {
                    let from = source_first + ((sample * inputs + input) * in_height + y) * in_width + x;
                    value = rectified(activations[from as usize], relu);
                }
                let output = output_begin + row_of_square;
                if output < outputs {
                    let channel = result_first + output;
                    let result = ((sample * channels + channel) * height + row) * width + column;
                    let factor = kept(drops, choice, batch, sample, drop);
                    pull = before_norm(
                        gradients[(gradient_at + result) as usize],
                        activations[(result_at + result) as usize],
                        norms,
                        slots,
                        channel,
                        factor,
                    );
                }
            }
            let place = (row_of_square * comptime!(PIXELS + 1) + pixel) as usize;
            reads[place] = value;
            pulls[place] = pull;
        }
        sync_cube();
        for pixel in 0..comptime!(PIXELS) {
            sum += pulls[(own_output * comptime!(PIXELS + 1) + pixel) as usize]
                * reads[(own_input * comptime!(PIXELS + 1) + pixel) as usize];
        }
        sync_cube();
    }
    let input = input_begin + own_input;
    let output = output_begin + own_output;
    if input < inputs && output < outputs {
        let weight = read(table, record, field::WEIGHT) + (output * inputs + input) * kernel * kernel + pair;
        partials[(CUBE_POS_X * weight_count + weight) as usize] = sum;
    }
}
