//! Per-channel values laid out for vectors.
//!
//! A row of NHWC pixels is one flat run of floats in which channels repeat. A *table* holds one
//! value per channel, repeated up to the smallest length that is a multiple of both: lcm(channels,
//! 16). Vector `v` of a row therefore always uses vector `v mod (length / 16)` of the table, for
//! any number of channels.

use crate::simd::LANES;

/// Length of the table of `channels` values: lcm(channels, 16).
pub fn length(channels: usize) -> usize {
    // 16 is a power of two, so its greatest common divisor with a number is the number's lowest set
    // bit, at most 16.
    let shared = (channels & channels.wrapping_neg()).min(LANES);
    channels / shared * LANES
}

/// `channels` rounded up to whole vectors, in floats.
pub fn rounded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// Repeats the first `channels` values of `table` over the rest of it.
pub fn repeat(table: &mut [f32], channels: usize) {
    let (values, rest) = table.split_at_mut(channels);
    for copy in rest.chunks_mut(channels) {
        copy.copy_from_slice(&values[..copy.len()]);
    }
}

/// Writes `values` (one per channel) into `table` and repeats them.
pub fn fill(table: &mut [f32], values: impl IntoIterator<Item = f32>, channels: usize) {
    for (slot, value) in table.iter_mut().zip(values.into_iter().take(channels)) {
        *slot = value;
    }
    repeat(table, channels);
}

/// Sums the repetitions of each channel into `sums`, for the first `channels` channels.
pub fn fold(table: &[f32], channels: usize, sums: &mut [f32]) {
    for (channel, sum) in sums[..channels].iter_mut().enumerate() {
        *sum = total(table, channels, channel);
    }
}

/// The sum of the repetitions of one channel.
pub(crate) fn total(table: &[f32], channels: usize, channel: usize) -> f32 {
    let (mut sum, mut at) = (table[channel], channel + channels);
    while at < table.len() {
        sum += table[at];
        at += channels;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_least_common_multiple() {
        for (channels, expected) in [
            (1, 16),
            (3, 48),
            (8, 16),
            (16, 16),
            (17, 272),
            (36, 144),
            (48, 48),
            (64, 64),
        ] {
            assert_eq!(length(channels), expected);
        }
    }

    #[test]
    fn folding_sums_the_repetitions() {
        let mut table = vec![0.0; length(3)];
        fill(&mut table, [1.0, 2.0, 3.0], 3);
        let mut sums = [0.0; 3];
        fold(&table, 3, &mut sums);
        assert_eq!(sums, [16.0, 32.0, 48.0]);
    }
}
