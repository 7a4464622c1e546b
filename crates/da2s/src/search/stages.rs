//! Stages of a search: at the end of each, every edge keeps its strongest candidates, and the next
//! one has another super-network.
//!
//! Reference: Chen et al., P-DARTS, ICCV 2019, section 3.1: more cells; Chen et al., DrNAS, ICLR
//! 2021, section 3.3: more channels through the candidates. Contract: the stages divide the epochs
//! of the search evenly, the last one has the remainder; each has its own warm-up, learning rates
//! and schedules, as if it were a search. A drive acts in the last stage alone, because the earlier
//! ones do not lead to the target. The weights start again in each stage, from the same initial
//! values if the layout is the same. The method defines whether α and β start again too, or are
//! kept for what remains. An edge always keeps at least as many candidates as the target needs; if
//! skip connections are limited, these do not count. The cost of a removal is measured right after
//! it, with the weights of the stage that ends.

use da2s_settings::{Allowed, BELOW_1, settings, whole};

use super::{Moment, Outcome, Search, SearchMethod, SearchState};
use crate::arch::Removed;
use crate::backbone::Backbone;
use crate::discretize::{KindStrengths, largest};
use crate::evaluate::EvaluateError;
use crate::objective::HardeningState;
use crate::space::{KindTarget, Operation, Space};
use da2s_records::schema::SearchEpoch;

/// One number for each stage.
const COUNTS: Allowed = Allowed::List {
    item: &whole(1..=1000),
    least: 1,
    distinct: false,
};

settings! {
    /// Stages of `p-darts`, and of `drnas` if `partial_channels` is set. Each list has one value
    /// per stage.
    pub struct StageSettings {
        /// Number of candidates of an edge in each stage. It falls from stage to stage; the
        /// strongest stay.
        ///
        /// If unset, `p-darts` has all, 5/8 and 3/8 of them (published: 8, 5, 3), and `drnas` all
        /// and 4/7, rounded up.
        candidates: Option<Vec<usize>> = None, in COUNTS;
        /// Cells of the super-network in each stage of `p-darts`, instead of `search.cells`; unset
        /// is 1, 2 and 3 times `search.cells`.
        cells: Option<Vec<usize>> = None, in COUNTS;
        /// Probability that a skip connection is dropped, at the start of each stage of `p-darts`;
        /// it falls during the stage. Unset is 0, 0.4, 0.7, as published.
        skip_dropout: Option<Vec<f64>> = None, in PROBABILITIES;
        /// K of each stage of `drnas`: 1/K of the channels go through the candidates.
        ///
        /// Published: 6, 4. If unset, the search has no stages.
        partial_channels: Option<Vec<usize>> = None, in GROUPS;
    }
}

/// The published probabilities of `p-darts` to drop a skip connection.
pub(crate) const SKIP_DROPOUT: [f64; 3] = [0.0, 0.4, 0.7];

/// K of each stage.
const GROUPS: Allowed = Allowed::List {
    item: &whole(1..=64),
    least: 1,
    distinct: false,
};

/// A probability for each stage.
const PROBABILITIES: Allowed = Allowed::List {
    item: &BELOW_1,
    least: 0,
    distinct: false,
};

/// The super-network of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagePlan {
    /// Candidates of an edge.
    pub candidates: usize,
    /// Its cells; `None` means `search.cells`.
    pub cells: Option<usize>,
    /// K of partial channels; `None` means that of the method.
    pub partial_channels: Option<usize>,
    /// Whether the remaining candidates keep their α and β at the end of the stage.
    pub keeps_arch: bool,
}

/// The stages, at least one, of a search by `method` whose edges have `candidates` candidates.
pub(super) fn plans(method: &dyn SearchMethod, candidates: usize) -> Vec<StagePlan> {
    let plans = method.stages(candidates);
    if !plans.is_empty() {
        return plans;
    }
    vec![StagePlan {
        candidates,
        cells: None,
        partial_channels: None,
        keeps_arch: false,
    }]
}

/// The stages of a search.
#[derive(Debug)]
pub(super) struct Stages {
    /// Not empty.
    pub plans: Vec<StagePlan>,
    /// The super-networks before the last one.
    earlier: Vec<Backbone>,
    epochs: usize,
}

impl Stages {
    pub fn new(plans: Vec<StagePlan>, earlier: Vec<Backbone>, epochs: usize) -> Self {
        Self { plans, earlier, epochs }
    }

    /// Number of stages, at least 1.
    fn count(&self) -> usize {
        self.plans.len()
    }

    /// The stage after `epochs_done` epochs.
    fn at(&self, epochs_done: usize) -> usize {
        (epochs_done / self.length()).min(self.count() - 1)
    }

    /// Epochs of each stage but the last.
    fn length(&self) -> usize {
        lengths(self.epochs, self.count())[0]
    }

    /// The moment before step `step` of `steps` after `epochs_done` epochs.
    pub fn moment(&self, epochs_done: usize, warmup: usize, [step, steps]: [usize; 2]) -> Moment {
        let (stage, stages) = (self.at(epochs_done), self.count());
        let before = stage * self.length();
        let epochs = if stage + 1 < stages { self.length() } else { self.last() };
        Moment {
            epoch: epochs_done - before + 1,
            epochs,
            warmup,
            step,
            steps,
            before,
            stage,
            stages,
        }
    }

    /// Epochs of the shortest stage.
    pub fn shortest(&self) -> usize {
        self.length().min(self.last())
    }

    /// Epochs of the last stage.
    pub fn last(&self) -> usize {
        lengths(self.epochs, self.count())[1]
    }
}

/// Epochs of each of `stages` but the last, and of the last.
pub(super) fn lengths(epochs: usize, stages: usize) -> [usize; 2] {
    let each = (epochs / stages).max(1);
    [each, epochs.saturating_sub((stages - 1) * each)]
}

impl Search {
    /// The super-network of `state`.
    pub fn backbone_of(&self, state: &SearchState) -> &Backbone {
        self.backbone_after(state.progress.epochs_done)
    }

    /// The super-network after `epochs_done` epochs.
    pub(crate) fn backbone_after(&self, epochs_done: usize) -> &Backbone {
        let earlier = self.stages.earlier.get(self.stages.at(epochs_done));
        earlier.unwrap_or(&self.backbone)
    }

    /// Number of stages.
    pub(crate) fn stage_count(&self) -> usize {
        self.stages.count()
    }

    /// A state in which `stage` begins, as if nothing had been learned before it.
    pub(crate) fn state_in(&self, stage: usize) -> SearchState {
        let mut state = self.fresh(self.backbone_after(0));
        for next in self.stages.plans.iter().take(stage + 1).skip(1) {
            let strengths = self.host_strengths(&state);
            let removed = strengths.map(|kind, strengths| {
                let choices = (&self.space, self.target.kind(kind));
                weakest(&self.removed_so_far(&state, kind), strengths, choices, next.candidates)
            });
            self.remove(&mut state, &removed);
            state.progress.epochs_done += self.stages.length();
            self.begin_stage(&mut state, *next);
        }
        state
    }

    /// The stage that follows the epoch of `moment`, if a stage ends with it.
    pub(super) fn next_stage(&self, moment: Moment) -> Option<StagePlan> {
        let next = self.stages.plans.get(moment.stage + 1);
        next.filter(|_| moment.epoch == moment.epochs).copied()
    }

    /// Removes candidates until each edge has only its strongest, `next.candidates` of them, and
    /// adds the cost of the removal to `metrics`, those of the epoch that `state` has just ended.
    /// Returns the outcome without the removed candidates. Limits on the cost of the network act in
    /// the last stage.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub(super) fn end_stage(
        &self,
        state: &mut SearchState,
        next: StagePlan,
        metrics: &mut SearchEpoch,
    ) -> Result<Outcome, EvaluateError> {
        let removed = self.host_strengths(state).map(|kind, strengths| {
            let choices = (&self.space, self.target.kind(kind));
            weakest(&self.removed_so_far(state, kind), strengths, choices, next.candidates)
        });
        self.remove_measured(state, &removed, metrics)
    }

    /// Begins the stage `plan`: `state` has just ended the one before it.
    pub(super) fn begin_stage(&self, state: &mut SearchState, plan: StagePlan) {
        let removed = state.arch.kinds().map(|kind, _| self.removed_so_far(state, kind));
        let mut next = self.fresh(self.backbone_of(state));
        next.progress = state.progress.clone();
        next.progress.hardening = HardeningState::default();
        next.progress.rollbacks = 0;
        if plan.keeps_arch {
            (next.arch, next.arch_moments) = (state.arch.clone(), state.arch_moments.clone());
        }
        self.remove(&mut next, &removed);
        // The super-network of the stage before never runs again.
        for stage in self.backbone_after(state.progress.epochs_done - 1).stages() {
            stage.cell.free_memory();
        }
        *state = next;
    }
}

/// `removed`, and all candidates of every edge except the strongest `count`, which include as many
/// as the target needs.
fn weakest(
    removed: &Removed,
    strengths: &KindStrengths,
    (space, target): (&Space, &KindTarget),
    count: usize,
) -> Removed {
    let candidates = space.operations.len();
    let may_be_needed = |candidate: usize| {
        let operation = space.operations[candidate];
        let excluded = operation == Operation::SkipConnect && target.most_skips.is_some();
        space.may_keep(operation) && !excluded
    };
    let mut now = removed.clone();
    for (edge, ranks) in strengths.operation_rank.iter().enumerate() {
        let is_left = |candidate: usize| !removed.operations[edge * candidates + candidate];
        let needed = largest(ranks, target.operations, |candidate| {
            is_left(candidate) && may_be_needed(candidate)
        });
        let others = largest(ranks, candidates, |candidate| {
            is_left(candidate) && !needed.contains(&candidate)
        });
        let stay: Vec<usize> = needed.into_iter().chain(others).take(count).collect();
        for candidate in (0..candidates).filter(|candidate| !stay.contains(candidate)) {
            now.operations[edge * candidates + candidate] = true;
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::TargetSpec;
    use proptest::prelude::*;

    fn stages(count: usize, epochs: usize) -> Stages {
        let plan = StagePlan {
            candidates: 1,
            cells: None,
            partial_channels: None,
            keeps_arch: false,
        };
        Stages::new(vec![plan; count], Vec::new(), epochs)
    }

    #[test]
    fn the_stages_divide_the_epochs_and_the_last_one_has_the_remainder() {
        let stages = stages(3, 11);
        let at = |epochs_done| {
            let moment = stages.moment(epochs_done, 2, [0, 5]);
            (moment.stage, moment.epoch, moment.epochs, moment.number())
        };
        let expected = [
            (0, 1, 3),
            (0, 2, 3),
            (0, 3, 3),
            (1, 1, 3),
            (1, 2, 3),
            (1, 3, 3),
            (2, 1, 5),
        ];
        for (epochs_done, (stage, epoch, epochs)) in expected.into_iter().enumerate() {
            assert_eq!(at(epochs_done), (stage, epoch, epochs, epochs_done + 1));
        }
        // Epochs beyond the end belong to the last stage.
        assert_eq!((at(10), at(12), stages.last()), ((2, 5, 5, 11), (2, 7, 5, 13), 5));
        assert_eq!(stages.shortest(), 3);
        assert!(stages.moment(6, 2, [0, 5]).is_in_last_stage());
    }

    #[test]
    fn a_search_without_stages_has_a_single_stage() {
        let stages = stages(1, 7);
        let moment = stages.moment(3, 2, [1, 5]);
        assert_eq!((moment.epoch, moment.epochs, moment.before), (4, 7, 0));
        assert!(moment.is_in_last_stage() && stages.last() == 7);
    }

    proptest! {
        /// The strongest stay, unless the target needs weaker ones. The target can always be
        /// reached, even with a limit on skip connections.
        #[test]
        fn every_edge_keeps_its_strongest_and_what_the_target_may_need(
            ranks in prop::collection::vec(0.0f32..1.0, 14 * 8),
            (first, second) in (4usize..=8, 2usize..=4),
            most_skips in any::<bool>(),
            operations in 1usize..=2,
        ) {
            let space = Space::darts(true);
            let limit = if most_skips { "most_skips = 0" } else { "" };
            let spec: TargetSpec = toml::from_str(&format!("operations = {operations}\n{limit}")).unwrap();
            let target = spec.resolve(&space).unwrap().normal;
            let mut strengths = KindStrengths::even(&space);
            strengths.operation_rank = ranks.chunks(8).map(<[f32]>::to_vec).collect();
            let mut removed = Removed::nothing(&space);
            for count in [first, second] {
                let now = weakest(&removed, &strengths, (&space, &target), count);
                for (edge, row) in strengths.operation_rank.iter().enumerate() {
                    let stays = |at: usize| !now.operations[edge * 8 + at];
                    let was = |at: usize| !removed.operations[edge * 8 + at];
                    prop_assert!((0..8).all(|at| was(at) || !stays(at)));
                    prop_assert_eq!((0..8).filter(|&at| stays(at)).count(), count);
                    let needed = |at: usize| {
                        let operation = space.operations[at];
                        operation != Operation::None && !(most_skips && operation == Operation::SkipConnect)
                    };
                    prop_assert!((0..8).filter(|&at| stays(at) && needed(at)).count() >= operations);
                    // If something is removed although it is stronger than something that stays,
                    // the target may need the weaker one.
                    let weakest = (0..8).filter(|&at| stays(at)).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
                    let stronger = (0..8).any(|at| was(at) && !stays(at) && row[at] > row[weakest]);
                    prop_assert!(!stronger || needed(weakest));
                }
                removed = now;
            }
        }
    }
}
