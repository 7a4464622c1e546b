//! The gap of each edge: the cost of discretizing only its operations, and of keeping or pruning
//! only this edge.
//!
//! Contract: held-out images, statistics as trained, no retraining; everything except the one
//! choice stays mixed. If n of the d edges of a node are kept, a kept edge gets the weight d/n (in
//! a chain, 1), and a pruned edge the weight 0. The other edges of the node keep their weights, so
//! the total weight at the node changes. A choice that changes no weight costs nothing and is not
//! computed.

use burn::tensor::Device;
use da2s_records::schema::{EdgeGap, EdgeGaps, Measured};

use super::gap::{Discretization, Pruned, PruningChoice};
use crate::arch::Mixtures;
use crate::backbone::Pass;
use crate::data::Loader;
use crate::device::host;
use crate::evaluate::{EvaluateError, evaluate};

/// Measures every edge on `held_out`; `stop` is called before each batch.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Stopped`] if `stop` returns true.
pub(crate) fn measure_edge_gaps(
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
    let mixed = pruned.mixtures(Discretization::Supernet, device);
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
                kind: kind.name().to_owned(),
                from,
                to,
                kept: kept.iter().any(|edge| (edge.from, edge.to) == (from, to)),
                operations: alone(PruningChoice::Operations { from, to })?,
                edge: alone(PruningChoice::Edge { from, to })?,
            });
        }
    }
    Ok(EdgeGaps {
        images: Some(held_out.samples() as u64),
        supernet,
        edges,
    })
}

/// All weights of the mixtures: of the choices, and of the edges (for channels that bypass the
/// candidates).
fn weights(mixtures: &Mixtures) -> Vec<f32> {
    mixtures
        .values()
        .flat_map(|mixture| [host(&mixture.weights), host(&mixture.edges)].concat())
        .collect()
}
