//! The numbers of a search: one line an epoch of `metrics.jsonl` and of `arch.jsonl`.
//!
//! Contract: accuracies in percent, entropies in nats, means over edges and nodes of both kinds of cell. No times:
//! these files are the same bits for the same seed.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::{Outcome, Rates, Reading, Search, SearchProgress, SearchState};
use crate::arch::KindParams;
use crate::device::host;
use crate::discretize::{Decision, KindStrengths};
use crate::objective::{Penalty, Term};
use crate::space::{KindTarget, PerKind, Space};

/// One epoch of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochMetrics {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Learning rate of the weights.
    pub learning_rate: f64,
    /// Learning rate of α.
    pub alpha_rate: f64,
    /// Learning rate of β.
    pub beta_rate: f64,
    /// Mean loss of the weight steps, regulariser included.
    pub weight_loss: f64,
    /// Mean loss of the architecture steps, regulariser included; none in an epoch without any.
    pub arch_loss: Option<f64>,
    /// Mean cross-entropy of the weight steps.
    pub cross_entropy: f64,
    /// Accuracy in the weight steps.
    pub train_accuracy: f64,
    /// Accuracy of the super-network on held-out images.
    pub supernet_accuracy: f64,
    /// The same with operations and edges discretized.
    pub discretized_accuracy: f64,
    /// Points lost by it.
    pub gap: f64,
    /// λ; 0, as the next two, for a method without the regulariser of DA²S.
    pub lambda: f64,
    /// λ_c(t).
    pub lambda_c: f64,
    /// λ_α(t).
    pub lambda_alpha: f64,
    /// What is added to the loss at the epoch's end, all terms together.
    pub regulariser: f64,
    /// Its terms; empty where λ, λ_c and λ_α give their weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<TermRecord>,
    /// How far along the path of the adaptive schedule the search is, 0 to 1.
    pub path_position: Option<f64>,
    /// The least p that the path asks of every edge.
    pub path_p: Option<f64>,
    /// Expected cost of the final network in parts of its limit, the largest of them.
    pub expected_cost: Option<f64>,
    /// Mean entropy of p over the edges.
    pub entropy_operations: f64,
    /// Mean entropy of q over the nodes that have a β.
    pub entropy_edges: f64,
    /// Mean square of Σ S_β(β) − n over those nodes.
    pub cardinality: f64,
    /// Mean weight of the operations that would stay.
    pub p_mean: f32,
    /// The least of them on an edge that would stay.
    pub p_least: f32,
    /// Mean of n·q of each node's weakest kept edge.
    pub q_mean: f32,
    /// The least of them.
    pub q_least: f32,
    /// Mean norm of the weights' gradient before clipping.
    pub gradient_norm: f64,
}

/// A term of the loss at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermRecord {
    /// Its name.
    pub name: String,
    /// What its value is multiplied by.
    pub weight: f64,
    /// Its value, the sum over the kinds of cell.
    pub value: f64,
}

/// α, β, p and q at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArchRecord {
    /// Epoch; 0 is before the first step.
    pub epoch: usize,
    /// By the name of the kind of cell.
    pub cells: BTreeMap<String, KindRecord>,
}

/// α, β, p and q of one kind of cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindRecord {
    /// Edges as (from, to).
    pub edges: Vec<(usize, usize)>,
    /// Names of the candidates.
    pub operations: Vec<String>,
    /// One row an edge.
    pub alpha: Vec<Vec<f32>>,
    /// One value an edge; none where the edges of a node do not compete.
    pub beta: Vec<Option<f32>>,
    /// One row an edge.
    pub p: Vec<Vec<f32>>,
    /// One value an edge.
    pub q: Vec<f32>,
}

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

impl ArchRecord {
    /// The record of every kind.
    pub fn new(epoch: usize, kinds: &PerKind<KindRecord>) -> Self {
        let named = kinds
            .iter()
            .map(|(kind, record)| (kind.name().to_owned(), record.clone()));
        Self {
            epoch,
            cells: named.collect(),
        }
    }
}

impl KindRecord {
    /// The record of one kind.
    pub fn new(space: &Space, target: &KindTarget, arch: &KindParams, strengths: &KindStrengths) -> Self {
        let graph = space.graph;
        let competes = graph
            .all_nodes()
            .flat_map(|node| vec![target.has_beta(graph, node); graph.in_degree(node)]);
        Self {
            edges: graph.edges().collect(),
            operations: space
                .operations
                .iter()
                .map(|operation| operation.name().to_owned())
                .collect(),
            alpha: host(&arch.alpha)
                .chunks(space.operations.len())
                .map(<[f32]>::to_vec)
                .collect(),
            beta: host(&arch.beta)
                .into_iter()
                .zip(competes)
                .map(|(beta, competes)| competes.then_some(beta))
                .collect(),
            p: strengths.p.clone(),
            q: strengths.q.clone(),
        }
    }
}

impl EpochMetrics {
    pub(super) fn new(
        progress: &SearchProgress,
        samples: usize,
        moment: Moment,
        rates: Rates,
        supernet: f64,
        discretized: f64,
    ) -> Self {
        let steps = progress.steps_done as f64;
        Self {
            epoch: moment.epoch,
            epochs: moment.epochs,
            steps: progress.steps_done,
            learning_rate: rates.weights,
            alpha_rate: rates.alpha,
            beta_rate: rates.beta,
            weight_loss: progress.weight_loss / steps,
            arch_loss: (progress.arch_steps > 0).then(|| progress.arch_loss / progress.arch_steps as f64),
            cross_entropy: progress.cross_entropy / steps,
            train_accuracy: 100.0 * progress.correct as f64 / samples as f64,
            supernet_accuracy: supernet,
            discretized_accuracy: discretized,
            gap: supernet - discretized,
            gradient_norm: progress.gradient_norm / steps,
            ..Self::default()
        }
    }

    pub(super) fn with_mixture(mut self, search: &Search, state: &SearchState, outcome: &Outcome) -> Self {
        let graph = search.space.graph;
        let (mut operations, mut edges, mut cardinalities) = (Mean::default(), Mean::default(), Mean::default());
        for (kind, strengths) in outcome.strengths.iter() {
            let target = search.target.kind(kind);
            let beta = host(&state.arch.kind(kind).beta);
            strengths.p.iter().for_each(|row| operations.add(entropy(row)));
            for node in graph.all_nodes().filter(|&node| target.has_beta(graph, node)) {
                let range = graph.edges_into(node);
                edges.add(entropy(&strengths.q[range.clone()]));
                let kept: f32 = beta[range]
                    .iter()
                    .filter(|&&beta| beta > 0.0)
                    .map(|beta| beta.min(1.0))
                    .sum();
                cardinalities.add(f64::from(kept - target.kept(graph, node) as f32).powi(2));
            }
        }
        let decision = Decision::join(outcome.decisions.values().cloned());
        self.entropy_operations = operations.value();
        self.entropy_edges = edges.value();
        self.cardinality = cardinalities.value();
        self.p_mean = decision.p_mean;
        self.p_least = decision.p_least;
        self.q_mean = decision.q_mean;
        self.q_least = decision.q_least;
        self
    }

    /// What the path asks, where the method follows one.
    pub(super) fn with_path(mut self, search: &Search, state: &SearchState) -> Self {
        if search.method.follows_path().is_some_and(|halves| halves.operations) {
            let position = state.progress.hardening.position;
            let asked = search.target.values().map(|target| {
                1.0 - search
                    .hardening()
                    .bound(position, target.operations, search.space.operations.len())
            });
            self.path_position = Some(position);
            self.path_p = asked.reduce(f64::min);
        }
        self
    }

    /// The expected cost, where there is a limit.
    pub(super) fn with_cost(mut self, shares: Vec<f64>) -> Self {
        self.expected_cost = shares.into_iter().reduce(f64::max);
        self
    }

    pub(super) fn with_penalty(mut self, search: &Search, moment: Moment, penalty: &Penalty) -> Self {
        let scalar = |tensor: Tensor<1>| f64::from(tensor.into_scalar::<f32>());
        self.regulariser = penalty.loss().map_or(0.0, scalar);
        let Moment {
            epoch, epochs, warmup, ..
        } = moment;
        match search.method.regulariser() {
            Some(regulariser) => {
                self.lambda = regulariser.lambda;
                self.lambda_c = regulariser.lambda_c.at(epoch, epochs, warmup);
                self.lambda_alpha = regulariser.lambda_alpha.at(epoch, epochs, warmup);
            }
            None => {
                let record = |term: &Term| TermRecord {
                    name: term.name.to_owned(),
                    weight: term.weight,
                    value: term.values.values().cloned().map(scalar).sum(),
                };
                self.terms = penalty.terms.iter().map(record).collect();
            }
        }
        self
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
