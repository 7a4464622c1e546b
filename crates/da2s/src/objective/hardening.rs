//! The path: the mixture is kept on a prescribed course to the target topology, independent of the
//! data, the rates and the number of steps.
//!
//! Instead of adding λ·L to the loss and hoping that λ, rate and steps suffice, the search solves a
//! constrained problem whose constraints tighten: minimise the cross-entropy such that every edge
//! and every node is at least as decided as the path requires. For a choice of k of m with weights
//! p = softmax(z), let K be the k strongest that may be kept and
//!
//! ```text
//! u(p) = 1 − k · min_{i ∈ K} p_i                 0 where pruning takes nothing away
//! u*(τ) = u_1 + (1 − k/m − u_1) (1 − τ)^a        the path, from the uniform mixture to u_1 = 0.002
//! ```
//!
//! After every step of α and β, each choice with u > u* is projected onto {p : p_i ≥ (1 − u*)/k for
//! i ∈ K}, a convex set, in the Kullback-Leibler divergence (Csiszár, "I-Divergence Geometry of
//! Probability Distributions", 1975): kept weights below the bound are raised to it, and all others
//! are scaled by one factor, so that their ratios, which the data determines, do not change. Such
//! projected steps are mirror descent (Beck, Teboulle 2003). There is no gain to tune and no
//! oscillation: the path is a lower bound for the least decided edge and never slows a faster one
//! down. The projected weights are converted back to parameters by the method's [`Link`]. If
//! weights do not compete, such as the gates of FairDARTS, the path requires p ≥ 1 − u* of each
//! that is kept and p ≤ u* of the others, with u* ending at u_1 / (m − k).
//!
//! τ rises from 0 at the end of the warm-up to 1 at a given fraction of the search; the rest is for
//! the weights to settle. While the super-network's accuracy on held-out images is below its best,
//! τ advances at half its pace in the first half of the path, and catches up later. Contract: after
//! τ = 1, p ≥ 0.998/k for the k kept operations of every edge, and q ≥ 0.998/n for the n kept edges
//! of every node; [`HardeningState`] is part of checkpoints.

use burn::tensor::{Tensor, TensorData};
use da2s_settings::{POSITIVE, positive_up_to, settings};
use serde::{Deserialize, Serialize};

use super::link::Link;
use crate::arch::KindParams;
use crate::device::host;
use crate::space::{KindTarget, Operation, Space};

/// What remains undecided at the end of the path.
const LAST: f64 = 0.002;
/// Largest absolute value of the strongest logit after a projection: f32 still resolves it, and it
/// is far from any value in training.
const LEVEL: f64 = 50.0;
/// Number of points below its best at which the accuracy counts as falling.
const TOLERATED: f64 = 1.0;

settings! {
    /// The path of the drive `path`.
    pub struct Hardening {
        /// Share of the search after which everything is decided; in a search with several stages,
        /// share of the last stage.
        decided_at: f64 = 0.9, in positive_up_to(1.0);
        /// a, the exponent of the path: above 1 it is steep at first, below 1 at the end.
        exponent: f64 = 1.5, in POSITIVE;
    }
}

/// The position of a search on the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HardeningState {
    /// τ.
    pub position: f64,
    /// Best accuracy of the super-network so far, in percent.
    pub best_accuracy: f64,
    /// Pace of τ in this epoch: 1, or ½ while the accuracy is below its best.
    pub pace: f64,
}

impl Default for HardeningState {
    fn default() -> Self {
        Self {
            position: 0.0,
            best_accuracy: 0.0,
            pace: 1.0,
        }
    }
}

/// The parts of the mixture on which a drive acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// p, through α.
    pub operations: bool,
    /// q, through β.
    pub edges: bool,
}

impl HardeningState {
    /// Advances by one step. `left` is the number of steps to the end of the path, including this
    /// one: with 1 or 0, τ becomes 1.
    pub(crate) fn advance(&mut self, left: usize) {
        let pace = if self.position < 0.5 { self.pace } else { 1.0 };
        self.position = if left <= 1 {
            1.0
        } else {
            self.position + pace * (1.0 - self.position) / left as f64
        };
    }

    /// Records the super-network's accuracy at the end of an epoch, in percent.
    pub fn see(&mut self, accuracy: f64) {
        self.pace = if accuracy < self.best_accuracy - TOLERATED {
            0.5
        } else {
            1.0
        };
        self.best_accuracy = self.best_accuracy.max(accuracy);
    }
}

impl Hardening {
    /// Number of steps to the end of the path, including the one at `step` (from 0) of `steps`; 0
    /// after the end.
    pub fn left(&self, step: usize, steps: usize) -> usize {
        let end = (self.decided_at * steps as f64).ceil() as usize;
        end.saturating_sub(step)
    }

    /// u*(τ) for `kept` of `candidates`.
    pub fn bound(&self, position: f64, kept: usize, candidates: usize) -> f64 {
        self.bound_to(LAST, position, kept, candidates)
    }

    fn bound_to(&self, last: f64, position: f64, kept: usize, candidates: usize) -> f64 {
        let first = 1.0 - kept as f64 / candidates as f64;
        last + (first - last).max(0.0) * (1.0 - position).max(0.0).powf(self.exponent)
    }

    /// α of `arch` projected onto the constraint of the path at `position`; `link` defines how α is
    /// read, and `may_stay` which operation an edge may keep.
    pub(crate) fn operations(
        &self,
        arch: &KindParams,
        link: Link,
        may_stay: impl Fn(usize, Operation) -> bool,
        (space, target): (&Space, &KindTarget),
        position: f64,
    ) -> Tensor<2> {
        let (alpha, candidates) = (&arch.alpha, space.operations.len());
        let last = if link.normalises() {
            LAST
        } else {
            // The weights of all closed gates together end at no more than `LAST`.
            LAST / candidates.saturating_sub(target.operations).max(1) as f64
        };
        let bound = self.bound_to(last, position, target.operations, candidates);
        let mut values = host(alpha);
        for (edge, row) in values.chunks_mut(candidates).enumerate() {
            let removed = |candidate| {
                arch.removed
                    .as_ref()
                    .is_some_and(|removed| removed.has(edge, candidate))
            };
            let may_stay: Vec<bool> = (0..candidates)
                .map(|candidate| may_stay(edge, space.operations[candidate]) && !removed(candidate))
                .collect();
            if link.normalises() {
                project(row, &may_stay, target.operations, bound, link);
            } else {
                project_gates(row, &may_stay, target.operations, bound);
            }
        }
        Tensor::from_data(TensorData::new(values, alpha.dims()), &alpha.device())
    }

    /// β of `arch`, as in DA²S, projected onto the constraint of the path at `position`.
    pub fn edges(&self, arch: &KindParams, space: &Space, target: &KindTarget, position: f64) -> Tensor<1> {
        let (beta, graph) = (&arch.beta, space.graph);
        let mut values = host(beta);
        for group in graph.groups().filter(|&group| target.has_beta(graph, group)) {
            let range = graph.edges_of(group);
            let kept = target.kept(group);
            let bound = self.bound(position, kept, range.len());
            let may_stay: Vec<bool> = match &arch.removed {
                None => vec![true; range.len()],
                Some(removed) => removed.edges[range.clone()].iter().map(|removed| !removed).collect(),
            };
            project(&mut values[range], &may_stay, kept, bound, Link::Capped);
        }
        Tensor::from_data(TensorData::new(values, beta.dims()), &beta.device())
    }
}

/// Projects one choice: `values` are its parameters, of which `kept` are kept.
fn project(values: &mut [f32], may_stay: &[bool], kept: usize, bound: f64, link: Link) {
    let logits: Vec<f64> = values.iter().map(|&value| link.logit(f64::from(value))).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp() / total).collect();
    let order = strongest(values, may_stay, kept);
    let least = (1.0 - bound) / kept as f64;
    let mut raised: Vec<bool> = vec![false; values.len()];
    let mut factor = 1.0;
    // Raising some weights scales the others down in proportion, which may bring another one below
    // the bound.
    loop {
        let more: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&index| !raised[index] && factor * weights[index] < least)
            .collect();
        if more.is_empty() {
            break;
        }
        more.iter().for_each(|&index| raised[index] = true);
        let (taken, rest) = raised
            .iter()
            .zip(&weights)
            .fold((0.0, 0.0), |(taken, rest), (&raised, weight)| {
                if raised {
                    (taken + least, rest)
                } else {
                    (taken, rest + weight)
                }
            });
        factor = (1.0 - taken) / rest.max(f64::MIN_POSITIVE);
    }
    if !raised.contains(&true) {
        return;
    }
    let projected = |index: usize| {
        if raised[index] { least } else { factor * weights[index] }
            .max(f64::MIN_POSITIVE)
            .ln()
    };
    let highest = (0..values.len()).map(projected).fold(f64::NEG_INFINITY, f64::max);
    let level = if link.keeps_sum() {
        largest + total.ln() + highest
    } else {
        // A softmax is invariant to shifts: the strongest keeps its logit, within the range of
        // parameters.
        largest.clamp(-LEVEL, LEVEL)
    };
    for (index, value) in values.iter_mut().enumerate() {
        let logit = projected(index) - highest + level;
        if (logit - logits[index]).abs() > 1e-9 {
            *value = link.parameter(logit) as f32;
        }
    }
}

/// Projects gates: the weights of the `kept` strongest are raised to at least 1 − `bound`, those of
/// the others lowered to at most `bound`.
fn project_gates(values: &mut [f32], may_stay: &[bool], kept: usize, bound: f64) {
    let open = ((1.0 - bound) / bound).ln() as f32;
    let stay = strongest(values, may_stay, kept);
    for (index, value) in values.iter_mut().enumerate() {
        *value = if stay.contains(&index) {
            value.max(open)
        } else {
            value.min(-open)
        };
    }
}

/// The `kept` largest of those that may be kept. Compares parameters, which differ even if a link
/// caps them; the earlier one wins ties.
fn strongest(values: &[f32], may_stay: &[bool], kept: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| may_stay[index]).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(kept);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        logits.iter().map(|logit| (logit - largest).exp() / total).collect()
    }

    proptest! {
        #[test]
        fn a_projection_is_as_decided_as_required_and_keeps_ranks(
            values in prop::collection::vec(-3.0f32..3.0, 2..9),
            kept in 1usize..4,
            bound in 0.001f64..0.9,
            beta in any::<bool>(),
        ) {
            let kept = kept.min(values.len() - 1);
            let link = if beta { Link::Capped } else { Link::Strengthened { kept } };
            let mut after = values.clone();
            project(&mut after, &vec![true; values.len()], kept, bound, link);
            let logits = |values: &[f32]| -> Vec<f64> {
                values.iter().map(|&value| link.logit(f64::from(value))).collect()
            };
            let (old, new) = (softmax(&logits(&values)), softmax(&logits(&after)));
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            let weakest = order[..kept].iter().map(|&index| new[index]).fold(1.0, f64::min);
            prop_assert!(1.0 - kept as f64 * weakest <= bound + 1e-4);
            // Pruned choices keep their ratios.
            for pair in order[kept..].windows(2) {
                if old[pair[1]] > 1e-6 && new[pair[1]] > 1e-6 {
                    let (before, now) = (old[pair[0]] / old[pair[1]], new[pair[0]] / new[pair[1]]);
                    prop_assert!((before / now - 1.0).abs() < 1e-2, "{before} {now}");
                }
            }
            let mut again = after.clone();
            project(&mut again, &vec![true; values.len()], kept, bound + 1e-4, link);
            prop_assert_eq!(again, after);
        }

        #[test]
        fn a_choice_ends_decided_from_any_start_and_in_any_number_of_steps(
            values in prop::collection::vec(
                prop_oneof![-3f32..3.0, -1e30f32..1e30, Just(f32::MAX), Just(f32::MIN), Just(0.0), Just(f32::MIN_POSITIVE)],
                2..9,
            ),
            kept in 1usize..4,
            beta in any::<bool>(),
            steps in 1usize..=10_000,
            (decided_at, exponent) in (0.05f64..1.0, 0.1f64..8.0),
            falls in prop::collection::vec(any::<bool>(), 8),
        ) {
            let kept = kept.min(values.len() - 1);
            let link = if beta { Link::Capped } else { Link::Strengthened { kept } };
            let may_stay = vec![true; values.len()];
            let hardening = Hardening { decided_at, exponent };
            let first = 1.0 - kept as f64 / values.len() as f64;
            let mut state = HardeningState::default();
            let mut after = values.clone();
            for step in 0..steps {
                state.see(if falls[step % falls.len()] { 10.0 } else { 50.0 });
                state.advance(hardening.left(step, steps));
                let bound = hardening.bound(state.position, kept, values.len());
                prop_assert!((LAST..=first).contains(&bound), "{bound} at {step}");
                if step % steps.div_ceil(50) == 0 || step + 1 == steps {
                    project(&mut after, &may_stay, kept, bound, link);
                    prop_assert!(after.iter().all(|value| value.is_finite()), "{after:?} at {step}");
                }
            }
            let logits: Vec<f64> = after.iter().map(|&value| link.logit(f64::from(value))).collect();
            let mut weights = softmax(&logits);
            weights.sort_by(|a, b| b.total_cmp(a));
            prop_assert!(1.0 - kept as f64 * weights[kept - 1] <= LAST + 1e-4, "{weights:?} of {after:?}");
        }

        #[test]
        fn the_path_falls_and_ends_decided(steps in 1usize..=10_000, falls in prop::collection::vec(any::<bool>(), 8)) {
            let hardening = Hardening::default();
            let mut state = HardeningState::default();
            let mut last = 1.0;
            for step in 0..steps {
                state.see(if falls[step % falls.len()] { 10.0 } else { 50.0 });
                state.advance(hardening.left(step, steps));
                let bound = hardening.bound(state.position, 1, 7);
                prop_assert!(bound <= last);
                last = bound;
            }
            prop_assert_eq!(state.position, 1.0);
            prop_assert!((last - LAST).abs() < 1e-12);
        }
    }

    #[test]
    fn the_position_is_1_after_the_end_of_the_path() {
        let hardening = Hardening {
            decided_at: 0.5,
            ..Hardening::default()
        };
        let mut state = HardeningState::default();
        state.advance(hardening.left(80, 100));
        assert_eq!(state.position, 1.0);
    }

    #[test]
    fn the_operation_none_is_never_raised() {
        let mut row = [1.0, 0.5, 0.0];
        project(&mut row, &[false, true, true], 1, 0.01, Link::Strengthened { kept: 1 });
        let weights = softmax(&row.map(|value| Link::Strengthened { kept: 1 }.logit(f64::from(value))));
        assert!(weights[1] >= 0.989, "{weights:?}");
    }

    #[test]
    fn gates_are_open_or_closed_as_required() {
        let mut gates = [0.3, -0.2, 4.0, 0.1, -6.0];
        project_gates(&mut gates, &[true, true, false, true, true], 2, 0.1);
        let open = 9.0f32.ln();
        assert_eq!(gates, [open, -open, -open, open, -6.0]);
        // At the start of the path, the bound already holds for gates at 0.
        let mut gates = [0.0; 4];
        project_gates(&mut gates, &[true; 4], 1, 0.75);
        assert_eq!(gates, [0.0; 4]);
    }

    proptest! {
        #[test]
        fn a_projection_keeps_sums_under_simplex_and_dirichlet(values in prop::collection::vec(0.01f32..2.0, 5), bound in 0.002f64..0.5) {
            let sum = |link: Link, values: &[f32]| values.iter().map(|&x| link.logit(f64::from(x)).exp()).sum::<f64>();
            for link in [Link::Simplex, Link::Dirichlet] {
                let mut after = values.clone();
                project(&mut after, &[true; 5], 1, bound, link);
                let (before, now) = (sum(link, &values), sum(link, &after));
                prop_assert!((before / now - 1.0).abs() < 1e-4, "{link:?}: {before} {now}");
                let best = after.iter().map(|&x| link.logit(f64::from(x)).exp()).fold(0.0, f64::max);
                prop_assert!(best / now >= 1.0 - bound - 1e-4, "{link:?}: {after:?}");
            }
        }
    }
}
