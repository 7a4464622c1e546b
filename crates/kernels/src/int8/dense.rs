//! Dense convolution with any kernel, stride and dilation, pointwise included.
//!
//! As in [`crate::dense`], a tile of output pixels × output channels stays in registers across all
//! taps and input channels, and a tap is an offset in the image, which is read in place.

use super::level::{Level, per_level};
use super::output::Scaling;
use super::simd::Integers;
use super::{LANES, padded};
use crate::region::Region;

#[cfg(target_arch = "x86_64")]
mod tiles;

/// Input channels whose products one instruction sums.
const GROUP: usize = 4;

/// Weights `[16][4]` of 16 outputs and four inputs, in one cache line: a read of two lines takes
/// twice as long, in a tile several times.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Matrix([[i8; GROUP]; LANES]);

/// The packed weights of a convolution.
#[derive(Clone, Debug)]
pub struct Dense {
    /// `[outputs/16][taps][inputs/4]`.
    weights: Vec<Matrix>,
    taps: usize,
    /// Groups of four input channels.
    groups: usize,
    scaling: Scaling,
}

impl Dense {
    /// Packs PyTorch weights `[outputs, inputs, k, k]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn new(weights: &[i8], inputs: usize, outputs: usize, scaling: Scaling) -> Self {
        let taps = weights.len() / (inputs * outputs);
        assert_eq!(weights.len(), taps * inputs * outputs, "weights of a convolution");
        assert_eq!(scaling.outputs(), padded(outputs), "scales of a convolution");
        let groups = inputs.div_ceil(GROUP);
        let mut packed = vec![Matrix([[0; GROUP]; LANES]); scaling.blocks() * taps * groups];
        for (output, row) in weights.chunks_exact(inputs * taps).enumerate() {
            for (input, kernel) in row.chunks_exact(taps).enumerate() {
                for (tap, &weight) in kernel.iter().enumerate() {
                    let matrix = (output / LANES * taps + tap) * groups + input / GROUP;
                    packed[matrix].0[output % LANES][input % GROUP] = weight;
                }
            }
        }
        Self {
            weights: packed,
            taps,
            groups,
            scaling,
        }
    }

    /// Bytes of the weights of a block of outputs.
    fn step(&self) -> usize {
        self.taps * self.groups * size_of::<Matrix>()
    }

    /// The weights of a block.
    ///
    /// # Safety
    /// The block exists.
    #[inline(always)]
    unsafe fn block(&self, block: usize) -> *const i8 {
        // SAFETY: guaranteed by the caller.
        unsafe { self.weights.as_ptr().cast::<i8>().add(block * self.step()) }
    }

    /// Computes the output pixels of `region`, all channels.
    ///
    /// # Panics
    /// If the region does not fit the slices or the weights.
    pub fn run(&self, level: Level, region: &Region<'_>, source: &[u8], target: &mut [u8]) {
        if region.is_empty() {
            return;
        }
        assert_eq!(region.taps.len(), self.taps, "taps of a convolution");
        region.check(
            (self.groups * GROUP, source.len()),
            (self.scaling.outputs(), target.len()),
        );
        #[cfg(target_arch = "x86_64")]
        if level.has_tiles() {
            let tiled = tiles::Tiled::new(self, region);
            if tiled.pays() {
                // SAFETY: the level has the instructions; the rest as below.
                return unsafe { tiled.run(source.as_ptr(), target.as_mut_ptr()) };
            }
        }
        // SAFETY: the region was checked against both slices, and the weights have its taps.
        unsafe { run_dense(level, self, region, source.as_ptr(), target.as_mut_ptr()) }
    }
}

per_level! {
    unsafe fn run_dense(dense: &Dense, region: &Region<'_>, source: *const u8, target: *mut u8) = dense_body;
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
unsafe fn dense_body<S: Integers>(dense: &Dense, region: &Region<'_>, source: *const u8, target: *mut u8) {
    let blocks = dense.scaling.blocks();
    let count = blocks.div_ceil(S::BLOCKS);
    for column in 0..count {
        // Columns of nearly equal width.
        let (first, next) = (column * blocks / count, (column + 1) * blocks / count);
        let panel = Panel {
            dense,
            region,
            source,
            target,
            first,
        };
        // SAFETY: guaranteed by the caller; the blocks exist.
        unsafe {
            match (S::BLOCKS, next - first) {
                (1, _) if S::PIXELS == 2 => panel.run::<S, 2, 1>(),
                (1, _) => panel.run::<S, 4, 1>(),
                (_, 1) => panel.run::<S, 12, 1>(),
                (_, 2) => panel.run::<S, 12, 2>(),
                (_, 3) => panel.run::<S, 8, 3>(),
                _ => panel.run::<S, 6, 4>(),
            }
        }
    }
}

/// All pixels × some blocks of output channels.
struct Panel<'a> {
    dense: &'a Dense,
    region: &'a Region<'a>,
    source: *const u8,
    target: *mut u8,
    /// The first block.
    first: usize,
}

impl Panel<'_> {
    /// Tiles of `R` pixels × `V` blocks, then of fewer pixels.
    ///
    /// # Safety
    /// Requires the instructions of `S` and a checked region; the blocks exist.
    #[inline(always)]
    unsafe fn run<S: Integers, const R: usize, const V: usize>(&self) {
        let mut pixels = self.region.pixels();
        // SAFETY: guaranteed by the caller; the pixels belong to the region.
        unsafe {
            while let Some([from, to]) = pixels.next::<R>() {
                self.tile::<S, R, V>(from, to);
            }
            if R > 4 {
                while let Some([from, to]) = pixels.next::<4>() {
                    self.tile::<S, 4, V>(from, to);
                }
            }
            while let Some([from, to]) = pixels.next::<1>() {
                self.tile::<S, 1, V>(from, to);
            }
        }
    }

    /// # Safety
    /// As for [`Panel::run`]; the positions are those of pixels of the region.
    #[inline(always)]
    unsafe fn tile<S: Integers, const R: usize, const V: usize>(&self, from: [usize; R], to: [usize; R]) {
        let dense = self.dense;
        let step = dense.step();
        // SAFETY: guaranteed by the caller; weights have been counted in the same way when packed.
        unsafe {
            let mut weights = dense.block(self.first);
            let scaling = dense.scaling.block(self.first);
            let mut biases = [S::sums(scaling.bias()); V];
            for (v, bias) in biases.iter_mut().enumerate().skip(1) {
                *bias = S::sums(scaling.after(v).bias());
            }
            let mut sums = [biases; R];
            for &tap in self.region.taps {
                let source = self.source.add(tap);
                for group in 0..dense.groups {
                    let mut w = [S::weights(weights); V];
                    for (v, w) in w.iter_mut().enumerate().skip(1) {
                        *w = S::weights(weights.add(v * step));
                    }
                    for (sums, from) in sums.iter_mut().zip(from) {
                        let x = S::spread(source.add(from + GROUP * group));
                        for (sum, &w) in sums.iter_mut().zip(&w) {
                            *sum = S::dot(*sum, x, w);
                        }
                    }
                    // After the last group this may point past the weights, where nothing is read.
                    weights = weights.wrapping_add(LANES * GROUP);
                }
            }
            if V == 1 {
                let to = to.map(|to| self.target.add(to + LANES * self.first));
                S::store_pixels(sums.map(|sums| S::lanes(sums[0])), scaling, to);
            } else {
                for (sums, to) in sums.into_iter().zip(to) {
                    let to = self.target.add(to + LANES * self.first);
                    S::store_blocks(sums.map(|sum| S::lanes(sum)), scaling, to);
                }
            }
        }
    }
}
