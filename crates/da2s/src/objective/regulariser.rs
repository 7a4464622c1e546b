//! The regulariser of DA²S: it drives the mixture toward the target topology while the weights
//! still train.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021, equations
//! 3 to 6. With `S_α(x) = y³ if y < −1 else y, y = 2x` and `S_β(x) = min(x, 1)`, `p_ij =
//! softmax(S_α(α_ij))`, `q_j = softmax(S_β(β_j))`:
//!
//! ```text
//! L_α = Σ_edges H(p_ij)
//! L_β = Σ_nodes H(q_j) + w (Σ_{i: β_ij > 0} S_β(β_ij) − n_j)²      over the nodes that have a β
//! R   = λ λ_c(t) (λ_α(t) L_α + λ_β L_β)
//! ```
//!
//! If k > 1 operations are kept on an edge, the operation term has the form of the edge term: `S_α`
//! is capped at 1, so that k operations can share the weight evenly, and `w (Σ_{o: α_o > 0}
//! S_α(α_o) − k)²` is added per edge; its minimum has entropy ln k. Entropies use log-softmax
//! throughout, since S_α cubes its argument and softmax underflows.

use burn::tensor::Tensor;
use da2s_settings::{NOT_NEGATIVE, Problem, settings};

use super::entropy::entropy;
use super::link::Link;
use crate::objective::Schedule;
use crate::space::{CellGraph, KindTarget};

settings! {
    /// Strengths of the drive `regulariser`: λ λ_c(t) (λ_α(t) L_α + λ_β L_β) is
    /// added to the loss, where L_α is the term of the operations and L_β that of the edges. The
    /// method `entropy` uses λ, λ_c and λ_α.
    pub struct Regulariser {
        /// λ, the strength of the whole regulariser.
        lambda: f64 = 1.0, in NOT_NEGATIVE.in_f32();
        /// λ_β, the strength of the edge term.
        lambda_beta: f64 = 4.0, in NOT_NEGATIVE;
        /// w, the weight of the cardinality terms, which favour the number of choices that the
        /// target keeps.
        cardinality_weight: f64 = 0.2, in NOT_NEGATIVE.in_f32();
        /// λ_c(t), which scales the whole over the epochs.
        lambda_c: Schedule = Schedule::LINEAR;
        /// λ_α(t), which scales the term of the operations over the epochs.
        lambda_alpha: Schedule = Schedule::DELAYED_LOG;
    }
}

/// S_α, element-wise: doubles, and cubes values below −1; capped at 1 if `kept` > 1.
pub(crate) fn strengthen_alpha<const D: usize>(alpha: Tensor<D>, kept: usize) -> Tensor<D> {
    let y = alpha * 2.0;
    let cubed = y.clone() * y.clone() * y.clone();
    let steep = y.clone().lower_elem(-1.0);
    let strong = y.mask_where(steep, cubed);
    if kept > 1 { strong.clamp_max(1.0) } else { strong }
}

/// S_β, element-wise: capped at 1.
pub(crate) fn strengthen_beta<const D: usize>(beta: Tensor<D>) -> Tensor<D> {
    beta.clamp_max(1.0)
}

impl Regulariser {
    /// Checks that λ λ_β, the factor of the edge term, is finite in 32 bits. `table` is the table
    /// of these settings, for the error.
    ///
    /// # Errors
    /// If it is not finite.
    pub fn check(&self, table: &str) -> Result<(), Problem> {
        let (lambda, lambda_beta) = (self.lambda, self.lambda_beta);
        if ((lambda * lambda_beta) as f32).is_infinite() {
            let expected = format!(
                "a value whose product with {table}.lambda = {lambda:?} is at most {:e}, the largest 32-bit number",
                f32::MAX
            );
            return Err(Problem::refused("lambda_beta", format!("{lambda_beta:?}"), expected).within(table));
        }
        Ok(())
    }

    /// L_α of one kind of cell, whose α, `[edges, operations]`, is read by `link`. Only the entropy
    /// if the link is not that of DA²S.
    pub fn operations(&self, alpha: Tensor<2>, link: Link) -> Tensor<1> {
        let entropies = link.total_entropy(alpha.clone());
        match link {
            Link::Strengthened { kept } if kept > 1 => {
                let count = positive_part(strengthen_alpha(alpha.clone(), kept), alpha).sum_dim(1) - kept as f64;
                entropies + count.square().sum() * self.cardinality_weight
            }
            _ => entropies,
        }
    }

    /// L_β of one kind of cell. `beta` is `[edges]`; only the β of nodes that have one is read.
    pub fn edges(&self, beta: Tensor<1>, graph: CellGraph, target: &KindTarget) -> Tensor<1> {
        let mut edges = Tensor::zeros([1], &beta.device());
        for group in graph.groups().filter(|&group| target.has_beta(graph, group)) {
            let range = graph.edges_of(group);
            let raw = beta.clone().narrow(0, range.start, range.len());
            let strong = strengthen_beta(raw.clone());
            let count = positive_part(strong.clone(), raw).sum() - target.kept(group) as f64;
            edges = edges + entropy(strong, 0).sum() + count.square() * self.cardinality_weight;
        }
        edges
    }

    /// λ λ_c(t) λ_α(t) and λ λ_c(t) λ_β: the factors of L_α and L_β.
    pub fn strengths(&self, epoch: usize, epochs: usize, warmup: usize) -> (f64, f64) {
        let outer = self.lambda * self.lambda_c.at(epoch, epochs, warmup);
        (
            outer * self.lambda_alpha.at(epoch, epochs, warmup),
            outer * self.lambda_beta,
        )
    }
}

/// `strong` if `raw` is positive, otherwise 0.
fn positive_part<const D: usize>(strong: Tensor<D>, raw: Tensor<D>) -> Tensor<D> {
    strong.mask_fill(raw.lower_equal_elem(0.0), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    use crate::objective::Curve;
    use proptest::prelude::*;

    const EDGES: usize = 14;

    fn total(
        regulariser: &Regulariser,
        target: &KindTarget,
        alpha: &[f32],
        beta: &[f32],
        device: &Device,
    ) -> [Tensor<1>; 3] {
        let width = alpha.len() / EDGES;
        let leaf = |tensor: Tensor<1>| {
            if device.is_autodiff() {
                tensor.require_grad()
            } else {
                tensor
            }
        };
        let flat = leaf(Tensor::from_data(
            TensorData::new(alpha.to_vec(), [alpha.len()]),
            device,
        ));
        let beta = leaf(Tensor::from_data(TensorData::new(beta.to_vec(), [EDGES]), device));
        let kept = target.operations;
        let operations = regulariser.operations(flat.clone().reshape([EDGES, width]), Link::Strengthened { kept });
        let edges = regulariser.edges(beta.clone(), CellGraph::new(2, 4), target);
        [operations + edges, flat, beta]
    }

    fn target(operations: usize) -> KindTarget {
        KindTarget {
            edges: vec![1, 2, 1, 3],
            operations,
            most_skips: None,
        }
    }

    /// Values away from the kinks of S_α (−1/2, and 1/2 for k > 1), of S_β (1) and of the positive
    /// part (0).
    fn smooth(values: Vec<f32>) -> Vec<f32> {
        let kinks = [-0.5, 0.0, 0.5, 1.0];
        values
            .into_iter()
            .map(|x| {
                if kinks.iter().any(|kink: &f32| (x - kink).abs() < 0.03) {
                    x + 0.07
                } else {
                    x
                }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn gradients_are_finite_differences(
            alpha in prop::collection::vec(-0.9f32..0.9, EDGES * 3),
            beta in prop::collection::vec(-0.9f32..0.9, EDGES),
            kept in 1usize..=2,
            at in 0usize..EDGES,
        ) {
            let (alpha, beta) = (smooth(alpha), smooth(beta));
            let (regulariser, target) = (Regulariser::default(), target(kept));
            let [loss, alpha_leaf, beta_leaf] = total(&regulariser, &target, &alpha, &beta, &Device::flex().autodiff());
            let gradients = loss.backward();
            let step = 1e-2f32;
            let value = |alpha: &[f32], beta: &[f32]| {
                let [loss, ..] = total(&regulariser, &target, alpha, beta, &Device::flex());
                f64::from(loss.into_scalar::<f32>())
            };
            let slope = |of_alpha: bool, at: usize| {
                let moved = |by: f32| {
                    let (mut alpha, mut beta) = (alpha.clone(), beta.clone());
                    if of_alpha { alpha[at] += by } else { beta[at] += by }
                    value(&alpha, &beta)
                };
                (moved(step) - moved(-step)) / f64::from(2.0 * step)
            };
            let element = |leaf: &Tensor<1>, at: usize| {
                leaf.grad(&gradients).unwrap().into_data().iter::<f32>().nth(at).map(f64::from).unwrap()
            };
            for (ours, slope) in [(element(&alpha_leaf, at), slope(true, at)), (element(&beta_leaf, at), slope(false, at))] {
                prop_assert!((ours - slope).abs() < 2e-2 * slope.abs().max(1.0), "{ours} != {slope}");
            }
        }

        #[test]
        fn extreme_values_give_finite_losses_and_gradients(
            alpha in prop::collection::vec(-1e4f32..1e4, EDGES * 3),
            beta in prop::collection::vec(-1e6f32..1e6, EDGES),
            (edges, operations) in ((1usize..=2, 1usize..=3, 1usize..=4, 1usize..=5), 1usize..=3),
            lambda in 0.0f64..1e6,
            curves in (0..6usize, 0..6usize, any::<bool>(), any::<bool>()),
            (epoch, epochs, warmup) in (1usize..20_000, 1usize..10_000, 0usize..10_000),
        ) {
            let all = [Curve::Const, Curve::Linear, Curve::Log, Curve::Exp, Curve::Sigmoid, Curve::Step];
            let schedule = |curve: usize, delayed| Schedule { curve: all[curve], delayed };
            let regulariser = Regulariser {
                lambda,
                lambda_c: schedule(curves.0, curves.2),
                lambda_alpha: schedule(curves.1, curves.3),
                ..Regulariser::default()
            };
            let (of_operations, of_edges) = regulariser.strengths(epoch, epochs, warmup);
            prop_assert!(of_operations.is_finite() && of_edges.is_finite());
            let target = KindTarget { edges: vec![edges.0, edges.1, edges.2, edges.3], operations, most_skips: None };
            let [loss, alpha_leaf, beta_leaf] =
                total(&regulariser, &target, &alpha, &beta, &Device::flex().autodiff());
            let loss = loss * (of_operations.max(of_edges).min(1e12));
            prop_assert!(loss.clone().into_scalar::<f32>().is_finite());
            let gradients = loss.backward();
            // If the target keeps every edge, no node has a β, and the edge term has no gradient.
            let graph = CellGraph::new(2, 4);
            let has_beta = graph.groups().any(|group| target.has_beta(graph, group));
            for (leaf, is_read) in [(alpha_leaf, true), (beta_leaf, has_beta)] {
                let gradient = leaf.grad(&gradients);
                prop_assert_eq!(gradient.is_some(), is_read);
                prop_assert!(gradient.is_none_or(|gradient| gradient.into_data().iter::<f32>().all(f32::is_finite)));
            }
        }
    }

    #[test]
    fn a_target_that_keeps_every_edge_has_no_term_of_edges() {
        let target = KindTarget {
            edges: vec![2, 3, 4, 5],
            operations: 1,
            most_skips: None,
        };
        let (alpha, beta) = ([0.3; EDGES * 3], [0.4; EDGES]);
        let [loss, alpha_leaf, beta_leaf] = total(
            &Regulariser::default(),
            &target,
            &alpha,
            &beta,
            &Device::flex().autodiff(),
        );
        let gradients = loss.backward();
        assert!(alpha_leaf.grad(&gradients).is_some() && beta_leaf.grad(&gradients).is_none());
    }

    #[test]
    fn the_target_topology_is_the_minimum() {
        // k = 2 of 3 operations at the cap, the third far below; n_j edges at the cap, the others
        // far below.
        let target = target(2);
        let alpha: Vec<f32> = (0..EDGES).flat_map(|_| [0.5, 0.5, -2.0]).collect();
        let graph = CellGraph::new(2, 4);
        let mut beta = vec![0.0; EDGES];
        for group in graph.groups() {
            for (order, edge) in graph.edges_of(group).enumerate() {
                beta[edge] = if order < target.kept(group) { 1.0 } else { -40.0 };
            }
        }
        let device = Device::flex();
        let regulariser = Regulariser::default();
        let [at_target, ..] = total(&regulariser, &target, &alpha, &beta, &device);
        // Entropy ln k on every edge, ln n_j at every node that has a β (in-degrees 2 to 5, targets
        // 1, 2, 1, 3).
        let expected = EDGES as f64 * 2f64.ln() + 2f64.ln() + 3f64.ln();
        let at_target = f64::from(at_target.into_scalar::<f32>());
        assert!((at_target - expected).abs() < 1e-3, "{at_target} != {expected}");
        let [uniform, ..] = total(&regulariser, &target, &[1.0 / 3.0; EDGES * 3], &[0.4; EDGES], &device);
        assert!(f64::from(uniform.into_scalar::<f32>()) > at_target);
    }
}
