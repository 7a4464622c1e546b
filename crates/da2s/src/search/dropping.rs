//! Pruning while searching: operations and edges that have lost are removed for good, and the
//! search gets faster as it decides.
//!
//! Reference: Noy et al., "ASAP: Architecture Search, Anneal and Prune", AISTATS 2020, removes
//! operations whose share falls under a threshold that rises with its annealing; here the threshold
//! is fixed and a drive lowers the shares. Contract: choices are removed at the end of every epoch
//! after the warm-up, except the last epoch. A choice is removed if its share was less than
//! `search.drop_below` after each step of the epoch. The strongest choices always stay, as many as
//! the target keeps, so the target stays reachable. The choices are operations, edges or both: only
//! those that the drive acts on. A removed choice is not computed, its weights and their velocities
//! become 0, its α or β never moves again, and the remaining weights of its softmax sum to 1 as
//! before. The accuracy that this costs is measured at once, on the images that are evaluated in
//! every epoch.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Moment, Outcome, Search, SearchState, When};
use crate::arch::Removed;
use crate::backbone::Weights;
use crate::device::host;
use crate::discretize::{Discretization, KindStrengths, largest};
use crate::evaluate::EvaluateError;
use crate::objective::{Halves, Link};
use crate::space::{CellKind, KindTarget, PerKind, Space};
use da2s_records::schema::{RemovedGap, SearchEpoch};

/// What has to be known of earlier steps to remove choices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dropping {
    /// Whether the share of each choice was at the bound or above after any step of the current
    /// epoch: for each kind of cell the operations, edge by edge, then the edges. Empty before the
    /// first such step.
    pub above: Vec<bool>,
    /// Points of accuracy lost by all removals so far: the sum of what each removal cost when it
    /// happened.
    pub points: f64,
}

impl Dropping {
    /// Whether nothing is known yet.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Search {
    /// Which halves of the mixture may lose choices at the end of the epoch of `moment`; `None` if
    /// neither.
    fn drops(&self, moment: Moment) -> Option<Halves> {
        let after_warmup = moment.epoch >= moment.warmup.max(1) && moment.epoch < moment.epochs;
        // A drive acts in the last stage only; without one a small share may still grow.
        let may_drop = after_warmup && moment.is_in_last_stage();
        let halves = self.method.driven();
        halves.filter(|_| self.settings.drop_below > 0.0 && may_drop)
    }

    /// Records the shares after the step at `moment`.
    pub(super) fn watch_shares(&self, state: &mut SearchState, moment: Moment) {
        if self.drops(moment).is_none() {
            return;
        }
        let bound = self.settings.drop_below as f32;
        let shares = state.arch.kinds().iter().flat_map(|(kind, arch)| {
            let strengths = self.method.strengths(arch, self.choices(kind), When::Reading(moment));
            [host(&strengths.p), host(&strengths.q)].concat()
        });
        let shares: Vec<f32> = shares.collect();
        let above = &mut state.progress.dropping.above;
        above.resize(shares.len(), false);
        for (above, share) in above.iter_mut().zip(shares) {
            // A share that is NaN is not under the bound.
            *above |= share.is_nan() || share >= bound;
        }
    }

    /// Removes the choices that have lost by the end of the current epoch of `state`, and adds the
    /// cost of the removal to `metrics`. `before` is the outcome of the epoch. Returns the outcome
    /// after the removal; `None` if nothing is removed.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub(super) fn drop_lost(
        &self,
        state: &mut SearchState,
        before: &Outcome,
        metrics: &mut SearchEpoch,
    ) -> Result<Option<Outcome>, EvaluateError> {
        let Some(halves) = self.drops(self.moment(state)) else {
            return Ok(None);
        };
        let above = std::mem::take(&mut state.progress.dropping.above);
        let mut above = above.as_slice();
        let removed = before.strengths.map(|kind, strengths| {
            let earlier = self.removed_so_far(state, kind);
            let count = earlier.operations.len() + earlier.edges.len();
            let Some((own, rest)) = above.split_at_checked(count) else {
                return earlier;
            };
            above = rest;
            let own = own.split_at(earlier.operations.len());
            lost(&earlier, own, strengths, (&self.space, self.target.kind(kind)), halves)
        });
        if removed
            .iter()
            .all(|(kind, now)| *now == self.removed_so_far(state, kind))
        {
            return Ok(None);
        }
        self.remove_measured(state, &removed, metrics).map(Some)
    }

    /// What has been removed from cells of `kind`.
    pub(super) fn removed_so_far(&self, state: &SearchState, kind: CellKind) -> Removed {
        let removed = state.arch.kind(kind).removed.as_deref();
        removed.cloned().unwrap_or_else(|| Removed::nothing(&self.space))
    }

    /// Removes `removed` from `state`, and adds the cost of the removal to `metrics`. Returns the
    /// outcome after the removal.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub(super) fn remove_measured(
        &self,
        state: &mut SearchState,
        removed: &PerKind<Removed>,
        metrics: &mut SearchEpoch,
    ) -> Result<Outcome, EvaluateError> {
        let [mut operations, mut edges] = [0, 0];
        for (kind, now) in removed.iter() {
            let (before, now) = (self.removed_so_far(state, kind).counts(), now.counts());
            operations += now[0] - before[0];
            edges += now[1] - before[1];
        }
        self.remove(state, removed);
        let outcome = self.outcome(state);
        let pruned = self.pruned(state, &outcome);
        let accuracy = pruned.accuracy(Discretization::Supernet, &self.monitor, &self.group, &self.device)?;
        let points = metrics.supernet_accuracy.map(|before| before - accuracy);
        metrics.removed_operations = Some(operations);
        metrics.removed_edges = Some(edges);
        metrics.removal_gap = points;
        state.progress.dropping.points += points.unwrap_or_default();
        Ok(outcome)
    }

    /// What the search of `state` has removed so far; `None` if nothing.
    pub(crate) fn removed_gap(&self, state: &SearchState) -> Option<RemovedGap> {
        let counts = state
            .arch
            .kinds()
            .values()
            .filter_map(|arch| Some(arch.removed.as_ref()?.counts()));
        let [all, edges] = counts.reduce(|a, b| [a[0] + b[0], a[1] + b[1]])?;
        // Operations that an edge never had do not count as removed.
        let [never, _] = Removed::never(&self.space).counts();
        let operations = all - never * self.space.kinds().len();
        (operations + edges > 0).then_some(RemovedGap {
            operations: operations as u64,
            edges: edges as u64,
            points: Some(state.progress.dropping.points),
        })
    }

    /// Removes `removed` from `state`.
    pub(super) fn remove(&self, state: &mut SearchState, removed: &PerKind<Removed>) {
        for (kind, removed) in removed.iter() {
            let link = self.method.method().link(self.target.kind(kind));
            let arch = state.arch.kind_mut(kind);
            let mut alpha = host(&arch.alpha);
            fill(&mut alpha, &removed.operations, link.removed());
            arch.alpha = Tensor::from_data(TensorData::new(alpha, arch.alpha.dims()), &self.device);
            let mut beta = host(&arch.beta);
            fill(&mut beta, &removed.edges, Link::Capped.removed());
            arch.beta = Tensor::from_data(TensorData::new(beta, arch.beta.dims()), &self.device);
            arch.removed = Some(Arc::new(removed.clone()));
        }
        let mut parts = state.weights.parts().to_vec();
        for (part, ranges) in self.ranges(state, |kind| removed.kind(kind).active()) {
            let mut weights = host(&parts[part]);
            ranges.iter().for_each(|range| weights[range.clone()].fill(0.0));
            parts[part] = Tensor::from_data(TensorData::new(weights, parts[part].dims()), &self.device);
            state.sgd.forget(part, &ranges);
        }
        state.weights = Weights::from_parts(parts);
    }

    /// The weights of all choices that are not `active`, part by part.
    fn ranges(&self, state: &SearchState, active: impl Fn(CellKind) -> Arc<[bool]>) -> Vec<(usize, Vec<Range<usize>>)> {
        let backbone = self.backbone_of(state);
        let stages = backbone.stages().iter().enumerate();
        let searched = stages.filter_map(|(part, stage)| {
            let active = backbone.active_choices(&active(stage.kind?));
            let choices = stage.cell.plan().edges.iter().flat_map(|edge| &edge.choices);
            let inactive = choices.zip(active.iter()).filter(|(_, active)| !**active);
            let ranges = inactive.map(|(choice, _)| {
                let first = choice.weight_offset;
                first..first + choice.layout().weight_count
            });
            Some((part, ranges.collect()))
        });
        searched.collect()
    }
}

/// Sets the values at `flags` to `value`.
fn fill(values: &mut [f32], flags: &[bool], value: f32) {
    for (own, _) in values.iter_mut().zip(flags).filter(|(_, flag)| **flag) {
        *own = value;
    }
}

/// `removed` and what has lost since. A choice has lost if its flag in `operations_above` or
/// `edges_above` is false, unless it is among the strongest, as many as the target keeps.
fn lost(
    removed: &Removed,
    (operations_above, edges_above): (&[bool], &[bool]),
    strengths: &KindStrengths,
    (space, target): (&Space, &KindTarget),
    halves: Halves,
) -> Removed {
    let (graph, candidates) = (space.graph, space.operations.len());
    let mut now = removed.clone();
    if halves.edges {
        for group in graph.groups().filter(|&group| target.has_beta(graph, group)) {
            let range = graph.edges_of(group);
            let stay = largest(&strengths.edge_rank[range.clone()], target.kept(group), |_| true);
            let gone = range.clone().filter(|edge| !stay.contains(&(edge - range.start)));
            for edge in gone.filter(|&edge| !edges_above[edge]) {
                now.edges[edge] = true;
            }
        }
    }
    if halves.operations {
        // The operations of a removed edge have gone with it.
        for edge in (0..graph.edge_count()).filter(|&edge| !now.edges[edge]) {
            let may_keep = |candidate: usize| space.may_keep(space.operations[candidate]);
            let stay = largest(&strengths.operation_rank[edge], target.operations, may_keep);
            for candidate in (0..candidates).filter(|candidate| !stay.contains(candidate)) {
                let at = edge * candidates + candidate;
                now.operations[at] |= !operations_above[at];
            }
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataOptions, Format, open};
    use crate::evaluate::DeviceBatch;
    use crate::resumable::Resumable;
    use crate::search::{Draw, SearchSetup, Trains};
    use crate::space::TargetSpec;
    use burn::tensor::Device;
    use da2s_engine::Engine;
    use proptest::prelude::*;

    /// Removes two of every three operations, and some edges: all but one from an input, and all
    /// but one into a node. Then takes a step: both engines agree, and the weights of what was
    /// removed stay 0.
    #[test]
    fn what_is_removed_is_not_computed_in_either_engine() {
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 16);
        let [plain, fused] = [Engine::Plain, Engine::fused()].map(|engine| {
            let search = Search::new(&setup, &dataset, &Device::flex(), &engine).unwrap();
            let mut state = search.start();
            let moment = Moment::of_epoch(10, 30, 5);
            let (stepper, draw, rates) = (
                search.stepper(&state),
                Draw::new(1, moment),
                search.rates(moment, &state),
            );
            let batch = DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &search.device);
            let step = |state: &mut SearchState| stepper.half_step(state, Trains::Both, &batch, draw, rates).unwrap();
            step(&mut state);
            let removed = PerKind::new(search.space.kinds(), |_| {
                let mut removed = Removed::nothing(&search.space);
                for (edge, (from, to)) in search.space.graph.edges().enumerate() {
                    removed.edges[edge] = from == 0 && to > 2 || to == 4 && from != 1;
                }
                for (at, gone) in removed.operations.iter_mut().enumerate() {
                    *gone = at % 3 != 1;
                }
                removed
            });
            search.remove(&mut state, &removed);
            let before = state.clone();
            let reading = step(&mut state);
            for (part, ranges) in search.ranges(&state, |kind| removed.kind(kind).active()) {
                let values = host(&state.weights.parts()[part]);
                assert!(
                    ranges
                        .iter()
                        .all(|range| values[range.clone()].iter().all(|weight| *weight == 0.0))
                );
                assert!(values.iter().any(|weight| *weight != 0.0));
            }
            for (kind, removed) in removed.iter() {
                let [before, after] = [&before, &state].map(|state| host(&state.arch.kind(kind).alpha));
                let at = |index: usize| before[index] == after[index];
                assert!((0..before.len()).all(|index| !removed.operations[index] || at(index)));
                assert!((0..before.len()).any(|index| !at(index)));
                let strengths = &search.outcome(&state).strengths.kind(kind).clone();
                for (edge, row) in strengths.p.iter().enumerate() {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "edge {edge}: {row:?}");
                }
            }
            (reading, state)
        });
        assert!(
            (plain.0.loss - fused.0.loss).abs() < 1e-4,
            "{} {}",
            plain.0.loss,
            fused.0.loss
        );
        for (ours, theirs) in plain.1.weights.parts().iter().zip(fused.1.weights.parts()) {
            let pairs = host(ours).into_iter().zip(host(theirs));
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    proptest! {
        /// Whatever the ranks and shares of an epoch, what was removed stays removed. Every edge
        /// keeps enough operations for the target, and every node keeps enough edges, with the
        /// strongest one among them.
        #[test]
        fn what_is_removed_never_returns_and_the_target_stays_reachable(
            epochs in prop::collection::vec((any::<u64>(), 0.0f64..1.0), 1..12),
            kept in 1usize..=3,
            (operations, edges) in (any::<bool>(), any::<bool>()),
        ) {
            let space = Space::darts(true);
            let spec: TargetSpec = toml::from_str(&format!("edges = [1, 2, 1, 3]\noperations = {kept}")).unwrap();
            let target = spec.resolve(&space).unwrap().normal;
            let (graph, width) = (space.graph, space.operations.len());
            let mut removed = Removed::nothing(&space);
            for (seed, share) in epochs {
                let value = |index: usize| {
                    let mixed = (index as u64 + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    (mixed >> 40) as f32 / (1 << 24) as f32
                };
                let mut strengths = KindStrengths::even(&space);
                for (edge, row) in strengths.operation_rank.iter_mut().enumerate() {
                    for (at, rank) in row.iter_mut().enumerate() {
                        let gone = removed.operations[edge * width + at];
                        *rank = if gone { f32::NEG_INFINITY } else { value(edge * width + at) };
                    }
                }
                for (edge, rank) in strengths.edge_rank.iter_mut().enumerate() {
                    *rank = if removed.edges[edge] { f32::NEG_INFINITY } else { value(1000 + edge) };
                }
                let above = |from: usize, count: usize| -> Vec<bool> {
                    (from..from + count).map(|index| f64::from(value(index)) < share).collect()
                };
                let flags = (above(2000, graph.edge_count() * width), above(3000, graph.edge_count()));
                let now = lost(&removed, (&flags.0, &flags.1), &strengths, (&space, &target), Halves { operations, edges });
                let returned = |before: &[bool], now: &[bool]| before.iter().zip(now).any(|(before, now)| *before && !now);
                prop_assert!(!returned(&removed.operations, &now.operations));
                prop_assert!(!returned(&removed.edges, &now.edges));
                prop_assert!(operations || now.counts()[0] == 0);
                prop_assert!(edges || now.counts()[1] == 0);
                for group in graph.groups() {
                    let range = graph.edges_of(group);
                    let left = range.clone().filter(|&edge| !now.edges[edge]);
                    prop_assert!(left.clone().count() >= target.kept(group));
                    let best = range.max_by(|&a, &b| strengths.edge_rank[a].total_cmp(&strengths.edge_rank[b]));
                    prop_assert!(left.into_iter().any(|edge| Some(edge) == best));
                }
                for edge in 0..graph.edge_count() {
                    let left = (0..width).filter(|at| !now.operations[edge * width + at]);
                    let real = left.filter(|&at| space.may_keep(space.operations[at]));
                    prop_assert!(real.count() >= kept);
                }
                removed = now;
            }
        }
    }
}
