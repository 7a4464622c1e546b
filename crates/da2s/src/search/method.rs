//! What a search method decides: how α and β become a mixture, what is added to the loss, when which parameters
//! train, which halves of the mixture follow the closed loop, and what edges are ranked by. Everything else is the
//! same loop for all.
//!
//! To add a method, add a file with an implementation and a variant here; see CONTRIBUTING.md.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::da2s::Da2s;
use super::darts::Darts;
use super::entropy::Entropy;
use super::fair_darts::FairDarts;
use super::gdas::Gdas;
use super::pc_darts::PcDarts;
use super::random_search::RandomSearch;
use crate::config::{ScheduleName, SearchSettings};
use crate::objective::{Halves, KindTarget, Target};
use crate::space::{CellKind, Operation, Space};
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Discretization-aware search.
    Da2s,
    /// Its operation half: L_α alone; edges all weigh the same.
    Da2sOperations,
    /// Its edge half: L_β alone.
    Da2sEdges,
    /// First-order DARTS.
    Darts,
    /// DARTS with the entropy of its mixture added to the loss.
    Entropy,
    /// FairDARTS.
    #[serde(rename = "fairdarts")]
    FairDarts,
    /// GDAS.
    Gdas,
    /// PC-DARTS.
    PcDarts,
    /// A genotype drawn at random.
    Random,
}

/// Where in the search a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs in all, T.
    pub epochs: usize,
    /// Epochs of warm-up, E.
    pub warmup: usize,
}

/// The halves of a bilevel step. What trains both at once draws for the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Of the weights.
    Weights,
    /// Of α and β.
    Arch,
}

/// A half of a step of training and a kind of cell, for methods that draw at random in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Seed of the run.
    pub seed: u64,
    /// Where in the search.
    pub moment: Moment,
    /// Step within the epoch, from 0.
    pub step: usize,
    /// Half of the step.
    pub half: Half,
    /// Kind of cell.
    pub kind: CellKind,
}

impl Draw {
    /// A step within an epoch, from 0. Half and kind of cell are filled in where something is drawn for them.
    pub fn new(seed: u64, moment: Moment, step: usize) -> Self {
        Self {
            seed,
            moment,
            step,
            half: Half::Weights,
            kind: CellKind::Normal,
        }
    }

    pub(super) fn for_half(self, half: Half) -> Self {
        Self { half, ..self }
    }
}

/// The regulariser at one moment.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// What is added to the loss, one element.
    pub loss: Tensor<1>,
    /// λ, or the weight of a loss that has no schedule.
    pub lambda: f64,
    /// λ_c(t).
    pub lambda_c: f64,
    /// λ_α(t).
    pub lambda_alpha: f64,
}

/// A search method.
pub trait SearchMethod: Send + Sync + std::fmt::Debug {
    /// p and q of one kind of cell, differentiable in α and β. `draw` says for which half of a step of training they
    /// are; without it they are only read, and nothing is drawn.
    fn strengths(&self, arch: &KindParams, space: &Space, target: &KindTarget, draw: Option<Draw>) -> Strengths;

    /// What is added to the loss, or nothing.
    fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Option<Penalty>;

    /// Shares of their learning rates with which α and β train at this moment.
    fn trains(&self, moment: Moment) -> ArchShares;

    /// Which halves of the mixture follow the path of [`Hardening`](crate::objective::Hardening); most methods have none.
    fn follows_path(&self) -> Option<Halves> {
        None
    }

    /// What edges are ranked by in discretization, one value an edge, from β and p on the host.
    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32>;
}

/// Shares of the learning rates of α and β.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArchShares {
    /// Of α's.
    pub alpha: f64,
    /// Of β's.
    pub beta: f64,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 9] = [
        Self::Da2s,
        Self::Da2sOperations,
        Self::Da2sEdges,
        Self::Darts,
        Self::Entropy,
        Self::FairDarts,
        Self::Gdas,
        Self::PcDarts,
        Self::Random,
    ];

    /// The name that the user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Da2s => "da2s",
            Self::Da2sOperations => "da2s-operations",
            Self::Da2sEdges => "da2s-edges",
            Self::Darts => "darts",
            Self::Entropy => "entropy",
            Self::FairDarts => "fairdarts",
            Self::Gdas => "gdas",
            Self::PcDarts => "pc-darts",
            Self::Random => "random",
        }
    }

    /// The method with its settings.
    pub fn build(self, settings: &SearchSettings) -> Box<dyn SearchMethod> {
        let regulariser = settings.regulariser.clone();
        let adaptive = settings.schedule == ScheduleName::Adaptive;
        match self {
            Self::Da2s => Box::new(Da2s {
                regulariser,
                adaptive,
                operations: true,
                edges: true,
            }),
            Self::Da2sOperations => Box::new(Da2s {
                regulariser,
                adaptive,
                operations: true,
                edges: false,
            }),
            Self::Da2sEdges => Box::new(Da2s {
                regulariser,
                adaptive,
                operations: false,
                edges: true,
            }),
            Self::Darts => Box::new(Darts),
            Self::Entropy => Box::new(Entropy { regulariser }),
            Self::FairDarts => Box::new(FairDarts {
                zero_one_weight: settings.zero_one_weight,
            }),
            Self::Gdas => Box::new(Gdas {
                temperatures: [settings.temperature_first, settings.temperature_last],
            }),
            Self::PcDarts => Box::new(PcDarts),
            Self::Random => Box::new(RandomSearch),
        }
    }
}

/// The weight of the strongest operation of each edge, `none` not counted: what edges are ranked by where a method has
/// no β (Liu, Simonyan, Yang 2019, section 2.4).
pub(super) fn strongest_operation(p: &[Vec<f32>], space: &Space) -> Vec<f32> {
    let counted = |row: &Vec<f32>| {
        let real = row
            .iter()
            .zip(&space.operations)
            .filter(|(_, operation)| **operation != Operation::None);
        real.map(|(weight, _)| *weight).fold(0.0, f32::max)
    };
    p.iter().map(counted).collect()
}

/// The sum of a term over all kinds of cell.
pub(super) fn total(arch: &ArchParams, term: impl Fn(CellKind, &KindParams) -> Tensor<1>) -> Tensor<1> {
    let kinds = arch.kinds();
    let normal = term(CellKind::Normal, &kinds.normal);
    match &kinds.reduction {
        Some(reduction) => normal + term(CellKind::Reduction, reduction),
        None => normal,
    }
}

/// Every edge and operation trains from the end of the warm-up on; there is no β.
pub(super) fn operations_only(moment: Moment) -> ArchShares {
    ArchShares {
        alpha: if moment.epoch < moment.warmup { 0.0 } else { 1.0 },
        beta: 0.0,
    }
}
