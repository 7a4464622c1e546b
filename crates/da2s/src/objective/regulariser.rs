//! The regulariser of DA²S: it drives the mixture toward the target topology while the weights still train.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021, equations 3 to 6.
//! With `S_α(x) = y³ if y < −1 else y, y = 2x` and `S_β(x) = min(x, 1)`,
//! `p_ij = softmax(S_α(α_ij))`, `q_j = softmax(S_β(β_j))`:
//!
//! ```text
//! L_α = Σ_edges H(p_ij)
//! L_β = Σ_nodes H(q_j) + w (Σ_{i: β_ij > 0} S_β(β_ij) − n_j)²      over the nodes that have a β
//! R   = λ λ_c(t) (λ_α(t) L_α + λ_β L_β)
//! ```
//!
//! Where k > 1 operations stay on an edge, the operation term gets the edges' form: `S_α` is capped at 1, so
//! that k operations can share the mass evenly, and `w (Σ_{o: α_o > 0} S_α(α_o) − k)²` is added per edge; its
//! minimum has entropy ln k. Entropies use log-softmax throughout, since S_α cubes and softmax underflows.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};

use crate::objective::KindTarget;
use crate::objective::Schedule;
use crate::space::CellGraph;

/// The strengths of the regulariser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regulariser {
    /// λ, the strength of the whole.
    pub lambda: f64,
    /// λ_β, the strength of the edge term.
    pub lambda_beta: f64,
    /// w, the weight of the cardinality terms.
    pub cardinality_weight: f64,
    /// λ_c(t).
    pub lambda_c: Schedule,
    /// λ_α(t).
    pub lambda_alpha: Schedule,
}

impl Default for Regulariser {
    fn default() -> Self {
        Self {
            lambda: 0.1,
            lambda_beta: 4.0,
            cardinality_weight: 0.2,
            lambda_c: Schedule::LINEAR,
            lambda_alpha: Schedule::DELAYED_LOG,
        }
    }
}

/// The terms of one kind of cell, each a tensor of one element.
#[derive(Clone, Debug)]
pub struct Terms {
    /// L_α, entropies and, for k > 1, cardinalities.
    pub operations: Tensor<1>,
    /// L_β.
    pub edges: Tensor<1>,
}

/// S_α, element-wise: doubles, and cubes what lies below −1; capped at 1 where `kept` > 1.
pub fn strengthen_alpha<const D: usize>(alpha: Tensor<D>, kept: usize) -> Tensor<D> {
    let y = alpha * 2.0;
    let cubed = y.clone() * y.clone() * y.clone();
    let steep = y.clone().lower_elem(-1.0);
    let strong = y.mask_where(steep, cubed);
    if kept > 1 { strong.clamp_max(1.0) } else { strong }
}

/// S_β, element-wise: capped at 1.
pub fn strengthen_beta<const D: usize>(beta: Tensor<D>) -> Tensor<D> {
    beta.clamp_max(1.0)
}

impl Regulariser {
    /// L_α and L_β of one kind of cell, without their strengths.
    ///
    /// `alpha` is `[edges, operations]`, `beta` `[edges]`; only the β of nodes that have one is read.
    pub fn terms(&self, alpha: Tensor<2>, beta: Tensor<1>, graph: CellGraph, target: &KindTarget) -> Terms {
        let kept = target.operations;
        let strong = strengthen_alpha(alpha.clone(), kept);
        let mut operations = entropy(strong.clone(), 1).sum();
        if kept > 1 {
            let count = positive_part(strong, alpha).sum_dim(1) - kept as f64;
            operations = operations + count.square().sum() * self.cardinality_weight;
        }

        let mut edges = Tensor::zeros([1], &beta.device());
        for node in graph.all_nodes().filter(|&node| target.has_beta(graph, node)) {
            let range = graph.edges_into(node);
            let raw = beta.clone().narrow(0, range.start, range.len());
            let strong = strengthen_beta(raw.clone());
            let count = positive_part(strong.clone(), raw).sum() - target.kept(graph, node) as f64;
            edges = edges + entropy(strong, 0).sum() + count.square() * self.cardinality_weight;
        }
        Terms { operations, edges }
    }

    /// λ λ_c(t) λ_α(t) and λ λ_c(t) λ_β: what L_α and L_β are multiplied by.
    pub fn strengths(&self, epoch: usize, epochs: usize, warmup: usize) -> (f64, f64) {
        let outer = self.lambda * self.lambda_c.at(epoch, epochs, warmup);
        (outer * self.lambda_alpha.at(epoch, epochs, warmup), outer * self.lambda_beta)
    }
}

/// Entropy in nats of softmax(`logits`) along `dim`, which stays with length 1.
fn entropy<const D: usize>(logits: Tensor<D>, dim: usize) -> Tensor<D> {
    let log = log_softmax(logits, dim);
    // exp(log p)·log p is 0 where p underflows, whatever the size of log p.
    -(log.clone().exp() * log).sum_dim(dim)
}

/// `strong` where `raw` is positive, 0 elsewhere.
fn positive_part<const D: usize>(strong: Tensor<D>, raw: Tensor<D>) -> Tensor<D> {
    strong.mask_fill(raw.lower_equal_elem(0.0), 0.0)
}
