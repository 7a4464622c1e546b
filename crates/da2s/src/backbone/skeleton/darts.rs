//! The skeleton of the DARTS space: a stem, then cells that each read the two stages before them.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 3 and its code for CIFAR and ImageNet.
//! Contract: reduction cells halve the image and double the channels; an auxiliary head reads the
//! cell at two thirds of the depth.

use super::{CellSlot, Content, NetworkSize, Skeleton, Slot};
use crate::backbone::Source;

/// The skeleton for networks of `size`.
pub(super) fn skeleton(size: &NetworkSize) -> Skeleton {
    let mut slots = size.stem.slots(size.image_channels, size.channels);
    let stems = slots.len();
    let mut channels = size.channels;
    // With two stem stages, the second one halves the image.
    let mut older_is_larger = stems > 1;
    for index in 0..size.cells {
        let kind = size.reductions.kind(index, size.cells);
        let stride = kind.stride();
        // Sizes that overflow are refused when settings are checked, which also builds the
        // skeleton.
        channels = channels.saturating_mul(stride);
        let last = index + stems - 1;
        slots.push(Slot {
            prefix: format!("cells.{index}."),
            // After a single stem the first cell reads it twice.
            sources: vec![Source::Stage(last.saturating_sub(1)), Source::Stage(last)],
            stride,
            content: Content::Cell(CellSlot {
                kind,
                channels,
                stride,
                older_is_larger,
            }),
        });
        older_is_larger = stride > 1;
    }
    Skeleton {
        slots,
        last_relu: false,
        auxiliary: Some(stems + 2 * size.cells / 3),
        image_channels: size.image_channels,
        classes: size.classes,
    }
}
