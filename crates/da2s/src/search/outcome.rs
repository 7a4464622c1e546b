//! What a search comes to: its mixture as a genotype and how decided that is, whether there are
//! epochs left, and the look at the held-out images at the end of each.
//!
//! Reference: Tian et al. 2021, section 3.1, for the accuracy behind discretization. Contract:
//! nothing here moves a state. Every process of a group takes the look, whose accuracies are those
//! over all of them; the rest each has from its own state alone.

use burn::tensor::Tensor;

use super::{Choices, Rates, Search, SearchState, When};
use crate::device::host;
use crate::discretize::{
    Decision, Discretization, DiscretizationRule, Images, KindStrengths, Pruned, Searched, decide, strongest,
};
use crate::evaluate::EvaluateError;
use crate::space::{CellKind, Genotype, PerKind};
use da2s_records::schema::SearchEpoch;

/// What the mixture of a state comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What stays.
    pub genotype: Genotype,
    /// How decided that is.
    pub decisions: PerKind<Decision>,
    /// The mixtures.
    pub strengths: PerKind<KindStrengths>,
}

impl Search {
    /// Epochs with all that an undecided search may add.
    pub(crate) fn most_epochs(&self) -> usize {
        let extra = (self.settings.extra_epochs * self.settings.epochs as f64).round() as usize;
        self.settings.epochs + extra
    }

    /// Whether a search whose epochs are done is undecided and has further ones to spend.
    pub fn goes_on(&self, state: &SearchState) -> bool {
        state.progress.epochs_done < self.most_epochs()
            && self
                .outcome(state)
                .decisions
                .values()
                .any(|decision| !decision.undecided.is_empty())
    }

    /// What the mixture of `state` comes to by its strongest operations and edges: what the search
    /// watches while it runs, whatever rule discretizes it in the end.
    pub fn outcome(&self, state: &SearchState) -> Outcome {
        let strengths = self.host_strengths(state);
        let genotype = strongest(&strengths, &self.space, &self.target);
        self.outcome_of(strengths, genotype)
    }

    /// What `rule` makes of `state`. `stop` is asked before each batch that it measures.
    ///
    /// # Errors
    /// Those of [`DiscretizationRule::genotype`].
    pub fn discretized(
        &self,
        state: &SearchState,
        rule: &dyn DiscretizationRule,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, EvaluateError> {
        let strengths = self.host_strengths(state);
        let images = Images {
            held_out: &self.by_rule,
            device: &self.device,
            stop,
        };
        let genotype = rule.genotype(&self.searched(state, &strengths), &images)?;
        Ok(self.outcome_of(strengths, genotype))
    }

    fn outcome_of(&self, strengths: PerKind<KindStrengths>, genotype: Genotype) -> Outcome {
        Outcome {
            decisions: decide(&strengths, &self.space, &genotype),
            genotype,
            strengths,
        }
    }

    fn searched<'a>(&'a self, state: &'a SearchState, strengths: &'a PerKind<KindStrengths>) -> Searched<'a> {
        Searched {
            backbone: &self.backbone,
            weights: &state.weights,
            statistics: &state.statistics,
            space: &self.space,
            target: &self.target,
            strengths,
        }
    }

    /// The super-network of `state` with what `outcome` prunes.
    pub fn pruned<'a>(&'a self, state: &'a SearchState, outcome: &'a Outcome) -> Pruned<'a> {
        Pruned {
            searched: self.searched(state, &outcome.strengths),
            genotype: &outcome.genotype,
        }
    }

    /// What one kind of cell leaves to be chosen.
    fn choices(&self, kind: CellKind) -> Choices<'_> {
        Choices {
            space: &self.space,
            target: self.target.kind(kind),
        }
    }

    /// p and q on the host, and what operations and edges are ranked by.
    fn host_strengths(&self, state: &SearchState) -> PerKind<KindStrengths> {
        let when = When::Reading(self.moment(state));
        let rows = |p: &Tensor<2>| -> Vec<Vec<f32>> {
            let candidates = self.space.operations.len();
            host(p).chunks(candidates).map(<[f32]>::to_vec).collect()
        };
        state.arch.kinds().map(|kind, arch| {
            let choices = self.choices(kind);
            let strengths = self.method.strengths(arch, choices, when);
            let operation_rank = rows(&self.method.operations(arch.alpha.clone(), choices, when));
            KindStrengths {
                p: rows(&strengths.p),
                q: host(&strengths.q),
                edge_rank: self.method.edge_rank(&host(&arch.beta), &operation_rank, &self.space),
                operation_rank,
            }
        })
    }

    /// What the epoch that ends with `state` measured, on the held-out images too.
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

    /// The expected cost of the final network in parts of each limit on it.
    pub(super) fn expected_cost(&self, state: &SearchState) -> Vec<f64> {
        let Some(limit) = &self.limit else { return Vec::new() };
        let when = When::Reading(self.moment(state));
        let mixtures = state.arch.kinds().map(|kind, arch| {
            let choices = self.choices(kind);
            self.method
                .strengths(arch, choices, when)
                .mixture(choices.space, choices.target)
        });
        let shares = limit.expected(&mixtures).into_iter();
        shares.map(|share| f64::from(share.into_scalar::<f32>())).collect()
    }
}
