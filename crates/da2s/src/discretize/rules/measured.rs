//! Shared by rules that measure the super-network for one choice after another.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Images, Searched};
use crate::backbone::Pass;
use crate::discretize::mixture::discrete_mixture;
use crate::discretize::strengths::KindStrengths;
use crate::evaluate::{EvaluateError, evaluate};
use crate::space::{Genotype, KeptEdge, PerKind, Space};

/// The quality of a super-network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quality {
    /// In percent.
    pub accuracy: f64,
    /// Mean cross-entropy in nats.
    pub loss: f64,
}

impl Quality {
    /// The value if nothing remains to be measured.
    pub const NONE: Self = Self {
        accuracy: f64::NEG_INFINITY,
        loss: f64::INFINITY,
    };

    /// Orders the worse first; the loss breaks ties of accuracy.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_accuracy = self.accuracy.total_cmp(&other.accuracy);
        by_accuracy.then(other.loss.total_cmp(&self.loss))
    }
}

/// Weights of a mixture that are decided together.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// The operations of one edge, by its index.
    Operations(usize),
    /// The edges into one node, by their indices.
    Edges(Range<usize>),
}

impl Choice {
    /// Their weights in `strengths`.
    pub fn weights<'a>(&self, strengths: &'a mut KindStrengths) -> &'a mut [f32] {
        match self {
            Self::Operations(edge) => &mut strengths.p[*edge],
            Self::Edges(edges) => &mut strengths.q[edges.clone()],
        }
    }

    /// Removes `candidate` from `strengths`; the remaining ones take over its weight. False if
    /// nothing remains.
    pub fn leave_out(&self, strengths: &mut KindStrengths, candidate: usize) -> bool {
        let weights = self.weights(strengths);
        let whole: f32 = weights.iter().sum();
        weights[candidate] = 0.0;
        let rest: f32 = weights.iter().sum();
        if rest > 0.0 {
            weights.iter_mut().for_each(|weight| *weight *= whole / rest);
        }
        rest > 0.0
    }

    /// Removes everything except `kept`, which share the weight evenly.
    pub fn keep(&self, strengths: &mut KindStrengths, kept: &[usize]) {
        let weights = self.weights(strengths);
        weights.fill(0.0);
        for &candidate in kept {
            weights[candidate] = 1.0 / kept.len() as f32;
        }
    }
}

/// The quality of the super-network under `strengths`, on the held-out part of `images`, with the
/// statistics as trained.
pub(crate) fn quality(
    strengths: &PerKind<KindStrengths>,
    searched: &Searched<'_>,
    images: &Images<'_>,
) -> Result<Quality, EvaluateError> {
    let undecided = searched.space.cell(Vec::new());
    let mixtures = strengths.map(|kind, strengths| {
        let choices = (searched.space, searched.target.kind(kind));
        discrete_mixture(strengths, choices, &undecided, false, false, images.device)
    });
    let pass = Pass::new(searched.weights)
        .with_mixtures(&mixtures)
        .with_statistics(searched.statistics);
    let evaluation = evaluate(
        searched.backbone,
        pass,
        images.held_out,
        &[],
        images.device,
        images.stop,
    )?;
    Ok(Quality {
        accuracy: evaluation.accuracy.unwrap_or(f64::NAN),
        loss: evaluation.loss.unwrap_or(f64::INFINITY),
    })
}

/// The genotype with the kept edges, by index in the order of the nodes, and the kept operations of
/// every edge, by index.
pub(super) fn genotype_of(
    space: &Space,
    operations: &PerKind<Vec<Vec<usize>>>,
    edges: &PerKind<Vec<usize>>,
) -> Genotype {
    let ends: Vec<(usize, usize)> = space.graph.edges().collect();
    let cells = edges.map(|kind, edges| {
        let kept = edges.iter().map(|&edge| KeptEdge {
            from: ends[edge].0,
            to: ends[edge].1,
            operations: operations.kind(kind)[edge]
                .iter()
                .map(|&candidate| space.operations[candidate])
                .collect(),
        });
        space.cell(kept.collect())
    });
    Genotype { cells }
}
