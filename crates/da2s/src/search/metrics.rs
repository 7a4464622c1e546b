//! The numbers of a search: its lines of `search/metrics.jsonl` and `search/arch.jsonl`.
//!
//! Contract: means over the edges and nodes of both kinds of cell. No times: the same seed produces
//! the same bits.

use burn::tensor::Tensor;
use da2s_records::schema::{self, ArchCell, ArchEpoch, SearchEpoch};

use super::{Outcome, Rates, Reading, Search, SearchProgress, SearchState};
use crate::arch::KindParams;
use crate::device::host;
use crate::discretize::{Decision, KindStrengths};
use crate::objective::{Schedule, Term};
use crate::resumable::Resumable;
use crate::space::{KindTarget, Space};

impl SearchProgress {
    /// Adds a step.
    pub(super) fn add(&mut self, arch: Option<Reading>, weights: Reading) {
        self.steps_done += 1;
        self.weight_loss += weights.loss;
        self.arch_loss += arch.map_or(0.0, |arch| arch.loss);
        self.arch_steps += usize::from(arch.is_some());
        self.cross_entropy += weights.cross_entropy;
        self.correct += weights.correct;
        self.gradient_norm += weights.gradient_norm;
    }
}

/// α, β, p and q of one kind of cell, in the form of a run's files.
fn arch_cell(space: &Space, target: &KindTarget, arch: &KindParams, strengths: &KindStrengths) -> ArchCell {
    let graph = space.graph;
    let competes = graph.groups_of_edges().map(|group| target.has_beta(graph, group));
    let double = |row: &[f32]| row.iter().copied().map(f64::from).collect();
    ArchCell {
        edges: graph.edges().collect(),
        groups: graph.groups_of_edges().filter(|_| graph.is_chain()).collect(),
        operations: space
            .operations
            .iter()
            .map(|operation| operation.name().to_owned())
            .collect(),
        alpha: host(&arch.alpha)
            .chunks(space.operations.len())
            .map(|row| row.iter().map(|&alpha| Some(f64::from(alpha))).collect())
            .collect(),
        beta: host(&arch.beta)
            .into_iter()
            .zip(competes)
            .map(|(beta, competes)| competes.then_some(f64::from(beta)))
            .collect(),
        p: strengths.p.iter().map(|row| double(row)).collect(),
        q: double(&strengths.q),
    }
}

impl Search {
    /// α, β, p and q of `state`, in the form of a run's files.
    pub(crate) fn arch_record(&self, state: &SearchState, outcome: &Outcome, epoch: usize) -> ArchEpoch {
        let cells = outcome.strengths.iter().map(|(kind, strengths)| {
            let cell = arch_cell(&self.space, self.target.kind(kind), state.arch.kind(kind), strengths);
            (kind.name().to_owned(), cell)
        });
        ArchEpoch {
            epoch,
            cells: cells.collect(),
        }
    }

    /// The metrics of the epoch that ends with `state`; on its held-out images the super-network
    /// has the accuracy `supernet`, and `discretized` after discretization.
    pub(super) fn metrics(
        &self,
        state: &SearchState,
        outcome: &Outcome,
        rates: Rates,
        [supernet, discretized]: [f64; 2],
    ) -> SearchEpoch {
        let (moment, progress) = (self.moment(state), &state.progress);
        let steps = progress.steps_done as f64;
        let samples = self.steps() * self.global_batch();
        let mut metrics = SearchEpoch {
            epoch: moment.number(),
            epochs: self.settings.epochs,
            steps: progress.steps_done,
            learning_rate: Some(rates.weights),
            alpha_rate: Some(rates.alpha),
            beta_rate: Some(rates.beta),
            weight_loss: Some(progress.weight_loss / steps),
            arch_loss: (progress.arch_steps > 0).then(|| progress.arch_loss / progress.arch_steps as f64),
            cross_entropy: Some(progress.cross_entropy / steps),
            train_accuracy: Some(100.0 * progress.correct as f64 / samples as f64),
            supernet_accuracy: Some(supernet),
            discretized_accuracy: Some(discretized),
            gap: Some(supernet - discretized),
            gradient_norm: Some(progress.gradient_norm / steps),
            expected_cost: self.expected_cost(state).into_iter().reduce(f64::max),
            ..SearchEpoch::default()
        };
        self.measure_mixture(state, outcome, &mut metrics);
        self.measure_penalty(state, &mut metrics);
        self.measure_path(state, &mut metrics);
        metrics
    }

    fn measure_mixture(&self, state: &SearchState, outcome: &Outcome, metrics: &mut SearchEpoch) {
        let graph = self.space.graph;
        let (mut operations, mut edges, mut cardinalities) = (Mean::default(), Mean::default(), Mean::default());
        for (kind, strengths) in outcome.strengths.iter() {
            let target = self.target.kind(kind);
            let beta = host(&state.arch.kind(kind).beta);
            strengths.p.iter().for_each(|row| operations.add(entropy(row)));
            for group in graph.groups().filter(|&group| target.has_beta(graph, group)) {
                let range = graph.edges_of(group);
                edges.add(entropy(&strengths.q[range.clone()]));
                let kept: f32 = beta[range]
                    .iter()
                    .filter(|&&beta| beta > 0.0)
                    .map(|beta| beta.min(1.0))
                    .sum();
                cardinalities.add(f64::from(kept - target.kept(group) as f32).powi(2));
            }
        }
        let decision = Decision::join(outcome.decisions.values().cloned());
        metrics.entropy_operations = Some(operations.value());
        metrics.entropy_edges = Some(edges.value());
        metrics.cardinality = Some(cardinalities.value());
        metrics.p_mean = Some(f64::from(decision.p_mean));
        metrics.p_least = Some(f64::from(decision.p_least));
        metrics.q_mean = Some(f64::from(decision.q_mean));
        metrics.q_least = Some(f64::from(decision.q_least));
    }

    /// Adds the terms of the loss.
    fn measure_penalty(&self, state: &SearchState, metrics: &mut SearchEpoch) {
        let scalar = |tensor: Tensor<1>| f64::from(tensor.into_scalar::<f32>());
        let moment = self.moment(state);
        let penalty = self.method.penalty(&state.arch, &self.space, &self.target, moment);
        metrics.regulariser = Some(penalty.loss().map_or(0.0, scalar));
        let regulariser = self.method.regulariser().filter(|_| moment.is_in_last_stage());
        let at = |schedule: &Schedule| schedule.at(moment.epoch, moment.epochs, moment.warmup);
        metrics.lambda = Some(regulariser.map_or(0.0, |regulariser| regulariser.lambda));
        metrics.lambda_c = Some(regulariser.map_or(0.0, |regulariser| at(&regulariser.lambda_c)));
        metrics.lambda_alpha = Some(regulariser.map_or(0.0, |regulariser| at(&regulariser.lambda_alpha)));
        let own = self
            .method
            .method()
            .penalty(&state.arch, &self.space, &self.target, moment);
        let record = |term: &Term| schema::Term {
            name: term.name.to_owned(),
            weight: Some(term.weight),
            value: Some(term.values.values().cloned().map(scalar).sum()),
        };
        metrics.terms = own.terms.iter().map(record).collect();
    }

    /// Adds the requirements of the path, if the method follows one.
    fn measure_path(&self, state: &SearchState, metrics: &mut SearchEpoch) {
        if self.method.follows_path().is_some_and(|halves| halves.operations) {
            let position = state.progress.hardening.position;
            let asked = self.target.values().map(|target| {
                1.0 - self
                    .hardening()
                    .bound(position, target.operations, self.space.operations.len())
            });
            metrics.path_position = Some(position);
            metrics.path_p = asked.reduce(f64::min);
        }
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum / self.count as f64
        }
    }
}

/// Entropy in nats.
fn entropy(weights: &[f32]) -> f64 {
    weights
        .iter()
        .map(|&weight| f64::from(weight))
        .filter(|&weight| weight > 0.0)
        .map(|weight| -weight * weight.ln())
        .sum()
}
