//! What one thread needs to run steps on images: the call's data and its own scratch memory.

use std::ops::Range;

use da2s_kernels::{Level, Padded, prefetch};

use super::compiled::{Chain, Compiled, Storage, Unit};
use super::forward_steps::packed;
use super::memory::Shared;
use super::schedule::Moving;

/// Coefficients of the norms, as tables at [`Chain::table`]: computed by the forward pass and read
/// again by the backward pass.
#[derive(Debug, Default)]
pub(super) struct Coefficients {
    /// `scale · z + shift` is the normalised value; in a unit's last stage it includes the mixture
    /// weight.
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    /// Means (0 if there is no norm).
    pub center: Vec<f32>,
    /// 1/√(variance + ε) at [`Chain::slot`].
    pub inverse: Vec<f32>,
}

/// What a sweep reads; the same for all images.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub level: Level,
    pub compiled: &'a Compiled,
    pub inputs: &'a [&'a [f32]],
    pub packed: &'a [f32],
    pub weights: &'a [f32],
    pub coefficients: &'a Coefficients,
    /// Drop-path factors, `[choice][image]`, and the number of images.
    pub drop: Option<(&'a [f32], usize)>,
    pub kept: Shared<'a>,
    pub moving: &'a Moving,
    pub moving_data: Shared<'a>,
}

impl<'a> Frame<'a> {
    /// The drop-path factor of a unit on an image.
    pub fn factor(&self, unit: &Unit, image: usize) -> f32 {
        match (self.drop, unit.choice) {
            (Some((factors, images)), Some(choice)) => factors[choice * images + image],
            (Some(_) | None, _) => 1.0,
        }
    }

    /// Table range of a stage.
    pub fn table(&self, stage: &Chain) -> Range<usize> {
        stage.table..stage.table + da2s_kernels::table::length(stage.output.channels)
    }

    /// State of a node.
    ///
    /// # Safety
    /// No other thread writes to that image of the node's state.
    pub unsafe fn state(&self, node: usize, at: At) -> &'a [f32] {
        let node = &self.compiled.nodes[node];
        match (node.source, node.state) {
            (Some(input), _) => {
                let len = node.shape.len();
                &self.inputs[input][at.image * len..(at.image + 1) * len]
            }
            // SAFETY: guaranteed by the caller.
            (None, Some(state)) => unsafe { self.kept.image(state, at.slot) },
            (None, None) => &[],
        }
    }

    /// The input of the last norm of `unit`.
    ///
    /// # Safety
    /// As for [`Frame::state`], and also for the stage's tensor.
    pub unsafe fn z(&self, unit: &Unit, stage: &Chain, at: At) -> &'a [f32] {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match stage.z {
                Storage::Kept(z) => self.kept.image(z, at.slot),
                Storage::State => self.state(unit.from, at),
                Storage::Moving => self.moving.z[stage.index].map_or(&[], |z| self.moving_data.image(z, at.slot)),
            }
        }
    }

    /// The same for writing; `None` if it is the state of a node.
    ///
    /// # Safety
    /// No other thread reads or writes that image of the stage's tensor.
    pub unsafe fn z_mut(&self, stage: &Chain, at: At) -> Option<&'a mut [f32]> {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match stage.z {
                Storage::Kept(z) => Some(self.kept.image_mut(z, at.slot)),
                Storage::State => None,
                Storage::Moving => self.moving.z[stage.index].map(|z| self.moving_data.image_mut(z, at.slot)),
            }
        }
    }

    /// The gradient of what follows the norm of an inner stage.
    ///
    /// # Safety
    /// No other thread reads or writes it for that image.
    pub unsafe fn inner_gradient(&self, stage: &Chain, at: At) -> Option<&'a mut [f32]> {
        // SAFETY: guaranteed by the caller.
        self.moving.inner[stage.index].map(|tensor| unsafe { self.moving_data.image_mut(tensor, at.slot) })
    }
}

/// An image: its index in the batch, and its index in the buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub image: usize,
    pub slot: usize,
}

/// A thread's own memory, large enough for every step of the cell.
pub(super) struct Scratch<'a> {
    /// The image of a node with its border, as convolutions read it, and which image it is.
    pub source: &'a mut [f32],
    pub source_is: Option<(usize, bool, usize)>,
    /// The same for an inner stage.
    pub inner: &'a mut [f32],
    /// An image of output gradients with its border.
    pub gradient: &'a mut [f32],
    /// The layouts whose zero borders `source`, `inner` and `gradient` have now.
    borders: [Option<Padded>; 3],
    /// The data that the next step will read.
    pub ahead: Ahead,
    /// Rows passed from one kernel to the next.
    pub rows: [&'a mut [f32]; 2],
    /// Three tables for kernels, and two for the coefficients of an image.
    pub tables: &'a mut [f32],
    pub scaled: &'a mut [f32],
    /// Memory of a squeeze-and-excitation.
    pub squeeze: &'a mut [f32],
}

impl<'a> Scratch<'a> {
    /// Floats that [`Scratch::cut`] needs.
    pub fn len(compiled: &Compiled) -> usize {
        3 * compiled.padded_len.next_multiple_of(16)
            + 2 * compiled.rows_len.next_multiple_of(16)
            + 5 * compiled.table_len
            + compiled.squeeze_len
    }

    pub fn cut(memory: &'a mut [f32], compiled: &Compiled) -> Self {
        let (padded, rows) = (
            compiled.padded_len.next_multiple_of(16),
            compiled.rows_len.next_multiple_of(16),
        );
        let (source, memory) = memory.split_at_mut(padded);
        let (inner, memory) = memory.split_at_mut(padded);
        let (gradient, memory) = memory.split_at_mut(padded);
        let (first, memory) = memory.split_at_mut(rows);
        let (second, memory) = memory.split_at_mut(rows);
        let (tables, memory) = memory.split_at_mut(3 * compiled.table_len);
        let (scaled, memory) = memory.split_at_mut(2 * compiled.table_len);
        let squeeze = &mut memory[..compiled.squeeze_len];
        let (borders, ahead) = ([None; 3], Ahead::default());
        Self {
            source,
            source_is: None,
            inner,
            gradient,
            borders,
            ahead,
            rows: [first, second],
            tables,
            scaled,
            squeeze,
        }
    }

    /// Loads the image of `node` (through ReLU if `relu`) into `source`.
    ///
    /// # Safety
    /// As for [`Frame::state`].
    pub unsafe fn load_source(&mut self, frame: &Frame, node: usize, relu: bool, at: At) {
        let key = Some((node, relu, at.image));
        if self.source_is == key {
            return;
        }
        // SAFETY: guaranteed by the caller.
        let state = unsafe { frame.state(node, at) };
        let node = &frame.compiled.nodes[node];
        let padded = node.shape.padded(node.pad);
        let source = &mut self.source[..padded.len()];
        border(&mut self.borders[0], padded, source);
        if relu {
            padded.relu_from(frame.level, state, source);
        } else {
            padded.copy_from(state, source);
        }
        self.source_is = key;
    }

    /// The ReLU of a node's image, packed, if that is what `source` has now. It is positive where
    /// the image is.
    pub fn loaded_relu(&self, frame: &Frame, node: usize, at: At) -> Option<&[f32]> {
        let (loaded, of) = (
            self.source_is == Some((node, true, at.image)),
            &frame.compiled.nodes[node],
        );
        (loaded && of.pad == 0).then(|| &self.source[..of.shape.len()])
    }

    /// Loads the input of stage `stage` > 0 of `unit` into `inner`: the activation function of the
    /// normalised output of the previous stage, after squeeze-and-excitation if there is one.
    ///
    /// # Safety
    /// No other thread writes to that output for that image.
    pub unsafe fn load_inner(&mut self, frame: &Frame, unit: &Unit, stage: usize, at: At) {
        // SAFETY: guaranteed by the caller.
        unsafe { self.load_activated(frame, unit, stage, at) };
        if let Some((squeeze, weights)) = &unit.stages[stage].squeeze {
            // What a 1×1 convolution reads has no border.
            let image = &mut self.inner[..unit.stages[stage].input.len()];
            squeeze.apply(packed(frame, weights), image, self.squeeze);
        }
    }

    /// The same before squeeze-and-excitation.
    ///
    /// # Safety
    /// As for [`Self::load_inner`].
    pub unsafe fn load_activated(&mut self, frame: &Frame, unit: &Unit, stage: usize, at: At) {
        let before = &unit.stages[stage - 1];
        let pad = unit.stages[stage].operation.inner_pad();
        // SAFETY: guaranteed by the caller.
        let z = unsafe { frame.z(unit, before, at) };
        let padded = before.output.padded(pad);
        let table = frame.table(before);
        let (scale, shift) = (
            &frame.coefficients.scale[table.clone()],
            &frame.coefficients.shift[table],
        );
        let inner = &mut self.inner[..padded.len()];
        border(&mut self.borders[1], padded, inner);
        padded.affine_from((frame.level, before.activation), z, scale, shift, inner);
    }

    /// Gives `gradient` the border of `padded`.
    pub fn border_gradient(&mut self, padded: Padded) {
        border(&mut self.borders[2], padded, &mut self.gradient[..padded.len()]);
    }
}

/// Clears the border of `data`, unless the last image there had the same border: nothing else
/// writes to it.
fn border(last: &mut Option<Padded>, padded: Padded, data: &mut [f32]) {
    if *last != Some(padded) {
        padded.clear_border(data);
        *last = Some(padded);
    }
}

/// Memory that is loaded into the cache in small parts while a step computes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    rest: [(usize, usize); 2],
}

impl Ahead {
    /// Selects the data to load. Only its address is stored: other threads may write to it
    /// meanwhile.
    pub fn set(&mut self, data: [&[f32]; 2]) {
        self.rest = data.map(|data| (data.as_ptr() as usize, data.len()));
    }

    /// Loads one of `parts` equal parts of the remaining data.
    pub fn bring(&mut self, parts: usize) {
        for (at, left) in &mut self.rest {
            let now = left.div_ceil(parts.max(1));
            prefetch(std::ptr::without_provenance(*at), now);
            *at += now * size_of::<f32>();
            *left -= now;
        }
    }
}
