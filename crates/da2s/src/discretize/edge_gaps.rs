//! The gap edge by edge: what it costs to discretize one edge's operations, or to prune or keep that one edge, and nothing else.
//!
//! Contract: held-out images, statistics as trained, no retraining; everything but the one choice stays mixed. A kept edge
//! alone gets its weight d/n and a pruned one 0, so that its node's sum changes: that is what pruning just this edge does.
//! A choice that leaves every weight as it is costs nothing, and is not computed.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::gap::{Choice, Pruned, Stage};
use crate::backbone::{Mixtures, Pass};
use crate::data::Loader;
use crate::evaluate::{EvaluateError, evaluate};
use crate::space::CellKind;

/// `edge_gaps.json`: the super-network, and what each edge costs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeGaps {
    /// Number of held-out images.
    pub images: usize,
    /// The super-network as trained, on these images.
    pub supernet: Measured,
    /// Every edge of every kind of cell.
    pub edges: Vec<EdgeGap>,
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeGap {
    /// Kind of cell.
    pub kind: CellKind,
    /// Node where it begins.
    pub from: usize,
    /// Node where it ends.
    pub to: usize,
    /// Whether it stays.
    pub kept: bool,
    /// Nothing but its operations discretized.
    pub operations: Measured,
    /// Nothing but itself kept at d/n, or pruned.
    pub edge: Measured,
}

/// How a network does on the images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Accuracy in percent.
    pub accuracy: f64,
    /// Mean cross-entropy in nats, which sees what no image's class shows.
    pub loss: f64,
}

/// Measures every edge on `held_out`; `stop` is asked before each batch.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Stopped`] if `stop` says so.
pub fn measure_edge_gaps(
    pruned: &Pruned<'_>,
    held_out: &Loader,
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<EdgeGaps, EvaluateError> {
    let measure = |mixtures: &Mixtures| -> Result<Measured, EvaluateError> {
        let pass = Pass::new(pruned.searched.weights)
            .with_mixtures(mixtures)
            .with_statistics(pruned.searched.statistics);
        let evaluation = evaluate(pruned.searched.backbone, pass, held_out, &[], device, stop)?;
        Ok(Measured {
            accuracy: evaluation.accuracy,
            loss: evaluation.loss,
        })
    };
    let mixed = pruned.mixtures(Stage::Supernet, device);
    let (mixed_weights, supernet) = (weights(&mixed), measure(&mixed)?);
    let mut edges = Vec::new();
    for (kind, _) in pruned.searched.strengths.iter() {
        for (from, to) in pruned.searched.space.graph.edges() {
            let alone = |choice| {
                let mixtures = pruned.mixtures_of(kind, choice, device);
                if weights(&mixtures) == mixed_weights {
                    return Ok(supernet);
                }
                measure(&mixtures)
            };
            let kept = &pruned.genotype.kind(kind).edges;
            edges.push(EdgeGap {
                kind,
                from,
                to,
                kept: kept.iter().any(|edge| (edge.from, edge.to) == (from, to)),
                operations: alone(Choice::Operations { from, to })?,
                edge: alone(Choice::Edge { from, to })?,
            });
        }
    }
    Ok(EdgeGaps {
        images: held_out.samples(),
        supernet,
        edges,
    })
}

/// All weights of the mixtures: those of the choices, and those of the edges, by which partial channels go around.
fn weights(mixtures: &Mixtures) -> Vec<f32> {
    let host = |tensor: &Tensor<1>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
    mixtures
        .values()
        .flat_map(|mixture| [host(&mixture.weights), host(&mixture.edges)].concat())
        .collect()
}
