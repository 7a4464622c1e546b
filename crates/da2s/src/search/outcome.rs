//! What a search comes to: its mixture as a genotype and how decided that is, whether there are epochs left, and the look at the
//! held-out images at the end of each.
//!
//! Reference: Tian et al. 2021, section 3.1, for the accuracy behind discretization. Contract: nothing here moves a state. Every process
//! of a group takes the look, whose accuracies are those over all of them; the rest each has from its own state alone.

use super::{ArchRecord, EpochMetrics, KindRecord, Moment, Rates, Search, SearchState};
use crate::backbone::host;
use crate::discretize::{Decision, Genotype, KindStrengths, Pruned, Stage, discretize};
use crate::error::Error;
use crate::space::{CellKind, PerKind};

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
    pub fn most_epochs(&self) -> usize {
        let extra = (self.settings.extra_epochs * self.settings.epochs as f64).round() as usize;
        self.settings.epochs + extra
    }

    /// Whether there are epochs left.
    pub fn is_unfinished(&self, state: &SearchState) -> bool {
        state.progress.epochs_done < self.settings.epochs || self.goes_on(state)
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

    /// What the mixture of `state` comes to.
    pub fn outcome(&self, state: &SearchState) -> Outcome {
        let strengths = PerKind::new(self.space.kinds(), |kind| self.host_strengths(state, kind));
        let discretized =
            strengths.map(|kind, strengths| discretize(strengths, &self.space, self.target.kind(kind), kind));
        Outcome {
            genotype: Genotype {
                cells: discretized.map(|_, (genotype, _)| genotype.clone()),
            },
            decisions: discretized.map(|_, (_, decision)| decision.clone()),
            strengths,
        }
    }

    /// The super-network of `state` with what `outcome` prunes.
    pub fn pruned<'a>(&'a self, state: &'a SearchState, outcome: &'a Outcome) -> Pruned<'a> {
        Pruned {
            backbone: &self.backbone,
            weights: &state.weights,
            statistics: &state.statistics,
            space: &self.space,
            strengths: &outcome.strengths,
            genotype: &outcome.genotype,
        }
    }

    /// α, β, p and q of `state` as the files of a run have them.
    pub fn arch_record(&self, state: &SearchState, outcome: &Outcome, epoch: usize) -> ArchRecord {
        let records = outcome.strengths.map(|kind, strengths| {
            KindRecord::new(&self.space, self.target.kind(kind), state.arch.kind(kind), strengths)
        });
        ArchRecord::new(epoch, &records)
    }

    /// p and q of one kind of cell on the host, and what its edges are ranked by.
    fn host_strengths(&self, state: &SearchState, kind: CellKind) -> KindStrengths {
        let arch = state.arch.kind(kind);
        let strengths = self.method.strengths(arch, &self.space, self.target.kind(kind), None);
        let p: Vec<Vec<f32>> = host(&strengths.p)
            .chunks(self.space.operations.len())
            .map(<[f32]>::to_vec)
            .collect();
        let edge_rank = self.method.edge_rank(&host(&arch.beta), &p, &self.space);
        KindStrengths {
            p,
            q: host(&strengths.q),
            edge_rank,
        }
    }

    /// Looks at the held-out images at the end of an epoch.
    pub(super) fn look(
        &self,
        state: &SearchState,
        outcome: &Outcome,
        moment: Moment,
        rates: Rates,
    ) -> Result<EpochMetrics, Error> {
        let pruned = self.pruned(state, outcome);
        let accuracy = |stage| pruned.accuracy(stage, &self.monitor, &self.group, &self.device);
        let (supernet, discretized) = (accuracy(Stage::Supernet)?, accuracy(Stage::Both)?);
        let penalty = self.method.penalty(&state.arch, &self.space, &self.target, moment);
        let samples = self.steps() * self.global_batch();
        Ok(
            EpochMetrics::new(&state.progress, samples, moment, rates, supernet, discretized)
                .with_mixture(self, state, outcome)
                .with_penalty(penalty)
                .with_path(self, state)
                .with_cost(self.expected_cost(state)),
        )
    }

    /// The expected cost of the final network in parts of each limit on it.
    fn expected_cost(&self, state: &SearchState) -> Vec<f64> {
        let Some(limit) = &self.limit else { return Vec::new() };
        let mixtures = state.arch.kinds().map(|kind, arch| {
            let strengths = self.method.strengths(arch, &self.space, self.target.kind(kind), None);
            strengths.mixture(&self.space)
        });
        let shares = limit.expected(&mixtures).into_iter();
        shares.map(|share| f64::from(share.into_scalar::<f32>())).collect()
    }
}
