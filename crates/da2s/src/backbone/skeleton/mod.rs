//! The skeleton of a network: everything except its cells.
//!
//! A skeleton is a value: a list of slots, each with its inputs. Some slots are fixed, such as
//! stems and residual blocks; the others are for cells, which the caller defines when it builds a
//! network. Contract: the super-network and the final network of a space have the same skeleton,
//! and [`Skeleton::new`] is the only place where it is chosen.

mod darts;
mod mobile;
mod nas_bench_201;
mod plain;
mod stem;

pub use stem::Stem;

pub(crate) use nas_bench_201::STAGES;

use da2s_engine::{Cell, CellPlan, Engine};
use serde::{Deserialize, Serialize};

use super::{NetworkStage, Source};
use crate::space::{CellKind, ChainShape, Reductions, SpaceName};

/// Sizes of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSize {
    /// The stem. In files this setting has been called `skeleton` since the first version.
    #[serde(rename = "skeleton")]
    pub stem: Stem,
    /// Channels of the first cells; in a chain those of the stem.
    pub channels: usize,
    /// Number of cells; in NAS-Bench-201 of each of the three stages.
    pub cells: usize,
    /// The positions of the reduction cells.
    pub reductions: Reductions,
    /// Channels of an image.
    pub image_channels: usize,
    /// Side of an image in pixels.
    pub image_size: usize,
    /// Number of classes.
    pub classes: usize,
    /// Whether an auxiliary head trains too.
    pub auxiliary: bool,
    /// The stages of a chain; empty in spaces of cells.
    #[serde(default, skip_serializing_if = "ChainShape::is_none")]
    pub chain: ChainShape,
}

/// Everything except the cells of a network.
#[derive(Clone, Debug)]
pub struct Skeleton {
    /// The slots in order; the last one feeds the classifier.
    pub slots: Vec<Slot>,
    /// Whether ReLU comes between the last slot and the global mean.
    pub last_relu: bool,
    /// The slot that an auxiliary head reads; `None` if the skeleton does not support one.
    pub auxiliary: Option<usize>,
    /// Channels of an image.
    pub image_channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A future stage of a network.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Prefix of the names of its weights, for example `cells.3.`.
    pub prefix: String,
    /// Its inputs, one source each.
    pub sources: Vec<Source>,
    /// The factor by which its output is smaller than its last input.
    pub stride: usize,
    /// Its content.
    pub content: Content,
}

/// The content of a slot.
#[derive(Clone, Debug)]
pub enum Content {
    /// The same in every network of the space: a stem, a residual block.
    Fixed(CellPlan),
    /// A cell of the space.
    Cell(CellSlot),
}

/// The requirements of a slot for its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSlot {
    /// Kind of the cell, which selects its mixture in a super-network.
    pub kind: CellKind,
    /// Channels of each of its nodes.
    pub channels: usize,
    /// Stride of the edges that leave its inputs.
    pub stride: usize,
    /// Whether its first input is twice as large as the others, because it comes from before the
    /// image was halved.
    pub older_is_larger: bool,
}

impl Skeleton {
    /// The skeleton of the networks of `space`.
    pub fn new(space: SpaceName, size: &NetworkSize) -> Self {
        match space {
            SpaceName::Darts => darts::skeleton(size),
            SpaceName::NasBench201 => nas_bench_201::skeleton(size),
            SpaceName::Mobile => mobile::skeleton(size),
            SpaceName::Plain => plain::skeleton(size),
        }
    }

    /// The stages of a network. `cell` creates each cell from its slot and the channels of each
    /// input.
    pub fn stages(&self, engine: &Engine, cell: impl Fn(&CellSlot, &[usize]) -> CellPlan) -> Vec<NetworkStage> {
        let mut stages: Vec<NetworkStage> = Vec::with_capacity(self.slots.len());
        for Slot {
            prefix,
            sources,
            content,
            ..
        } in &self.slots
        {
            let channels = |source: &Source| match source {
                Source::Image => self.image_channels,
                Source::Stage(earlier) => stages[*earlier].cell.plan().output_channels(),
            };
            let (plan, kind) = match content {
                Content::Fixed(plan) => (plan.clone(), None),
                Content::Cell(slot) => {
                    let inputs: Vec<usize> = sources.iter().map(channels).collect();
                    (cell(slot, &inputs), Some(slot.kind))
                }
            };
            stages.push(NetworkStage {
                prefix: prefix.clone(),
                cell: Cell::new(plan, engine),
                sources: sources.clone(),
                kind,
            });
        }
        stages
    }

    /// A skeleton in which every slot reads the slot before it, with a ReLU before the global mean.
    /// Each slot is given as its prefix, its stride and its content.
    fn in_line(size: &NetworkSize, slots: impl IntoIterator<Item = (String, usize, Content)>) -> Self {
        let slots = slots.into_iter().enumerate();
        let slots = slots.map(|(index, (prefix, stride, content))| Slot {
            prefix,
            sources: vec![index.checked_sub(1).map_or(Source::Image, Source::Stage)],
            stride,
            content,
        });
        Self {
            slots: slots.collect(),
            last_relu: true,
            auxiliary: None,
            image_channels: size.image_channels,
            classes: size.classes,
        }
    }

    /// Number of cells of `kind`.
    pub fn count(&self, kind: CellKind) -> usize {
        let is = |slot: &&Slot| matches!(&slot.content, Content::Cell(cell) if cell.kind == kind);
        self.slots.iter().filter(is).count()
    }

    /// Whether there are cells of `kind`.
    pub fn has(&self, kind: CellKind) -> bool {
        self.count(kind) > 0
    }

    /// How often an image is halved up to and including slot `last`.
    pub(crate) fn halvings(&self, last: usize) -> usize {
        let strides = self.slots.iter().take(last + 1).map(|slot| slot.stride);
        strides.map(|stride| stride.ilog2() as usize).sum()
    }
}
