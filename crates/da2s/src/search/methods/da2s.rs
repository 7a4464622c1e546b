//! DA²S: the mixture is driven toward the target topology while the weights train; and its two
//! halves.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021: p_ij =
//! softmax(S_α(α_ij)), q_j = softmax(S_β(β_j)) (equation 2), loss L = CE + R (equation 6); α stands
//! still before epoch E, β trains from the first epoch; at each node the edges with the largest β
//! stay. The halves are the paper's ablation: operations only (L_α, edges that all weigh the same,
//! ranked as DARTS ranks them) and edges only (L_β, α without a regulariser).

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::arch::{ArchParams, KindParams, Strengths, edge_softmax};
use crate::objective::{Halves, Penalty, Regulariser, strengthen_alpha, strengthen_beta};
use crate::search::method::{ArchShares, Choices, SearchMethod, strongest_operation};
use crate::search::moment::{Moment, When};
use crate::search::settings::{ScheduleName, SearchSettings};
use crate::space::{KindTarget, Space, Target};

/// The method, the strengths of its regulariser, and which halves of it are on.
#[derive(Clone, Debug)]
pub(super) struct Da2s {
    regulariser: Regulariser,
    /// Whether the mixture follows a path instead of the regulariser.
    adaptive: bool,
    halves: Halves,
}

impl Da2s {
    pub(super) fn new(settings: &SearchSettings, halves: Halves) -> Self {
        Self {
            regulariser: settings.regulariser.clone(),
            adaptive: settings.schedule == ScheduleName::Adaptive,
            halves,
        }
    }
}

impl SearchMethod for Da2s {
    /// Where k > 1 operations stay, S_α of the start sums to k.
    fn alpha_start(&self, target: &KindTarget, candidates: usize) -> f32 {
        if target.operations > 1 {
            target.operations as f32 / (2 * candidates) as f32
        } else {
            0.0
        }
    }

    fn weighs_edges(&self) -> bool {
        self.halves.edges
    }

    fn operations(&self, alpha: Tensor<2>, choices: Choices<'_>, _: When) -> Tensor<2> {
        softmax(strengthen_alpha(alpha, choices.target.operations), 1)
    }

    fn edges(&self, beta: Tensor<1>, choices: Choices<'_>) -> Tensor<1> {
        if self.halves.edges {
            edge_softmax(strengthen_beta(beta), choices.space, choices.target)
        } else {
            Strengths::uniform_edges(choices.space, &beta.device())
        }
    }

    fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Penalty {
        if self.adaptive {
            return Penalty::default();
        }
        let (on_operations, on_edges) = self.regulariser.strengths(moment.epoch, moment.epochs, moment.warmup);
        let terms = arch.kinds().map(|kind, arch| {
            let KindParams { alpha, beta } = arch.clone();
            self.regulariser.terms(alpha, beta, space.graph, target.kind(kind))
        });
        let operations = || {
            Penalty::of(
                "operations",
                on_operations,
                terms.map(|_, terms| terms.operations.clone()),
            )
        };
        let edges = || Penalty::of("edges", on_edges, terms.map(|_, terms| terms.edges.clone()));
        match (self.halves.operations, self.halves.edges) {
            (true, true) => operations().and(edges()),
            (true, false) => operations(),
            (false, _) => edges(),
        }
    }

    fn regulariser(&self) -> Option<&Regulariser> {
        (!self.adaptive).then_some(&self.regulariser)
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        ArchShares {
            alpha: if moment.epoch < moment.warmup { 0.0 } else { 1.0 },
            beta: if self.halves.edges { 1.0 } else { 0.0 },
        }
    }

    fn follows_path(&self) -> Option<Halves> {
        self.adaptive.then_some(self.halves)
    }

    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        if self.halves.edges {
            beta.to_vec()
        } else {
            strongest_operation(p, space)
        }
    }
}
