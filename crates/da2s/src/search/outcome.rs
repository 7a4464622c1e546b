//! The outcome of a search: the genotype of its mixture and how decided it is, whether the search
//! continues, and the evaluation on the held-out images at the end of each epoch.
//!
//! Reference: Tian et al. 2021, section 3.1, for the accuracy after discretization. Contract:
//! nothing here changes a state. Every process of a group takes part in the evaluation, and an
//! accuracy is that over the images of all processes; everything else is computed from the
//! process's own state.

use burn::tensor::Tensor;

use super::within::exclude_expensive;
use super::{Choices, Rates, Search, SearchState, When};
use crate::device::host;
use crate::discretize::{
    Decision, Discretization, DiscretizationRule, Images, KindStrengths, Pruned, Searched, decide, strongest,
    strongest_excluding,
};
use crate::evaluate::EvaluateError;
use crate::space::{CellKind, Genotype, Operation, PerKind};
use da2s_records::schema::SearchEpoch;

/// The outcome for the mixture of a state.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is kept.
    pub genotype: Genotype,
    /// How decided the mixture is about it.
    pub decisions: PerKind<Decision>,
    /// The mixtures.
    pub strengths: PerKind<KindStrengths>,
}

impl Search {
    /// The number of epochs, including those that an undecided search may add.
    pub(crate) fn most_epochs(&self) -> usize {
        let extra = (self.settings.extra_epochs * self.settings.epochs as f64).round() as usize;
        self.settings.epochs + extra
    }

    /// Whether a search is undecided after its planned epochs and may continue.
    pub fn goes_on(&self, state: &SearchState) -> bool {
        if state.progress.epochs_done >= self.most_epochs() {
            return false;
        }
        // More epochs would not make up for operations that are too expensive.
        let strengths = self.host_strengths(state);
        let genotype = strongest(&strengths, &self.space, &self.target);
        let decisions = self.outcome_of(strengths, genotype).decisions;
        decisions.values().any(|decision| !decision.undecided.is_empty())
    }

    /// The outcome for the mixture of `state` by its strongest operations and edges: monitored
    /// while the search runs, whatever rule discretizes it in the end.
    pub fn outcome(&self, state: &SearchState) -> Outcome {
        let (strengths, _) = self.allowed_strengths(state);
        let genotype = strongest(&strengths, &self.space, &self.target);
        self.outcome_of(strengths, genotype)
    }

    /// Whether the strongest network of `state` is above a limit on its cost, so that it gives way
    /// to another one.
    pub(crate) fn gives_way(&self, state: &SearchState) -> bool {
        self.limit.is_some()
            && strongest(&self.host_strengths(state), &self.space, &self.target) != self.outcome(state).genotype
    }

    /// The operations that an edge may not keep, because there are more skip connections in normal
    /// cells than the target allows, or because they are too expensive. Empty unless the search
    /// follows a path of the operations: nothing else needs them.
    pub(super) fn excluded(&self, state: &SearchState) -> PerKind<Vec<(usize, Operation)>> {
        let none = || PerKind::new(self.space.kinds(), |_| Vec::new());
        let of_operations = self.method.follows_path().is_some_and(|halves| halves.operations);
        if self.target.normal.most_skips.is_none() && self.limit.is_none() || !of_operations {
            return none();
        }
        let (strengths, mut excluded) = self.allowed_strengths(state);
        let (_, without_skip) = strongest_excluding(&strengths, &self.space, &self.target);
        excluded
            .normal
            .extend(without_skip.into_iter().map(|edge| (edge, Operation::SkipConnect)));
        excluded
    }

    /// The strengths without the choices that are too expensive for the limits on the cost, and
    /// these choices.
    fn allowed_strengths(&self, state: &SearchState) -> (PerKind<KindStrengths>, PerKind<Vec<(usize, Operation)>>) {
        let mut strengths = self.host_strengths(state);
        let excluded = match &self.limit {
            Some(limit) => exclude_expensive(limit, &mut strengths, (&self.space, &self.target)),
            None => PerKind::new(self.space.kinds(), |_| Vec::new()),
        };
        (strengths, excluded)
    }

    /// The genotype that `rule` derives from `state`. `stop` is called before each batch that it
    /// measures.
    ///
    /// # Errors
    /// Those of [`DiscretizationRule::genotype`].
    pub fn discretized(
        &self,
        state: &SearchState,
        rule: &dyn DiscretizationRule,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, EvaluateError> {
        let (strengths, _) = self.allowed_strengths(state);
        let images = Images {
            held_out: &self.by_rule,
            device: &self.device,
            stop,
        };
        let genotype = rule.genotype(&self.searched(state, &strengths), &images)?;
        Ok(self.outcome_of(strengths, genotype))
    }

    pub(super) fn outcome_of(&self, strengths: PerKind<KindStrengths>, genotype: Genotype) -> Outcome {
        Outcome {
            decisions: decide(&strengths, &self.space, &genotype),
            genotype,
            strengths,
        }
    }

    pub(super) fn searched<'a>(
        &'a self,
        state: &'a SearchState,
        strengths: &'a PerKind<KindStrengths>,
    ) -> Searched<'a> {
        Searched {
            backbone: self.backbone_of(state),
            weights: &state.weights,
            statistics: &state.statistics,
            space: &self.space,
            target: &self.target,
            strengths,
        }
    }

    /// The super-network of `state`, pruned to `outcome`.
    pub fn pruned<'a>(&'a self, state: &'a SearchState, outcome: &'a Outcome) -> Pruned<'a> {
        Pruned {
            searched: self.searched(state, &outcome.strengths),
            genotype: &outcome.genotype,
        }
    }

    /// The choices in one kind of cell.
    pub(super) fn choices(&self, kind: CellKind) -> Choices<'_> {
        Choices {
            space: &self.space,
            target: self.target.kind(kind),
        }
    }

    /// p and q on the host, and the ranks of operations and edges.
    pub(super) fn host_strengths(&self, state: &SearchState) -> PerKind<KindStrengths> {
        let when = When::Reading(self.moment(state));
        let rows = |p: &Tensor<2>| -> Vec<Vec<f32>> {
            let candidates = self.space.operations.len();
            host(p).chunks(candidates).map(<[f32]>::to_vec).collect()
        };
        state.arch.kinds().map(|kind, arch| {
            let choices = self.choices(kind);
            let strengths = self.method.strengths(arch, choices, when);
            let mut operation_rank = rows(&self.method.operations(arch.alpha.clone(), choices, when));
            let mut edge_rank = self.method.edge_rank(&host(&arch.beta), &operation_rank, &self.space);
            if let Some(removed) = &arch.removed {
                let ranks = operation_rank.iter_mut().flatten().zip(&removed.operations);
                let edges = edge_rank.iter_mut().zip(&removed.edges);
                for (rank, _) in ranks.chain(edges).filter(|(_, removed)| **removed) {
                    *rank = f32::NEG_INFINITY;
                }
            }
            KindStrengths {
                p: rows(&strengths.p),
                q: host(&strengths.q),
                edge_rank,
                operation_rank,
            }
        })
    }

    /// The measurements of the epoch that ends with `state`, including those on the held-out
    /// images.
    pub(super) fn look(
        &self,
        state: &SearchState,
        outcome: &Outcome,
        rates: Rates,
    ) -> Result<SearchEpoch, EvaluateError> {
        let pruned = self.pruned(state, outcome);
        let accuracy = |stage| pruned.accuracy(stage, &self.monitor, &self.group, &self.device);
        let accuracies = [accuracy(Discretization::Supernet)?, accuracy(Discretization::Both)?];
        Ok(self.metrics(state, outcome, rates, accuracies))
    }

    /// The expected cost of the final network as a fraction of each limit.
    pub(super) fn expected_cost(&self, state: &SearchState) -> Vec<f64> {
        let Some(limit) = &self.limit else { return Vec::new() };
        let mixtures = self
            .stepper(state)
            .mixtures(&state.arch, When::Reading(self.moment(state)));
        let shares = limit.expected(&mixtures).into_iter();
        shares.map(|share| f64::from(share.into_scalar::<f32>())).collect()
    }
}
