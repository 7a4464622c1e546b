//! Runs the pieces of operations on the image of a call.

use std::ops::Range;

use da2s_kernels::fixed::{Bounds, Depthwise, Memory, Region, channel_sums, padded};
use da2s_kernels::{Extent, Level, Squeeze, View, activation};

use super::claims::Piece;
use super::compile::{Division, Kind, Operation, Program};
use super::layout::Place;

/// The memory of a call, which several threads write to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pointer: *mut f32,
    len: usize,
}

// SAFETY: access goes through unsafe methods whose callers keep the threads apart.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn new(memory: &mut [f32]) -> Self {
        Self {
            pointer: memory.as_mut_ptr(),
            len: memory.len(),
        }
    }

    fn slice(&self, range: Range<usize>) -> *mut [f32] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "a place outside the memory"
        );
        std::ptr::slice_from_raw_parts_mut(self.pointer.wrapping_add(range.start), range.len())
    }
}

/// What a call computes with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub program: &'a Program,
    pub level: Level,
    pub memory: Shared,
}

impl Frame<'_> {
    /// The memory of a place.
    fn slice(&self, place: &Place) -> *mut [f32] {
        self.memory.slice(place.start..place.start + place.len)
    }

    /// Writes the image, which is channels × rows × columns.
    pub(super) fn fill(&self, image: &[f32]) {
        let place = &self.program.image;
        let Extent { rows, columns } = place.extent;
        // SAFETY: no other thread uses the memory yet.
        let memory = unsafe { &mut *self.slice(place) };
        for (channel, plane) in image.chunks(rows * columns).enumerate() {
            for (row, values) in plane.chunks(columns).enumerate() {
                let first = place.view.at + row * place.view.row + channel;
                let pixels = memory[first..].iter_mut().step_by(place.view.pixel);
                pixels.zip(values).for_each(|(to, &value)| *to = value);
            }
        }
    }

    /// Writes the global means.
    pub(super) fn means(&self, means: &mut [f32]) {
        let place = &self.program.output;
        let mut all = vec![0.0; padded(place.channels)];
        // SAFETY: no other thread uses the memory any more.
        unsafe { self.mean(place, &mut all) };
        means.copy_from_slice(&all[..place.channels]);
    }

    /// # Safety
    /// Nobody writes to the image.
    unsafe fn mean(&self, place: &Place, means: &mut [f32]) {
        let Extent { rows, columns } = place.extent;
        // SAFETY: guaranteed by the caller.
        unsafe { channel_sums(self.level, place.extent, place.view, self.slice(place), means) };
        let pixels = (rows * columns) as f32;
        means.iter_mut().for_each(|mean| *mean /= pixels);
    }

    /// Computes a piece of an operation.
    ///
    /// # Safety
    /// All operations of earlier phases have ended, and no other thread computes the same piece.
    pub(super) unsafe fn piece(&self, operation: usize, piece: Piece) {
        let operation = &self.program.operations[operation];
        let weights = &self.program.weights.as_slice()[operation.weights.clone()];
        let target = &operation.target;
        let all = target.extent;
        let blocks = super::blocks(operation.channels());
        let (rows, blocks) = match operation.division {
            Division::Rows | Division::Whole => (piece.range(all.rows), 0..blocks),
            Division::Blocks => (0..all.rows, piece.range(blocks)),
        };
        let memory = Memory {
            source: self.slice(&operation.source),
            added: operation.added.as_ref().map(|added| self.slice(added).cast_const()),
            target: self.slice(target),
        };
        // SAFETY: everything that is read was written in earlier phases; pieces of the same phase
        // write to different rows, channels or places.
        unsafe {
            match &operation.kind {
                Kind::Dense(dense) => {
                    dense.run(self.level, weights, &self.region(operation, rows, blocks), memory);
                }
                Kind::Depthwise(depthwise) => {
                    depthwise.run(self.level, weights, &self.region(operation, rows, blocks), memory);
                }
                Kind::Pool(pool) => pool.run(self.level, (rows, all.columns), memory),
                Kind::HardSwish => self.hard_swish(operation, rows),
                Kind::Squeeze(squeeze, scratch) => self.squeeze(operation, *squeeze, scratch.clone(), weights, memory),
                Kind::Zeros => {
                    for at in pixels(target, rows) {
                        (*self.pixel(target, at)).fill(0.0);
                    }
                }
            }
        }
    }

    fn region<'a>(&self, operation: &'a Operation, rows: Range<usize>, blocks: Range<usize>) -> Region<'a> {
        let added = operation.added.as_ref().unwrap_or(&operation.target);
        Region {
            extent: Extent {
                rows: rows.len(),
                columns: operation.target.extent.columns,
            },
            source: operation.first.from_row(rows.start),
            target: operation.target.view.from_row(rows.start),
            added: added.view.from_row(rows.start),
            taps: &operation.taps,
            blocks,
        }
    }

    /// The channels of a pixel.
    fn pixel(&self, place: &Place, at: usize) -> *mut [f32] {
        let first = place.start + at;
        self.memory.slice(first..first + padded(place.channels))
    }

    /// # Safety
    /// As for [`Frame::piece`].
    unsafe fn hard_swish(&self, operation: &Operation, rows: Range<usize>) {
        let (source, target) = (&operation.source, &operation.target);
        for (from, to) in pixels(source, rows.clone()).zip(pixels(target, rows)) {
            // SAFETY: guaranteed by the caller; source and target are different tensors.
            let (from, to) = unsafe { (&*self.pixel(source, from), &mut *self.pixel(target, to)) };
            activation::apply(self.level, activation::ActivationFunction::HardSwish, from, to);
        }
    }

    /// # Safety
    /// As for [`Frame::piece`].
    unsafe fn squeeze(
        &self,
        operation: &Operation,
        squeeze: Squeeze,
        scratch: Range<usize>,
        weights: &[f32],
        memory: Memory,
    ) {
        let channels = padded(squeeze.channels);
        let gated = Depthwise {
            channels: squeeze.channels,
            taps: 1,
            bounds: Bounds::NONE,
            partial: false,
        };
        // SAFETY: the scratch memory belongs to this operation, which is not divided.
        let scratch = unsafe { &mut *self.memory.slice(scratch) };
        let (means, scratch) = scratch.split_at_mut(channels);
        let (gates, scratch) = scratch.split_at_mut(channels);
        let (packed, hidden) = scratch.split_at_mut(2 * channels);
        // SAFETY: guaranteed by the caller.
        unsafe { self.mean(&operation.source, means) };
        squeeze.gates(weights, means, hidden, gates);
        gated.pack(&gates[..squeeze.channels], None, packed);
        let rows = 0..operation.target.extent.rows;
        let region = self.region(operation, rows, 0..super::blocks(squeeze.channels));
        // SAFETY: guaranteed by the caller.
        unsafe { gated.run(self.level, packed, &region, memory) };
    }
}

/// The positions of the pixels of some rows.
fn pixels(place: &Place, rows: Range<usize>) -> impl Iterator<Item = usize> {
    let (View { at, row, pixel }, columns) = (place.view, place.extent.columns);
    rows.flat_map(move |y| (0..columns).map(move |x| at + y * row + x * pixel))
}
