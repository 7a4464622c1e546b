//! Batch norm: statistics in the forward pass, coefficients of the gradient in the backward pass.
//!
//! With n elements per channel, mean m, inverse deviation s, scale γ and the gradient g of the
//! output, the gradient of x is `γs (g − mean(g) − x̂ mean(g x̂))`, x̂ = (x − m) s. This is linear
//! in g and x, so it is never stored.

use cubecl::prelude::*;

use super::super::table::{NONE, SLOT_FIELDS, field, mode, slot};
use super::{THREADS, kept, of_slot, read, total};

/// Numbers that a thread loads at the same time; it has as many partial sums.
const AT_ONCE: u32 = 4;

/// Statistics and scale of every channel. Grid: 1 × channels × records. `given` holds running means
/// followed by variances.
#[cube(launch_unchecked)]
pub fn statistics(
    activations: &[f32],
    norms: &mut [f32],
    weights: &[f32],
    given: &[f32],
    table: &[u32],
    first: u32,
    batch: u32,
    norm_channels: u32,
    epsilon: f32,
) {
    let record = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, record, field::RESULT_CHANNELS);
    if channel >= channels {
        terminate!();
    }
    let area = read(table, record, field::OUT_HEIGHT) * read(table, record, field::OUT_WIDTH);
    let count = batch * area;
    // The thread's pixel and sample, and how many of them the cube reads at a time: adjacent
    // threads read adjacent numbers.
    let pixels = area.min(comptime!(THREADS));
    let samples = comptime!(THREADS) / pixels;
    let own_pixel = UNIT_POS % pixels;
    let own_sample = UNIT_POS / pixels;
    let result = read(table, record, field::RESULT);
    let slot = read(table, record, field::SLOT) + channel;
    let source = read(table, record, field::MODE);
    let mut shared = Shared::new_slice(comptime!(THREADS as usize));

    let mut mean = 0.0f32;
    let mut variance = 0.0f32;
    let mut unbiased = 0.0f32;
    if source == comptime!(mode::BATCH) {
        // Deviations from one of the values, which may be closer to the mean than zero is.
        let pivot = activations[(result + channel * area) as usize];
        let mut sums = Array::<f32>::new(comptime!(AT_ONCE as usize));
        let mut products = Array::<f32>::new(comptime!(AT_ONCE as usize));
        #[unroll]
        for at in 0..comptime!(AT_ONCE) {
            sums[at as usize] = 0.0f32;
            products[at as usize] = 0.0f32;
        }
        for pixel_turn in 0..area.div_ceil(pixels) {
            let pixel = pixel_turn * pixels + own_pixel;
            for turn in 0..batch.div_ceil(samples * comptime!(AT_ONCE)) {
                #[unroll]
                for at in 0..comptime!(AT_ONCE) {
                    let sample = (turn * comptime!(AT_ONCE) + at) * samples + own_sample;
                    if pixel < area && sample < batch && own_sample < samples {
                        let off = activations[(result + (sample * channels + channel) * area + pixel) as usize] - pivot;
                        sums[at as usize] += off;
                        products[at as usize] += off * off;
                    }
                }
            }
        }
        shared[UNIT_POS as usize] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        let off = total(&mut shared) / count as f32;
        shared[UNIT_POS as usize] = (products[0] + products[1]) + (products[2] + products[3]);
        let mut squares = total(&mut shared) - off * off * count as f32;
        if squares < 0.0f32 {
            squares = 0.0f32;
        }
        mean = pivot + off;
        variance = squares / count as f32;
        unbiased = squares / (count - 1).max(1) as f32;
    } else if source == comptime!(mode::RUNNING) {
        mean = given[slot as usize];
        variance = given[(norm_channels + slot) as usize];
        unbiased = variance;
    }
    if UNIT_POS == 0 {
        let mut inverse = 1.0f32;
        if source != comptime!(mode::UNIT) {
            inverse = 1.0f32 / (variance + epsilon).sqrt();
        }
        let mut scale = inverse;
        let mut shift = -mean * inverse;
        let gamma = read(table, record, field::GAMMA);
        if gamma != comptime!(NONE) {
            scale = inverse * weights[(gamma + channel) as usize];
            shift = weights[(gamma + channels + channel) as usize] - mean * scale;
        }
        let at = slot * comptime!(SLOT_FIELDS);
        norms[(at + comptime!(slot::MEAN)) as usize] = mean;
        norms[(at + comptime!(slot::VARIANCE)) as usize] = unbiased;
        norms[(at + comptime!(slot::INVERSE_DEVIATION)) as usize] = inverse;
        norms[(at + comptime!(slot::SCALE)) as usize] = scale;
        norms[(at + comptime!(slot::SHIFT)) as usize] = shift;
    }
}

/// The coefficients of every channel's gradient, and the gradients of scale, shift, bias and
/// mixture. Grid as for [`statistics`]. Weight gradients go to the first slice of `partials`.
#[cube(launch_unchecked)]
pub fn norm_gradient(
    activations: &[f32],
    gradients: &[f32],
    norms: &mut [f32],
    mixture: &[f32],
    drops: &[f32],
    partials: &mut [f32],
    table: &[u32],
    first: u32,
    batch: u32,
    #[comptime] drop: bool,
    #[comptime] of_weights: bool,
) {
    let record = first + CUBE_POS_Z;
    let channel = CUBE_POS_Y;
    let channels = read(table, record, field::RESULT_CHANNELS);
    if channel >= channels {
        terminate!();
    }
    let area = read(table, record, field::OUT_HEIGHT) * read(table, record, field::OUT_WIDTH);
    let count = batch * area;
    // The thread's pixel and sample, and how many of them the cube reads at a time: adjacent
    // threads read adjacent numbers.
    let pixels = area.min(comptime!(THREADS));
    let samples = comptime!(THREADS) / pixels;
    let own_pixel = UNIT_POS % pixels;
    let own_sample = UNIT_POS / pixels;
    let result = read(table, record, field::RESULT);
    let gradient = read(table, record, field::GRADIENT);
    let choice = read(table, record, field::CHOICE);
    let slot = read(table, record, field::SLOT) + channel;
    let numbers = slot * comptime!(SLOT_FIELDS);
    let mean = norms[(numbers + comptime!(slot::MEAN)) as usize];
    let inverse = norms[(numbers + comptime!(slot::INVERSE_DEVIATION)) as usize];
    let scale = norms[(numbers + comptime!(slot::SCALE)) as usize];
    let shift = norms[(numbers + comptime!(slot::SHIFT)) as usize];
    let mut shared = Shared::new_slice(comptime!(THREADS as usize));

    let mut sums = Array::<f32>::new(comptime!(AT_ONCE as usize));
    let mut products = Array::<f32>::new(comptime!(AT_ONCE as usize));
    #[unroll]
    for at in 0..comptime!(AT_ONCE) {
        sums[at as usize] = 0.0f32;
        products[at as usize] = 0.0f32;
    }
    for pixel_turn in 0..area.div_ceil(pixels) {
        let pixel = pixel_turn * pixels + own_pixel;
        for turn in 0..batch.div_ceil(samples * comptime!(AT_ONCE)) {
            #[unroll]
            for at in 0..comptime!(AT_ONCE) {
                let sample = (turn * comptime!(AT_ONCE) + at) * samples + own_sample;
                if pixel < area && sample < batch && own_sample < samples {
                    let element = (sample * channels + channel) * area + pixel;
                    let g = gradients[(gradient + element) as usize] * kept(drops, choice, batch, sample, drop);
                    sums[at as usize] += g;
                    products[at as usize] += g * (activations[(result + element) as usize] - mean);
                }
            }
        }
    }
    shared[UNIT_POS as usize] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    let sum = total(&mut shared);
    shared[UNIT_POS as usize] = (products[0] + products[1]) + (products[2] + products[3]);
    let product = total(&mut shared) * inverse;
    if UNIT_POS == 0 {
        let mut weight = 1.0f32;
        if choice != comptime!(NONE) {
            weight = mixture[choice as usize];
        }
        let of_g = weight * scale;
        let mut of_x = 0.0f32;
        let mut rest = 0.0f32;
        if read(table, record, field::MODE) == comptime!(mode::BATCH) {
            of_x = -of_g * inverse * product / count as f32;
            rest = -of_g * sum / count as f32 - of_x * mean;
        }
        let at = slot * comptime!(SLOT_FIELDS);
        norms[(at + comptime!(slot::OF_G)) as usize] = of_g;
        norms[(at + comptime!(slot::OF_X)) as usize] = of_x;
        norms[(at + comptime!(slot::REST)) as usize] = rest;
        let place = read(table, record, field::GAMMA);
        let mut of_mixture = product;
        if place != comptime!(NONE) {
            // The norm's own scale and shift.
            of_mixture = scale / inverse * product + (shift + mean * scale) * sum;
        }
        norms[(at + comptime!(slot::OF_MIXTURE)) as usize] = of_mixture;
        if of_weights {
            if place != comptime!(NONE) {
                partials[(place + channel) as usize] = weight * product;
                partials[(place + channels + channel) as usize] = weight * sum;
            }
            let bias = read(table, record, field::BIAS);
            if bias != comptime!(NONE) {
                // The sum of the gradients of x; before a norm over the batch it is zero up to
                // rounding.
                let count = count as f32;
                partials[(bias + channel) as usize] = of_g * sum + of_x * count * mean + rest * count;
            }
        }
    }
}

/// The gradient of the mixture: each thread sums one choice's channels. `places` holds the first
/// slot and the number of channels of each choice; the number is 0 for choices that were not
/// computed.
#[cube(launch_unchecked)]
pub fn mixture_gradient(norms: &[f32], places: &[u32], result: &mut [f32], choices: u32) {
    let choice = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * CUBE_DIM_X + UNIT_POS_X;
    if choice >= choices {
        terminate!();
    }
    let first = places[(2 * choice) as usize];
    let channels = places[(2 * choice + 1) as usize];
    let mut sum = 0.0f32;
    for channel in 0..channels {
        sum += of_slot(norms, first + channel, slot::OF_MIXTURE);
    }
    result[choice as usize] = sum;
}

/// Means and unbiased variances of `live` channels, and zeros elsewhere, as two consecutive
/// vectors.
#[cube(launch_unchecked)]
pub fn seen_statistics(norms: &[f32], live: &[u32], result: &mut [f32], channels: u32) {
    let channel = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * CUBE_DIM_X + UNIT_POS_X;
    if channel >= channels {
        terminate!();
    }
    let mut mean = 0.0f32;
    let mut variance = 0.0f32;
    if live[channel as usize] != 0 {
        mean = of_slot(norms, channel, slot::MEAN);
        variance = of_slot(norms, channel, slot::VARIANCE);
    }
    result[channel as usize] = mean;
    result[(channels + channel) as usize] = variance;
}
