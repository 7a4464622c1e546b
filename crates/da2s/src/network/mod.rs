//! The final network: a backbone whose cells hold what the genotype keeps.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 3.2 and its code for CIFAR and ImageNet. Contract: batch
//! norms with scale and shift, no batch norm behind pools; a genotype without reduction
//! cells is built on the skeleton of NAS-Bench-201.

mod auxiliary;
mod cost;
mod cost_parts;
mod drop_path;
mod trained;

pub use crate::backbone::Skeleton;
pub use auxiliary::AuxiliaryError;
pub use cost::{Cost, cost, cost_tables};
pub use cost_parts::{PartCost, PartKind, cost_parts};
pub use drop_path::DropPath;
pub use trained::{Description, Trained, TrainedError};

use da2s_engine::{Cell, CellPlan, CellPlanBuilder, Engine};
use serde::{Deserialize, Serialize};

use crate::backbone::{Backbone, BenchSize, Stage, cell_sources, skeleton};
use crate::config::NetworkSettings;
use crate::data::ImageShape;
use crate::discretize::{CellGenotype, Genotype};
use crate::space::{CellKind, Place, Reductions};
use crate::supernet::cell::preprocessed;

/// Sizes of a final network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSize {
    /// Stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells.
    pub channels: usize,
    /// Number of cells; in NAS-Bench-201 of each of the three stages.
    pub cells: usize,
    /// Which of them reduce.
    pub reductions: Reductions,
    /// Channels of an image.
    pub image_channels: usize,
    /// Side of an image in pixels.
    pub image_size: usize,
    /// Number of classes.
    pub classes: usize,
    /// Whether an auxiliary head trains along.
    pub auxiliary: bool,
}

impl NetworkSize {
    /// The sizes of `settings` for images of `shape` in `classes` classes.
    pub fn new(settings: &NetworkSettings, shape: ImageShape, classes: usize) -> Self {
        Self {
            skeleton: settings.skeleton,
            channels: settings.channels,
            cells: settings.cells,
            reductions: settings.reduction_cells.clone(),
            image_channels: shape.channels,
            image_size: shape.height,
            classes,
            auxiliary: settings.auxiliary,
        }
    }
}

/// The network of `genotype`.
///
/// # Errors
/// If an auxiliary head is asked for where the image is too small for one.
pub fn network(genotype: &Genotype, size: NetworkSize, engine: &Engine) -> Result<Backbone, AuxiliaryError> {
    if genotype.cells.reduction.is_none() {
        let sizes = BenchSize {
            channels: size.channels,
            cells: size.cells,
            image_channels: size.image_channels,
            classes: size.classes,
        };
        return Ok(skeleton(
            sizes,
            |channels| bench_cell(&genotype.cells.normal, channels),
            engine,
        ));
    }
    let stem = size.skeleton.stem(size.image_channels, size.channels, engine);
    let (mut stages, mut shrunk) = (stem.stages, stem.shrunk);
    let (mut before, mut last) = (stem.channels, stem.channels);
    let stems = stages.len();
    let mut channels = size.channels;
    for index in 0..size.cells {
        let kind = size.reductions.kind(index, size.cells);
        if kind == CellKind::Reduction {
            channels *= 2;
        }
        let plan = cell(genotype, kind, [before, last], channels, shrunk);
        (before, last) = (last, plan.output_channels());
        shrunk = kind == CellKind::Reduction;
        stages.push(Stage {
            prefix: format!("cells.{index}."),
            cell: Cell::new(plan, engine),
            sources: cell_sources(index, stems),
            kind: Some(kind),
        });
    }
    let auxiliary = if size.auxiliary {
        Some(auxiliary::head(&stages, stems, &size, engine)?)
    } else {
        None
    };
    Ok(Backbone::new(stages, auxiliary, size.classes, engine))
}

/// A cell of the genotype.
fn cell(genotype: &Genotype, kind: CellKind, inputs: [usize; 2], channels: usize, shrunk: bool) -> CellPlan {
    let genotype = genotype.kind(kind);
    let mut builder = preprocessed(CellPlanBuilder::new(true), inputs, channels, shrunk);
    for _ in 0..genotype.nodes() {
        builder = builder.node(channels);
    }
    let mut entry = 0;
    for edge in &genotype.edges {
        let stride = if kind == CellKind::Reduction && edge.from < inputs.len() {
            2
        } else {
            1
        };
        let choices: Vec<_> = edge
            .operations
            .iter()
            .map(|operation| {
                let (block, inner) = operation.block(stride, Place::Network);
                entry += 1;
                (block, format!("_ops.{}{inner}", entry - 1), 0)
            })
            .collect();
        builder = builder.edge(edge.from, edge.to, choices);
    }
    builder.output(genotype.concat.iter().copied())
}

/// A cell of an architecture of NAS-Bench-201, whose edges stand in the order of the graph.
fn bench_cell(genotype: &CellGenotype, channels: usize) -> CellPlan {
    let nodes = genotype.concat.last().copied().unwrap_or(0);
    let mut builder = CellPlanBuilder::new(true).input(channels);
    for _ in 0..nodes {
        builder = builder.node(channels);
    }
    for (index, edge) in genotype.edges.iter().enumerate() {
        let choices = edge.operations.iter().map(|operation| {
            let (block, inner) = operation.block(1, Place::Network);
            (block, format!("layers.{index}{inner}"), 0)
        });
        builder = builder.edge(edge.from, edge.to, choices);
    }
    builder.output([nodes])
}
