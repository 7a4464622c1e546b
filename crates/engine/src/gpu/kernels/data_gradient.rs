//! Gradients of the inputs of convolutions and pools.
//!
//! Each gradient is computed by one thread, which goes through the target's records in order. No
//! two threads add to the same number, so the order of the sum is fixed.

use cubecl::prelude::*;

use super::super::table::{NONE, PAD_BIAS, field, kind, slot};
use super::{GROUP, before_norm, kept, of_slot, read, tap};

/// What is needed to read a depthwise convolution's gradient for one element.
#[derive(CubeType, Clone)]
struct DepthwiseGradient {
    gradient: u32,
    taps: u32,
    row: u32,
    column: u32,
    height: u32,
    width: u32,
    stride: u32,
    dilation: u32,
    padding: u32,
}

/// The row or column of the result that the tap of `position` contributes to; an index out of range
/// if there is none. `padding` includes `PAD_BIAS`, which is subtracted before the division: a
/// position before the first row wraps around to a large number.
#[cube]
fn reached(position: u32, tap: u32, stride: u32, dilation: u32, padding: u32) -> u32 {
    let mut at = position + padding - tap * dilation - comptime!(PAD_BIAS);
    // Divisions take longer than everything else.
    if stride != 1 {
        if at % stride == 0 {
            at /= stride;
        } else {
            at = comptime!(NONE).runtime();
        }
    }
    at
}

/// One tap's product, zero if the tap contributes to nothing.
#[cube]
fn product(gradients: &mut [f32], weights: &[f32], window: &DepthwiseGradient, ky: u32, kx: u32, kernel: u32) -> f32 {
    let y = reached(window.row, ky, window.stride, window.dilation, window.padding);
    let x = reached(window.column, kx, window.stride, window.dilation, window.padding);
    let mut result = 0.0f32;
    if y < window.height && x < window.width {
        result = gradients[(window.gradient + y * window.width + x) as usize]
            * weights[(window.taps + ky * kernel + kx) as usize];
    }
    result
}

#[cube]
fn unrolled(gradients: &mut [f32], weights: &[f32], window: &DepthwiseGradient, #[comptime] side: u32) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for ky in 0..side {
        #[unroll]
        for kx in 0..side {
            sum += product(gradients, weights, window, ky, kx, side);
        }
    }
    sum
}

/// For depthwise convolutions. Grid: elements of a channel over the batch × channels × targets.
#[cube(launch_unchecked)]
pub fn depthwise(
    activations: &[f32],
    gradients: &mut [f32],
    weights: &[f32],
    norms: &[f32],
    table: &[u32],
    first: u32,
    batch: u32,
) {
    let target = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, target, field::INPUTS);
    let in_height = read(table, target, field::IN_HEIGHT);
    let in_width = read(table, target, field::IN_WIDTH);
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if channel >= channels || element >= batch * in_height * in_width {
        terminate!();
    }
    let column = element % in_width;
    let row = element / in_width % in_height;
    let sample = element / (in_width * in_height);
    let at = (sample * channels + channel) * in_height * in_width + row * in_width + column;
    let place = (read(table, target, field::TARGET) + at) as usize;
    let mut sum = 0.0f32;
    if read(table, target, field::ADDS) != 0 {
        sum = gradients[place];
    }
    let begin = read(table, target, field::FIRST);
    for record in begin..begin + read(table, target, field::COUNT) {
        let slot = read(table, record, field::SOURCE_SLOT);
        let mut value = activations[(read(table, record, field::SOURCE) + at) as usize];
        if slot != comptime!(NONE) {
            value = value * of_slot(norms, slot + channel, slot::SCALE) + of_slot(norms, slot + channel, slot::SHIFT);
        }
        // A depthwise convolution always reads its source through ReLU.
        if value > 0.0f32 {
            let kernel = read(table, record, field::KERNEL);
            let stride = read(table, record, field::STRIDE);
            let dilation = read(table, record, field::DILATION);
            let padding = read(table, record, field::PADDING);
            let height = read(table, record, field::OUT_HEIGHT);
            let width = read(table, record, field::OUT_WIDTH);
            let taps = read(table, record, field::WEIGHT) + channel * kernel * kernel;
            let image = (sample * channels + channel) * height * width;
            let gradient = read(table, record, field::GRADIENT) + image;
            let window = DepthwiseGradient {
                gradient,
                taps,
                row,
                column,
                height,
                width,
                stride,
                dilation,
                padding,
            };
            if kernel == 3 {
                sum += unrolled(gradients, weights, &window, 3u32);
            } else if kernel == 5 {
                sum += unrolled(gradients, weights, &window, 5u32);
            } else {
                for ky in 0..kernel {
                    for kx in 0..kernel {
                        sum += product(gradients, weights, &window, ky, kx, kernel);
                    }
                }
            }
        }
    }
    gradients[place] = sum;
}

/// For dense convolutions: each thread computes [`GROUP`] channels. Grid: pixels of the batch ×
/// groups of channels × targets.
#[cube(launch_unchecked)]
pub fn dense(
    activations: &[f32],
    gradients: &mut [f32],
    weights: &[f32],
    norms: &[f32],
    drops: &[f32],
    table: &[u32],
    first: u32,
    batch: u32,
    #[comptime] drop: bool,
) {
    let target = first + CUBE_POS_Z;
    let inputs = read(table, target, field::INPUTS);
    let input = CUBE_POS_Y * comptime!(GROUP);
    let in_height = read(table, target, field::IN_HEIGHT);
    let in_width = read(table, target, field::IN_WIDTH);
    let in_area = in_height * in_width;
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if input >= inputs || element >= batch * in_area {
        terminate!();
    }
    let column = element % in_width;
    let row = element / in_width % in_height;
    let sample = element / in_area;
    let at = (sample * inputs + input) * in_area + element % in_area;
    let place = read(table, target, field::TARGET) + at;
    let mut sums = Array::<f32>::new(comptime!(GROUP as usize));
    let mut own = Array::<f32>::new(comptime!(GROUP as usize));
    #[unroll]
    for channel in 0..comptime!(GROUP) {
        sums[channel as usize] = 0.0f32;
        if read(table, target, field::ADDS) != 0 && input + channel < inputs {
            sums[channel as usize] = gradients[(place + channel * in_area) as usize];
        }
    }
    let begin = read(table, target, field::FIRST);
    for record in begin..begin + read(table, target, field::COUNT) {
        let kernel = read(table, record, field::KERNEL);
        let area = kernel * kernel;
        let stride = read(table, record, field::STRIDE);
        let dilation = read(table, record, field::DILATION);
        let padding = read(table, record, field::PADDING);
        let height = read(table, record, field::OUT_HEIGHT);
        let width = read(table, record, field::OUT_WIDTH);
        let weight = read(table, record, field::WEIGHT);
        let outputs = read(table, record, field::OUTPUTS);
        let channels = read(table, record, field::RESULT_CHANNELS);
        let result_first = read(table, record, field::RESULT_FIRST);
        let gradient_at = read(table, record, field::GRADIENT);
        let result_at = read(table, record, field::RESULT);
        let slots = read(table, record, field::SLOT);
        let factor = kept(drops, read(table, record, field::CHOICE), batch, sample, drop);
        #[unroll]
        for channel in 0..comptime!(GROUP) {
            own[channel as usize] = 0.0f32;
        }
        for ky in 0..kernel {
            let y = reached(row, ky, stride, dilation, padding);
            if y < height {
                for kx in 0..kernel {
                    let x = reached(column, kx, stride, dilation, padding);
                    if x < width {
                        for output in 0..outputs {
                            let channel = result_first + output;
                            let result = ((sample * channels + channel) * height + y) * width + x;
                            let gradient = before_norm(
                                gradients[(gradient_at + result) as usize],
                                activations[(result_at + result) as usize],
                                norms,
                                slots,
                                channel,
                                factor,
                            );
                            let taps = weight + output * inputs * area + ky * kernel + kx;
                            #[unroll]
                            for channel in 0..comptime!(GROUP) {
                                let from = (input + channel).min(inputs - 1);
                                own[channel as usize] += gradient * weights[(taps + from * area) as usize];
                            }
                        }
                    }
                }
            }
        }
        let relu = read(table, record, field::RELU);
        let begin = read(table, record, field::SOURCE) + at;
        #[unroll]
        for channel in 0..comptime!(GROUP) {
            if input + channel < inputs {
                let mut passes = true;
                if relu != 0 {
                    passes = activations[(begin + channel * in_area) as usize] > 0.0f32;
                }
                if passes {
                    sums[channel as usize] += own[channel as usize];
                }
            }
        }
    }
    #[unroll]
    for channel in 0..comptime!(GROUP) {
        if input + channel < inputs {
            gradients[(place + channel * in_area) as usize] = sums[channel as usize];
        }
    }
}

/// Number of rows or columns of a window that lie within `side`.
#[cube]
fn inside(position: u32, kernel: u32, stride: u32, padding: u32, side: u32) -> u32 {
    let mut count = 0u32;
    for at in 0..kernel {
        if tap(position, at, stride, 1u32, padding) < side {
            count += 1;
        }
    }
    count
}

/// For pools and identities. Grid: elements of a channel over the batch × channels × targets.
#[cube(launch_unchecked)]
pub fn pool(
    activations: &[f32],
    gradients: &mut [f32],
    norms: &[f32],
    drops: &[f32],
    table: &[u32],
    first: u32,
    batch: u32,
    #[comptime] drop: bool,
) {
    let target = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, target, field::INPUTS);
    let in_height = read(table, target, field::IN_HEIGHT);
    let in_width = read(table, target, field::IN_WIDTH);
    let element = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    if channel >= channels || element >= batch * in_height * in_width {
        terminate!();
    }
    let column = element % in_width;
    let row = element / in_width % in_height;
    let sample = element / (in_width * in_height);
    let plane = (sample * channels + channel) * in_height * in_width;
    let at = plane + row * in_width + column;
    let place = (read(table, target, field::TARGET) + at) as usize;
    let mut sum = 0.0f32;
    if read(table, target, field::ADDS) != 0 {
        sum = gradients[place];
    }
    let begin = read(table, target, field::FIRST);
    for record in begin..begin + read(table, target, field::COUNT) {
        let factor = kept(drops, read(table, record, field::CHOICE), batch, sample, drop);
        let what = read(table, record, field::KIND);
        let gradient_at = read(table, record, field::GRADIENT);
        let result_at = read(table, record, field::RESULT);
        let slots = read(table, record, field::SLOT);
        if what == comptime!(kind::IDENTITY) {
            sum += before_norm(
                gradients[(gradient_at + at) as usize],
                activations[(result_at + at) as usize],
                norms,
                slots,
                channel,
                factor,
            );
        } else {
            let kernel = read(table, record, field::KERNEL);
            let stride = read(table, record, field::STRIDE);
            let padding = read(table, record, field::PADDING);
            let height = read(table, record, field::OUT_HEIGHT);
            let width = read(table, record, field::OUT_WIDTH);
            let image = read(table, record, field::SOURCE) + plane;
            let own = row * in_width + column;
            let value = activations[(image + own) as usize];
            let slot = slots + channel;
            let of_g = of_slot(norms, slot, slot::OF_G) * factor;
            let of_x = of_slot(norms, slot, slot::OF_X);
            let rest = of_slot(norms, slot, slot::REST);
            for ky in 0..kernel {
                let y = reached(row, ky, stride, 1u32, padding);
                if y < height {
                    for kx in 0..kernel {
                        let x = reached(column, kx, stride, 1u32, padding);
                        if x < width {
                            let result = ((sample * channels + channel) * height + y) * width + x;
                            let pooled = activations[(result_at + result) as usize];
                            let mut share = 0.0f32;
                            if what == comptime!(kind::AVERAGE) {
                                let rows = inside(y, kernel, stride, padding, in_height);
                                share = 1.0f32 / (rows * inside(x, kernel, stride, padding, in_width)) as f32;
                            } else if value == pooled {
                                // The largest value; among equal ones, the first receives the
                                // gradient.
                                share = 1.0f32;
                                for wy in 0..kernel {
                                    let from = tap(y, wy, stride, 1u32, padding);
                                    for wx in 0..kernel {
                                        let beside = tap(x, wx, stride, 1u32, padding);
                                        if from < in_height && beside < in_width {
                                            let pixel = from * in_width + beside;
                                            if pixel < own && activations[(image + pixel) as usize] == pooled {
                                                share = 0.0f32;
                                            }
                                        }
                                    }
                                }
                            }
                            sum += share * (of_g * gradients[(gradient_at + result) as usize] + of_x * pooled + rest);
                        }
                    }
                }
            }
        }
    }
    gradients[place] = sum;
}
