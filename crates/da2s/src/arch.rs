//! The architecture parameters α and β, and their mixture.
//!
//! Reference: Tian et al. 2021, equation 2: node j computes `s_j = Σ_i d_j q_ij Σ_o p_ij^o o(s_i)`.
//! Contract: per kind of cell, α is `[edges, operations]` and β `[edges]`. If the in-degree of a
//! node equals its target count, its edges do not compete: their β stays 0 and is unused, and their
//! weight is 1.

mod removed;

pub use removed::Removed;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::StandardNormal;

use crate::device::host;
use crate::finite::NotFinite;
use crate::random::{Purpose, generator};
use crate::space::{CellKind, KindTarget, PerKind, Space, Target};

/// α and β of one kind of cell.
#[derive(Clone, Debug)]
pub struct KindParams {
    /// `[edges, operations]`.
    pub alpha: Tensor<2>,
    /// `[edges]`.
    pub beta: Tensor<1>,
    /// What has been removed for good; `None` if nothing has.
    pub removed: Option<Arc<Removed>>,
}

impl KindParams {
    /// α and β with nothing removed.
    pub fn new(alpha: Tensor<2>, beta: Tensor<1>) -> Self {
        let removed = None;
        Self { alpha, beta, removed }
    }
}

/// α and β of every kind of cell.
#[derive(Clone, Debug)]
pub struct ArchParams {
    kinds: PerKind<KindParams>,
}

/// The weight of each operation and each edge, computed from α and β.
#[derive(Clone, Debug)]
pub struct Strengths {
    /// p, weight of each operation on its edge, `[edges, operations]`.
    pub p: Tensor<2>,
    /// q, weight of each edge at its node, `[edges]`; sums to 1 at each node.
    pub q: Tensor<1>,
    /// The operations that are computed, edge by edge; `None` means all.
    pub active: Option<Arc<[bool]>>,
}

/// The mixture of one kind of cell as input of the engine: `d_j · q_ij · p_ij^o`, edge by edge.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// `[edges · operations]`.
    pub weights: Tensor<1>,
    /// `d_j · q_ij`, `[edges]`: the weight of channels that bypass the operations, with partial
    /// channels.
    pub edges: Tensor<1>,
    /// The choices that are computed; `None` means all.
    pub active: Option<Arc<[bool]>>,
}

impl Mixture {
    /// The same values on an autodiff graph, without a gradient.
    pub(crate) fn on_graph(self) -> Self {
        Self {
            weights: self.weights.autodiff(),
            edges: self.edges.autodiff(),
            ..self
        }
    }

    /// The same with `shift`, `[edges · operations]`, added to the weights.
    pub(crate) fn shifted(&self, shift: Tensor<1>) -> Self {
        Self {
            weights: self.weights.clone() + shift,
            ..self.clone()
        }
    }
}

/// The mixture of every kind of cell.
pub type Mixtures = PerKind<Mixture>;

impl ArchParams {
    /// Initial values: α ~ `alpha_start` + 1e-4·N(0, 1), β ~ n_j/d_j + 1e-4·N(0, 1).
    pub fn new(
        space: &Space,
        target: &Target,
        alpha_start: impl Fn(&KindTarget) -> f32,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut random = generator(seed, Purpose::ArchParams, 0, 0);
        let kinds = PerKind::new(space.kinds(), |kind| {
            let target = target.kind(kind);
            let (graph, candidates) = (space.graph, space.operations.len());
            let mut noise = || 1e-4 * random.sample::<f32, _>(StandardNormal);
            let start = alpha_start(target);
            let alpha: Vec<f32> = (0..graph.edge_count() * candidates).map(|_| start + noise()).collect();
            let mut beta = Vec::with_capacity(graph.edge_count());
            for group in graph.groups() {
                let (kept, degree) = (target.kept(group), graph.size_of(group));
                let start = kept as f32 / degree as f32;
                beta.extend((0..degree).map(|_| if kept < degree { start + noise() } else { 0.0 }));
            }
            KindParams::new(
                Tensor::from_data(TensorData::new(alpha, [graph.edge_count(), candidates]), device),
                Tensor::from_data(TensorData::new(beta, [graph.edge_count()]), device),
            )
        });
        Self { kinds }
    }

    /// Removes each candidate that an edge of `space` never has, and sets its α to `parameter`.
    #[must_use]
    pub(crate) fn without_never(self, space: &Space, parameter: impl Fn(CellKind) -> f32) -> Self {
        let kinds = self
            .kinds
            .map(|kind, params| params.clone().without_never(space, parameter(kind)));
        Self { kinds }
    }

    /// The given α and β.
    pub fn from_kinds(kinds: PerKind<KindParams>) -> Self {
        Self { kinds }
    }

    /// α and β of one kind.
    pub fn kind(&self, kind: CellKind) -> &KindParams {
        self.kinds.kind(kind)
    }

    /// α and β of one kind, mutable.
    pub fn kind_mut(&mut self, kind: CellKind) -> &mut KindParams {
        self.kinds.kind_mut(kind)
    }

    /// α and β of every kind of the space.
    pub fn kinds(&self) -> &PerKind<KindParams> {
        &self.kinds
    }

    /// The same values as leaves of a new autodiff graph.
    pub fn tracked(&self) -> Self {
        self.map(
            |tensor| tensor.autodiff().require_grad(),
            |tensor| tensor.autodiff().require_grad(),
        )
    }

    /// The same values on an autodiff graph, without a gradient.
    pub(crate) fn untracked(&self) -> Self {
        self.map(Tensor::autodiff, Tensor::autodiff)
    }

    /// Applies a function to each tensor.
    pub fn map(&self, on_alpha: impl Fn(Tensor<2>) -> Tensor<2>, on_beta: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        let kinds = self.kinds.map(|_, kind| KindParams {
            alpha: on_alpha(kind.alpha.clone()),
            beta: on_beta(kind.beta.clone()),
            removed: kind.removed.clone(),
        });
        Self { kinds }
    }

    /// An error if α or β is not finite.
    pub(crate) fn check_finite(&self) -> Result<(), NotFinite> {
        for (kind, arch) in self.kinds.iter() {
            NotFinite::check(|| format!("α of the {} cells", kind.name()), &host(&arch.alpha))?;
            NotFinite::check(|| format!("β of the {} cells", kind.name()), &host(&arch.beta))?;
        }
        Ok(())
    }
}

impl Strengths {
    /// p and q, with every operation computed.
    pub fn new(p: Tensor<2>, q: Tensor<1>) -> Self {
        Self { p, q, active: None }
    }

    /// `d_j · q_ij · p_ij^o`, flat; in a chain, whose kept layers have weight 1, `n_j · q_ij ·
    /// p_ij^o`.
    pub fn mixture(&self, space: &Space, target: &KindTarget) -> Mixture {
        let graph = space.graph;
        let edges = graph.edge_count();
        let total = |group| graph.total_weight(group, target.kept(group)) as f32;
        let totals: Vec<f32> = graph.groups_of_edges().map(total).collect();
        let totals = Tensor::<1>::from_data(TensorData::new(totals, [edges]), &self.q.device());
        let edge_weights = self.q.clone() * totals;
        let weights = self.p.clone() * edge_weights.clone().reshape([edges, 1]);
        Mixture {
            weights: weights.reshape([edges * space.operations.len()]),
            edges: edge_weights,
            active: self.active.clone(),
        }
    }

    /// q with equal weights for all edges of a node: 1/d_j.
    pub fn uniform_edges(space: &Space, device: &Device) -> Tensor<1> {
        let graph = space.graph;
        let q: Vec<f32> = graph
            .groups_of_edges()
            .map(|group| 1.0 / graph.size_of(group) as f32)
            .collect();
        Tensor::from_data(TensorData::new(q, [graph.edge_count()]), device)
    }
}

/// Softmax of the edges' logits at every node that has a β, 1/d_j elsewhere. `logits` is `[edges]`.
pub(crate) fn edge_softmax(logits: Tensor<1>, space: &Space, target: &KindTarget) -> Tensor<1> {
    let graph = space.graph;
    let device = logits.device();
    let parts = graph.groups().map(|group| {
        let range = graph.edges_of(group);
        if target.has_beta(graph, group) {
            burn::tensor::activation::softmax(logits.clone().narrow(0, range.start, range.len()), 0)
        } else {
            Tensor::full([range.len()], 1.0 / range.len() as f32, &device)
        }
    });
    Tensor::cat(parts.collect(), 0)
}
