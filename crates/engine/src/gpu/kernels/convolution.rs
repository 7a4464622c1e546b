//! Convolutions forward: depthwise and dense.

use cubecl::prelude::*;

use super::super::table::{NONE, field, slot};
use super::{GROUP, of_slot, read, rectified, tap};

/// What a depthwise convolution reads to compute one element.
#[derive(CubeType, Clone)]
struct DepthwiseInput {
    image: u32,
    taps: u32,
    row: u32,
    column: u32,
    in_height: u32,
    in_width: u32,
    stride: u32,
    dilation: u32,
    padding: u32,
    scale: f32,
    shift: f32,
}

/// One tap's product; zero beyond the border. A depthwise convolution always reads its source
/// through ReLU.
#[cube]
fn product(activations: &mut [f32], weights: &[f32], window: &DepthwiseInput, ky: u32, kx: u32, kernel: u32) -> f32 {
    let y = tap(window.row, ky, window.stride, window.dilation, window.padding);
    let x = tap(window.column, kx, window.stride, window.dilation, window.padding);
    let mut result = 0.0f32;
    if y < window.in_height && x < window.in_width {
        let read = activations[(window.image + y * window.in_width + x) as usize];
        let value = rectified(read * window.scale + window.shift, 1u32);
        result = value * weights[(window.taps + ky * kernel + kx) as usize];
    }
    result
}

#[cube]
fn unrolled(activations: &mut [f32], weights: &[f32], window: &DepthwiseInput, #[comptime] side: u32) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for ky in 0..side {
        #[unroll]
        for kx in 0..side {
            sum += product(activations, weights, window, ky, kx, side);
        }
    }
    sum
}

/// Depthwise: each thread computes one element. Grid: elements of a channel over the batch ×
/// channels × records.
#[cube(launch_unchecked)]
pub fn depthwise(activations: &mut [f32], weights: &[f32], norms: &[f32], table: &[u32], first: u32, batch: u32) {
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
    let dilation = read(table, record, field::DILATION);
    let padding = read(table, record, field::PADDING);
    let slot = read(table, record, field::SOURCE_SLOT);
    let mut scale = 1.0f32;
    let mut shift = 0.0f32;
    if slot != comptime!(NONE) {
        scale = of_slot(norms, slot + channel, slot::SCALE);
        shift = of_slot(norms, slot + channel, slot::SHIFT);
    }
    let image = read(table, record, field::SOURCE) + (sample * channels + channel) * in_height * in_width;
    let taps = read(table, record, field::WEIGHT) + channel * kernel * kernel;
    let window = DepthwiseInput {
        image,
        taps,
        row,
        column,
        in_height,
        in_width,
        stride,
        dilation,
        padding,
        scale,
        shift,
    };
    // The kernel sides of the usual candidates are unrolled.
    let mut sum = 0.0f32;
    if kernel == 3 {
        sum += unrolled(activations, weights, &window, 3u32);
    } else if kernel == 5 {
        sum += unrolled(activations, weights, &window, 5u32);
    } else {
        for ky in 0..kernel {
            for kx in 0..kernel {
                sum += product(activations, weights, &window, ky, kx, kernel);
            }
        }
    }
    let result = read(table, record, field::RESULT) + (sample * channels + channel) * height * width;
    activations[(result + row * width + column) as usize] = sum;
}

/// Dense: each thread computes [`GROUP`] channels of a pixel. Grid: pixels of the batch × groups of
/// channels × records.
#[cube(launch_unchecked)]
pub fn dense(activations: &mut [f32], weights: &[f32], table: &[u32], first: u32, batch: u32) {
    let record = first + CUBE_POS_Z;
    let outputs = read(table, record, field::OUTPUTS);
    let output = CUBE_POS_Y * comptime!(GROUP);
    let height = read(table, record, field::OUT_HEIGHT);
    let width = read(table, record, field::OUT_WIDTH);
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if output >= outputs || element >= batch * height * width {
        terminate!();
    }
    let column = element % width;
    let row = element / width % height;
    let sample = element / (width * height);
    let inputs = read(table, record, field::INPUTS);
    let in_height = read(table, record, field::IN_HEIGHT);
    let in_width = read(table, record, field::IN_WIDTH);
    let kernel = read(table, record, field::KERNEL);
    let stride = read(table, record, field::STRIDE);
    let dilation = read(table, record, field::DILATION);
    let padding = read(table, record, field::PADDING);
    let relu = read(table, record, field::RELU);
    let images = read(table, record, field::SOURCE) + sample * inputs * in_height * in_width;
    let weight = read(table, record, field::WEIGHT);
    let bias = read(table, record, field::BIAS);
    let area = kernel * kernel;

    let mut sums = Array::<f32>::new(comptime!(GROUP as usize));
    #[unroll]
    for at in 0..comptime!(GROUP) {
        sums[at as usize] = 0.0f32;
        if bias != comptime!(NONE) {
            sums[at as usize] = weights[(bias + (output + at).min(outputs - 1)) as usize];
        }
    }
    for ky in 0..kernel {
        let y = tap(row, ky, stride, dilation, padding);
        if y < in_height {
            for kx in 0..kernel {
                let x = tap(column, kx, stride, dilation, padding);
                if x < in_width {
                    for input in 0..inputs {
                        let at = images + (input * in_height + y) * in_width + x;
                        let value = rectified(activations[at as usize], relu);
                        let taps = weight + input * area + ky * kernel + kx;
                        #[unroll]
                        for at in 0..comptime!(GROUP) {
                            let channel = (output + at).min(outputs - 1);
                            sums[at as usize] += value * weights[(taps + channel * inputs * area) as usize];
                        }
                    }
                }
            }
        }
    }
    let channels = read(table, record, field::RESULT_CHANNELS);
    let channel = read(table, record, field::RESULT_FIRST) + output;
    let result = read(table, record, field::RESULT) + (sample * channels + channel) * height * width;
    #[unroll]
    for at in 0..comptime!(GROUP) {
        if output + at < outputs {
            activations[(result + (at * height + row) * width + column) as usize] = sums[at as usize];
        }
    }
}
