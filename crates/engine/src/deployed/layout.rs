//! Where each tensor of a deployed network is in memory.
//!
//! Contract: a tensor is inside a border of zeros that is as wide as its readers need. A pixel has
//! whole blocks of 16 channels, except in an input image that only dense convolutions read. A
//! tensor may be a part of another one: a term of a sum, or some channels of a concatenation.
//! Tensors that are never needed in the same phase share memory if they have the same layout, so
//! that the zeros of a border never have to be written.

use da2s_kernels::fixed::padded;
use da2s_kernels::{Extent, View};
use da2s_plan::{Border, Operation, Steps};

/// Floats of a cache line.
const LINE: usize = 16;

/// Where a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first float of the image with its border.
    pub start: usize,
    /// Floats of the image with its border.
    pub len: usize,
    /// Rows and columns.
    pub extent: Extent,
    /// The pixels, relative to `start`.
    pub view: View,
    /// Channels.
    pub channels: usize,
}

/// The tensor that contains each tensor, and the first of its channels there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub whole: usize,
    pub channel: usize,
}

/// The first and the last phase in which a tensor is in use.
pub(super) type Life = (usize, usize);

/// An image and the zeros around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    extent: Extent,
    channels: usize,
    /// Floats of a pixel.
    pixel: usize,
    border: Border,
}

impl Shape {
    fn row(&self) -> usize {
        (self.border.before + self.extent.columns + self.border.right).saturating_mul(self.pixel)
    }

    fn len(&self) -> usize {
        self.row()
            .saturating_mul(self.border.before + self.extent.rows + self.border.below)
    }

    fn view(&self) -> View {
        View {
            at: self.border.before * (self.row() + self.pixel),
            row: self.row(),
            pixel: self.pixel,
        }
    }
}

/// The places of all tensors, and how many floats they take; `None` if these are more
/// than `most`.
pub(super) fn places(steps: &Steps, parts: &[Part], lives: &[Life], most: usize) -> Option<(Vec<Place>, usize)> {
    let shapes = shapes(steps, parts);
    // Shape, first float, and the phase after which it is free.
    let mut slots: Vec<(Shape, usize, usize)> = Vec::new();
    let mut total = 0usize;
    let mut starts = vec![0; steps.tensors()];
    let mut wholes: Vec<usize> = (0..steps.tensors()).filter(|&at| parts[at].whole == at).collect();
    wholes.sort_by_key(|&at| lives[at].0);
    for at in wholes {
        let (first, last) = lives[at];
        let fits = |slot: &&mut (Shape, usize, usize)| slot.0 == shapes[at] && slot.2 < first;
        // The memory that was used last is most likely in a cache.
        if let Some(slot) = slots.iter_mut().filter(fits).max_by_key(|slot| slot.2) {
            slot.2 = last;
            starts[at] = slot.1;
            continue;
        }
        slots.push((shapes[at], total, last));
        starts[at] = total;
        total = total.saturating_add(shapes[at].len());
        if total > most {
            return None;
        }
        // Each begins on a cache line: without that, everything takes a fifth longer.
        total = total.next_multiple_of(LINE);
    }
    let place = |(at, part): (usize, &Part)| {
        let shape = &shapes[part.whole];
        let mut view = shape.view();
        view.at += part.channel;
        Place {
            start: starts[part.whole],
            len: shape.len(),
            extent: shape.extent,
            view,
            channels: steps.shape(at).channels,
        }
    };
    Some((parts.iter().enumerate().map(place).collect(), total))
}

/// The shape of each tensor that is no part of another, with the border that all readers of it and
/// of its parts need.
fn shapes(steps: &Steps, parts: &[Part]) -> Vec<Shape> {
    let shape = |tensor: usize| {
        let shape = steps.shape(tensor);
        Shape {
            extent: Extent {
                rows: shape.size.0,
                columns: shape.size.1,
            },
            channels: shape.channels,
            pixel: if tensor == 0 && is_read_by_dense(steps) {
                shape.channels
            } else {
                padded(shape.channels)
            },
            border: Border::default(),
        }
    };
    let mut shapes: Vec<Shape> = (0..steps.tensors()).map(shape).collect();
    for (part, border) in parts.iter().zip(steps.borders()) {
        shapes[part.whole].border.widen(border);
    }
    shapes
}

/// Whether only dense convolutions read the image, as in most networks. They read single channels,
/// so the pixels of the image need not be padded to a block of 16 channels, which would take much
/// memory for a large image.
fn is_read_by_dense(steps: &Steps) -> bool {
    let dense = |operation: &Operation| matches!(operation, Operation::Convolution(one) if !one.depthwise);
    let mut readers = steps.steps.iter().filter(|step| step.inputs.contains(&0));
    steps.output != 0 && readers.all(|step| dense(&step.operation))
}
