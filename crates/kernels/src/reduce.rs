//! Factorised reduce: two pointwise convolutions of stride 2, the second one shifted by one pixel
//! down and right (zero beyond the border), concatenated along the channels.

use crate::gemm::{self, Region};
use crate::image::{Extent, Padded, View};
use crate::level::Level;
use crate::table;
use crate::taps::Taps;

/// Factorised reduce of images of one size.
#[derive(Clone, Copy, Debug)]
pub struct Reduce {
    /// The input image, with a border of at least one pixel.
    pub image: Padded,
    /// Channels of the output.
    pub outputs: usize,
}

impl Reduce {
    /// Rows and columns of the output.
    pub fn extent(&self) -> Extent {
        Extent {
            rows: self.image.height.div_ceil(2),
            columns: self.image.width.div_ceil(2),
        }
    }

    /// Output channels of each of the two convolutions.
    pub fn halves(&self) -> [usize; 2] {
        [self.outputs / 2, self.outputs - self.outputs / 2]
    }

    /// Floats of the packed weights of the first convolution; those of the second follow.
    pub fn packed_split(&self) -> usize {
        self.image.channels * table::rounded(self.halves()[0])
    }

    /// Floats of the packed weights of both convolutions.
    pub fn packed_len(&self) -> usize {
        self.packed_split() + self.image.channels * table::rounded(self.halves()[1])
    }

    /// Floats of the transposed packing of both convolutions: `[outputs][inputs rounded up to 16]`.
    pub fn transposed_len(&self) -> usize {
        self.outputs * table::rounded(self.image.channels)
    }

    fn region(&self, half: usize) -> Region<'static> {
        let target = View {
            at: half * self.halves()[0],
            ..View::packed(self.extent().columns, self.outputs)
        };
        Region {
            inputs: self.image.channels,
            outputs: self.halves()[half],
            extent: self.extent(),
            source: self.image.view().strided(2, half, half),
            target,
            taps: Taps::point(),
        }
    }

    /// Computes the packed output. `weights` holds both matrices, packed by
    /// [`crate::pointwise::pack`].
    pub fn convolve(&self, level: Level, weights: &[f32], source: &[f32], target: &mut [f32]) {
        assert!(self.image.pad >= 1, "the second convolution reaches over the border");
        let (first, second) = weights.split_at(self.packed_split());
        gemm::product(level, &self.region(0), first, source, false, target);
        gemm::product(level, &self.region(1), second, source, false, target);
    }

    /// Adds the gradient of the weights to `sums` (packed like `weights`).
    pub fn weight_gradient(&self, level: Level, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
        let (first, second) = sums.split_at_mut(self.packed_split());
        gemm::outer(level, &self.region(0), source, gradient, first);
        gemm::outer(level, &self.region(1), source, gradient, second);
    }

    /// Adds the gradient of the image to `target` (packed, no border). `weights` is the matrix
    /// `[outputs, inputs]` of both, packed by [`crate::pointwise::pack_transposed`].
    pub fn input_gradient(&self, level: Level, weights: &[f32], gradient: &[f32], target: &mut [f32]) {
        let Padded {
            height,
            width,
            channels,
            ..
        } = self.image;
        let (first, second) = weights.split_at(self.halves()[0] * table::rounded(channels));
        for (half, weights) in [first, second].into_iter().enumerate() {
            let forward = self.region(half);
            let region = Region {
                inputs: forward.outputs,
                outputs: channels,
                extent: Extent {
                    rows: (height + 1 - half) / 2,
                    columns: (width + 1 - half) / 2,
                },
                source: forward.target,
                target: View::packed(width, channels).strided(2, half, half),
                ..forward
            };
            gemm::product(level, &region, weights, gradient, true, target);
        }
    }
}
