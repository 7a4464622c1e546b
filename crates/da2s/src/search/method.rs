//! What a search method decides: how α and β become a mixture, what is added to the loss, when which parameters
//! train, and what edges are ranked by. Everything else is the same loop for all.
//!
//! To add a method, add a file with an implementation and a variant here; see CONTRIBUTING.md.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::da2s::Da2s;
use super::darts::Darts;
use crate::config::SearchSettings;
use crate::objective::{KindTarget, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Discretization-aware search.
    Da2s,
    /// First-order DARTS.
    Darts,
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

/// The regulariser at one moment.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// What is added to the loss, one element.
    pub loss: Tensor<1>,
    /// λ_c(t).
    pub lambda_c: f64,
    /// λ_α(t).
    pub lambda_alpha: f64,
}

/// A search method.
pub trait SearchMethod: Send + Sync + std::fmt::Debug {
    /// p and q of one kind of cell, differentiable in α and β.
    fn strengths(&self, arch: &KindParams, space: &Space, target: &KindTarget) -> Strengths;

    /// What is added to the loss, or nothing.
    fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Option<Penalty>;

    /// Shares of their learning rates with which α and β train at this moment.
    fn trains(&self, moment: Moment) -> ArchShares;

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
    pub const ALL: [Self; 2] = [Self::Da2s, Self::Darts];

    /// The name that the user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Da2s => "da2s",
            Self::Darts => "darts",
        }
    }

    /// The method with its settings.
    pub fn build(self, settings: &SearchSettings) -> Box<dyn SearchMethod> {
        match self {
            Self::Da2s => Box::new(Da2s { regulariser: settings.regulariser.clone() }),
            Self::Darts => Box::new(Darts),
        }
    }
}
