//! Dense convolution with the tiles of AMX.
//!
//! The pixels of a tile are up to 16 output positions at equal distances in memory, its bytes up to
//! 64 that are adjacent: channels of one tap, or of several taps that are neighbours in memory. The
//! packed weights are a tile as they are: each row has four inputs of 16 outputs.
//!
//! Contract: the same sums as with vectors, since integers are exact.

use std::mem::MaybeUninit;

use super::{Dense, GROUP, LANES};
use crate::image::{Extent, View};
use crate::int8::amx::{ROW_BYTES, ROWS, Shapes, Tiles};
use crate::int8::simd::{Integers, Vnni};
use crate::region::Region;

/// Tiles of sums that are computed together.
const SUMS: usize = 4;

/// The call of a convolution, divided into tiles.
pub(super) struct Tiled<'a> {
    dense: &'a Dense,
    region: &'a Region<'a>,
    lines: Lines,
    /// Taps that are neighbours in memory, and so are one run of bytes.
    merged: usize,
}

/// Lines of output positions at equal distances in memory.
#[derive(Clone, Copy)]
struct Lines {
    count: usize,
    len: usize,
    /// Positions from one row of pixels to the next in a line. Those that are no pixels lie in the
    /// border; their sums are not written.
    pitch: usize,
}

impl Lines {
    /// A line for each row, or one for all of them if that needs fewer tiles.
    fn of(region: &Region<'_>) -> Self {
        let (rows, columns) = (region.extent.rows, region.extent.columns);
        let single = Self {
            count: rows,
            len: columns,
            pitch: columns,
        };
        let View { row, pixel, .. } = region.source;
        if pixel == 0 || row % pixel != 0 || row / pixel < columns {
            return single;
        }
        let pitch = row / pixel;
        let all = Self {
            count: 1,
            len: (rows - 1) * pitch + columns,
            pitch,
        };
        if all.tiles() < single.tiles() { all } else { single }
    }

    fn tiles(&self) -> usize {
        self.count * self.len.div_ceil(ROWS)
    }

    /// Positions of a tile.
    fn rows(&self) -> usize {
        self.len.min(ROWS)
    }
}

/// Output positions, one after another in a line.
#[derive(Clone, Copy, Default)]
struct Tile {
    /// Where the first one reads.
    from: usize,
    /// How many of them the tile before has: the last tile of a line begins early enough to be as
    /// long as all others.
    known: usize,
    /// Row and column of the first one after those.
    pixel: (usize, usize),
}

/// A walk over the tiles of a call, line after line.
struct Walk {
    lines: Lines,
    source: View,
    line: usize,
    /// The position in the line.
    position: usize,
    pixel: (usize, usize),
}

impl Walk {
    fn next(&mut self) -> Tile {
        let Self {
            lines,
            source,
            position,
            ..
        } = *self;
        let start = position.min(lines.len - lines.rows());
        let tile = Tile {
            from: source.at + self.line * source.row + start * source.pixel,
            known: position - start,
            pixel: self.pixel,
        };
        self.position += ROWS;
        self.pixel.1 += ROWS;
        if self.position >= lines.len {
            self.line += 1;
            self.position = 0;
            self.pixel = (self.line, 0);
        }
        while self.pixel.1 >= lines.pitch {
            self.pixel.0 += 1;
            self.pixel.1 -= lines.pitch;
        }
        tile
    }
}

impl<'a> Tiled<'a> {
    pub(super) fn new(dense: &'a Dense, region: &'a Region<'a>) -> Self {
        Self {
            dense,
            region,
            lines: Lines::of(region),
            merged: merged(region.taps, dense.groups * GROUP),
        }
    }

    /// Whether tiles are faster than vectors. The numbers are cycles of the products, fitted to
    /// measurements on Sapphire Rapids; what follows the products takes as long with either.
    pub(super) fn pays(&self) -> bool {
        let Extent { rows, columns } = self.region.extent;
        let (blocks, taps) = (self.dense.scaling.blocks(), self.dense.taps);
        let steps = taps / self.merged * self.run_bytes().div_ceil(ROW_BYTES);
        let tiles = 300 + blocks * self.lines.tiles() * (20 * steps + 40);
        let vectors = rows * columns * blocks * taps * self.dense.groups / 2;
        tiles < vectors
    }

    /// Bytes of a run of merged taps.
    fn run_bytes(&self) -> usize {
        self.merged * self.dense.groups * GROUP
    }

    /// # Safety
    /// Requires tiles and the instructions of [`Vnni`]; the region was checked, and the weights
    /// have its taps.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
    pub(super) unsafe fn run(&self, source: *const u8, target: *mut u8) {
        let pixels = self.lines.rows();
        let bytes = self.run_bytes();
        let sums = (pixels, size_of::<i32>() * LANES);
        let operands = |bytes: usize| match bytes {
            0 => [(0, 0); 2],
            _ => [(pixels, bytes), (bytes / GROUP, GROUP * LANES)],
        };
        let ([a, b], [c, d]) = (operands(bytes.min(ROW_BYTES)), operands(bytes % ROW_BYTES));
        let mut work = Work {
            call: self,
            // SAFETY: guaranteed by the caller; this thread drops them before it returns.
            tiles: unsafe { Tiles::new(&Shapes::new([sums, sums, sums, sums, a, b, c, d])) },
            source,
            target,
            sums: [const { Sums([const { MaybeUninit::uninit() }; SUMS]) }; 2],
            turn: 0,
            unwritten: None,
        };
        let blocks = self.dense.scaling.blocks();
        // SAFETY: guaranteed by the caller; the tiles and blocks exist.
        unsafe {
            for block in (0..blocks).step_by(2) {
                let mut walk = Walk {
                    lines: self.lines,
                    source: self.region.source,
                    line: 0,
                    position: 0,
                    pixel: (0, 0),
                };
                let mut left = self.lines.tiles();
                if block + 1 < blocks {
                    while left >= 2 {
                        work.products::<2, 2>([walk.next(), walk.next()], block);
                        left -= 2;
                    }
                    if left > 0 {
                        work.products::<1, 2>([walk.next()], block);
                    }
                } else {
                    while left >= 4 {
                        work.products::<4, 1>([walk.next(), walk.next(), walk.next(), walk.next()], block);
                        left -= 4;
                    }
                    while left > 0 {
                        work.products::<1, 1>([walk.next()], block);
                        left -= 1;
                    }
                }
            }
            work.write(work.turn);
        }
    }
}

/// How many taps of `bytes` bytes are neighbours in memory, everywhere in `taps`.
fn merged(taps: &[usize], bytes: usize) -> usize {
    let adjacent = |taps: &[usize]| taps.windows(2).all(|pair| pair[0].checked_add(bytes) == Some(pair[1]));
    let first = taps.windows(2).take_while(|pair| adjacent(pair)).count() + 1;
    if taps.len().is_multiple_of(first) && taps.chunks(first).all(adjacent) {
        first
    } else {
        1
    }
}

/// Sums of tiles.
#[repr(C, align(64))]
struct Sums([MaybeUninit<[[i32; LANES]; ROWS]>; SUMS]);

/// Sums that were computed but not written yet: the first `count` tiles × `blocks` blocks.
#[derive(Clone, Copy)]
struct Unwritten {
    tiles: [Tile; SUMS],
    count: usize,
    block: usize,
    blocks: usize,
}

/// A call that is being computed. While tiles compute sums, vectors write the sums before them.
struct Work<'a> {
    call: &'a Tiled<'a>,
    tiles: Tiles,
    source: *const u8,
    target: *mut u8,
    sums: [Sums; 2],
    turn: usize,
    unwritten: Option<Unwritten>,
}

impl Work<'_> {
    /// The sums of `P` tiles of positions × `O` blocks.
    ///
    /// # Safety
    /// As for [`Tiled::run`]; the tiles and blocks exist.
    #[inline(always)]
    unsafe fn products<const P: usize, const O: usize>(&mut self, tiles: [Tile; P], block: usize) {
        let Tiled {
            dense, region, merged, ..
        } = *self.call;
        let bytes = self.call.run_bytes();
        let left = bytes % ROW_BYTES;
        let step = dense.step();
        // SAFETY: guaranteed by the caller: positions between the first and the last pixel of the
        // region read what lies between, and weights have been counted in the same way when packed.
        unsafe {
            // All rows begin with the biases.
            let bias = |o: usize| dense.scaling.block(block + o).bias().cast();
            self.tiles.load::<0>(bias(0), 0);
            if P * O > 1 {
                self.tiles.load::<1>(bias(1 / P), 0);
            }
            if P * O > 2 {
                self.tiles.load::<2>(bias(2 / P), 0);
                self.tiles.load::<3>(bias(3 / P), 0);
            }
            let mut weights = dense.block(block);
            for &tap in region.taps.iter().step_by(merged) {
                let mut from = tiles.map(|tile| self.source.add(tap + tile.from));
                for _ in 0..bytes / ROW_BYTES {
                    self.add::<P, O, 4, 5>(from, weights, step);
                    from = from.map(|from| from.wrapping_add(ROW_BYTES));
                    weights = weights.wrapping_add(ROW_BYTES * LANES);
                }
                if left > 0 {
                    self.add::<P, O, 6, 7>(from, weights, step);
                    weights = weights.wrapping_add(left * LANES);
                }
            }
            self.turn ^= 1;
            let sums = self.sums[self.turn].0.as_mut_ptr().cast::<[[i32; LANES]; ROWS]>();
            self.tiles.store::<0>(sums.cast());
            if P * O > 1 {
                self.tiles.store::<1>(sums.add(1).cast());
            }
            if P * O > 2 {
                self.tiles.store::<2>(sums.add(2).cast());
                self.tiles.store::<3>(sums.add(3).cast());
            }
            self.write(self.turn ^ 1);
        }
        let mut all = [Tile::default(); SUMS];
        all[..P].copy_from_slice(&tiles);
        self.unwritten = Some(Unwritten {
            tiles: all,
            count: P,
            block,
            blocks: O,
        });
    }

    /// Adds to the sums the products of the bytes at `from` and `O` blocks of weights, every `step`
    /// bytes.
    ///
    /// # Safety
    /// The bytes and weights are valid for the shapes of the tiles.
    #[inline(always)]
    unsafe fn add<const P: usize, const O: usize, const A: usize, const B: usize>(
        &self,
        from: [*const u8; P],
        weights: *const i8,
        step: usize,
    ) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            for o in 0..O {
                self.tiles.load::<B>(weights.add(o * step).cast(), GROUP * LANES);
                for (p, from) in from.into_iter().enumerate() {
                    self.tiles.load::<A>(from, self.call.region.source.pixel);
                    match o * P + p {
                        0 => self.tiles.dot::<0, A, B>(),
                        1 => self.tiles.dot::<1, A, B>(),
                        2 => self.tiles.dot::<2, A, B>(),
                        _ => self.tiles.dot::<3, A, B>(),
                    }
                }
            }
        }
    }

    /// Writes the output of sums, if there are any.
    ///
    /// # Safety
    /// As for [`Tiled::run`].
    #[inline(always)]
    unsafe fn write(&self, turn: usize) {
        let Some(Unwritten {
            tiles,
            count,
            block,
            blocks,
        }) = self.unwritten
        else {
            return;
        };
        let Tiled {
            dense, region, lines, ..
        } = *self.call;
        let (rows, columns) = (lines.rows(), region.extent.columns);
        for (p, tile) in tiles[..count].iter().enumerate() {
            let (mut at, (mut y, mut x)) = (tile.known, tile.pixel);
            while at < rows {
                let pixels = columns.saturating_sub(x).min(rows - at);
                let to = region.target.at + y * region.target.row + x * region.target.pixel;
                // SAFETY: guaranteed by the caller; these sums were stored, and the pixels belong
                // to the region.
                unsafe {
                    let scaling = dense.scaling.block(block);
                    let sums = |o: usize| {
                        self.sums[turn]
                            .0
                            .as_ptr()
                            .add(o * count + p)
                            .cast::<<Vnni as Integers>::Lanes>()
                    };
                    let to = |pixel: usize| self.target.add(to + pixel * region.target.pixel + LANES * block);
                    if blocks == 2 {
                        let (one, two) = (sums(0).add(at), sums(1).add(at));
                        for pixel in 0..pixels {
                            let sums = [one.add(pixel).read(), two.add(pixel).read()];
                            Vnni::store_blocks(sums, scaling, to(pixel));
                        }
                    } else {
                        let sums = sums(0).add(at);
                        for pixel in (0..pixels / 4 * 4).step_by(4) {
                            let four = std::array::from_fn(|next| sums.add(pixel + next).read());
                            Vnni::store_pixels::<4>(four, scaling, std::array::from_fn(|next| to(pixel + next)));
                        }
                        for pixel in pixels / 4 * 4..pixels {
                            Vnni::store(sums.add(pixel).read(), scaling, to(pixel));
                        }
                    }
                }
                at += lines.pitch - x;
                (y, x) = (y + 1, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int8::{Bounds, Level, Scaling, padded};

    /// Numbers without a pattern that a wrong position would keep.
    fn number(at: usize) -> u8 {
        (at.wrapping_mul(0x9E37_79B9) >> 13) as u8
    }

    fn compare(width: usize, (inputs, outputs): (usize, usize), (kernel, stride, dilation): (usize, usize, usize)) {
        let (channels, border) = (padded(inputs), dilation * (kernel - 1));
        let (rows, columns) = (3, width);
        let image = View::packed(stride * width + border, channels);
        let (source, taps) = image.window(kernel, (stride, dilation), 0);
        let region = Region {
            extent: Extent { rows, columns },
            source,
            // A pixel of border on the right.
            target: View::packed(columns + 1, padded(outputs)),
            taps: &taps,
        };
        let len = (stride * rows + border) * image.row;
        let source: Vec<u8> = (0..len).map(number).collect();
        let weights: Vec<i8> = (0..inputs * outputs * taps.len())
            .map(|at| number(at + len) as i8)
            .collect();
        let bias: Vec<i32> = (0..outputs).map(|output| 100 * output as i32 - 900).collect();
        let factor = vec![0.003; outputs];
        let scaling = Scaling::new(&bias, &factor, Bounds::new(99, false));
        let dense = Dense::new(&weights, inputs, outputs, scaling);
        let mut expected = vec![7; rows * region.target.row];
        dense.run(Level::PORTABLE, &region, &source, &mut expected);
        let mut found = vec![7; expected.len()];
        // SAFETY: `run` has checked the region; the caller checks that there are tiles.
        unsafe { Tiled::new(&dense, &region).run(source.as_ptr(), found.as_mut_ptr()) };
        assert!(
            found == expected,
            "{width} pixels, {inputs} to {outputs} channels, {kernel}×{kernel}, stride {stride}, dilation {dilation}"
        );
    }

    #[test]
    fn tiles_compute_the_same_bytes_even_where_they_do_not_pay() {
        if !Level::available()[0].has_tiles() {
            return;
        }
        for width in 1..=33 {
            for inputs in [1, 16, 17, 31, 48, 64, 80, 130] {
                let outputs = [5, 16, 32, 47][(width + inputs) % 4];
                for shape in [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 1, 1)] {
                    compare(width, (inputs, outputs), shape);
                }
            }
        }
    }

    #[test]
    fn only_taps_that_are_neighbours_everywhere_are_merged() {
        assert_eq!(merged(&[0, 16, 32, 160, 176, 192], 16), 3);
        assert_eq!(merged(&[0, 16, 32, 48], 16), 4);
        assert_eq!(merged(&[0, 16, 32, 160, 176], 16), 1);
        assert_eq!(merged(&[0, 16, 160, 177], 16), 1);
        assert_eq!(merged(&[0, 32, 64], 16), 1);
        assert_eq!(merged(&[5], 16), 1);
    }
}
