//! How a 32-bit sum becomes a byte: scaled in float32, rounded half to even, limited to 0 to 255.

use super::LANES;

/// The values that a tensor can have, as distances from its zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub(super) low: f32,
    pub(super) high: f32,
    pub(super) zero_point: i32,
}

/// Added to a number between −2²² and 2²², it rounds the number to an integer, ties to even; the
/// lowest bits of the sum are that integer.
const ROUNDING: f32 = 12_582_912.0;

impl Bounds {
    /// All of 0 to 255, or with `relu` only what is not below the zero point.
    pub fn new(zero_point: u8, relu: bool) -> Self {
        Self {
            low: if relu { 0.0 } else { -f32::from(zero_point) },
            high: f32::from(255 - zero_point),
            zero_point: zero_point.into(),
        }
    }

    /// The same with numbers of at most `most`, in units of the tensor's scale.
    #[must_use]
    pub fn at_most(self, most: f32) -> Self {
        Self {
            high: self.high.min(most.max(0.0)),
            ..self
        }
    }

    /// The lowest byte.
    pub(super) fn least(&self) -> u8 {
        (self.zero_point + self.low as i32) as u8
    }

    /// The byte of a number in units of the tensor's scale; the lowest one for NaN.
    #[inline(always)]
    pub fn byte(&self, value: f32) -> u8 {
        // NaN is neither above nor below; then `low` is the result, which is at most 0.
        let value = if value > self.low { value } else { self.low };
        let value = if value < self.high { value } else { self.high };
        let rounded = (value + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits());
        rounded.wrapping_add(self.zero_point as u32) as u8
    }
}

/// Bias and factor of each output of a convolution, and the bounds of its result.
#[derive(Clone, Debug)]
pub struct Scaling {
    blocks: Vec<Block>,
    bounds: Bounds,
}

/// Biases and factors of 16 outputs, each in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Block {
    bias: [i32; LANES],
    factor: [f32; LANES],
}

impl Scaling {
    /// An output is bounds(factor · (sum + bias)).
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn new(bias: &[i32], factor: &[f32], bounds: Bounds) -> Self {
        assert_eq!(bias.len(), factor.len(), "an output has a bias and a factor");
        let block = |(biases, factors): (&[i32], &[f32])| {
            let (mut bias, mut factor) = ([0; LANES], [0.0; LANES]);
            bias[..biases.len()].copy_from_slice(biases);
            factor[..factors.len()].copy_from_slice(factors);
            Block { bias, factor }
        };
        let blocks = bias.chunks(LANES).zip(factor.chunks(LANES)).map(block);
        Self {
            blocks: blocks.collect(),
            bounds,
        }
    }

    /// Blocks of 16 outputs.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Outputs in memory.
    pub(super) fn outputs(&self) -> usize {
        LANES * self.blocks()
    }

    /// The part that the outputs of a block use, if the block exists.
    #[inline(always)]
    pub(super) fn block(&self, block: usize) -> BlockScaling {
        BlockScaling {
            block: self.blocks.as_ptr().wrapping_add(block),
            bounds: self.bounds,
        }
    }
}

/// A block, and the bounds.
#[derive(Clone, Copy)]
pub(super) struct BlockScaling {
    block: *const Block,
    pub(super) bounds: Bounds,
}

impl BlockScaling {
    /// Its 16 biases.
    #[inline(always)]
    pub(super) fn bias(self) -> *const i32 {
        self.block.cast()
    }

    /// Its 16 factors, which follow the biases.
    #[inline(always)]
    pub(super) fn factor(self) -> *const f32 {
        self.block.cast::<f32>().wrapping_add(LANES)
    }

    /// That of a later block.
    #[inline(always)]
    pub(super) fn after(self, blocks: usize) -> Self {
        Self {
            block: self.block.wrapping_add(blocks),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_even_and_limited() {
        let all = Bounds::new(10, false);
        for (value, byte) in [
            (0.0, 10),
            (0.5, 10),
            (1.5, 12),
            (-0.5, 10),
            (-1.5, 8),
            (-9.6, 0),
            (-1e30, 0),
            (244.6, 255),
            (f32::INFINITY, 255),
            (f32::NEG_INFINITY, 0),
        ] {
            assert_eq!(all.byte(value), byte, "{value}");
        }
        let rectified = Bounds::new(10, true);
        assert_eq!([-3.0, 0.4, 7.0].map(|value| rectified.byte(value)), [10, 10, 17]);
        assert_eq!(rectified.byte(f32::NAN), 10);
    }
}
