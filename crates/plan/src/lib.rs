//! What a network computes, as plain data.
//!
//! A [`Block`] is one differentiable piece, a [`CellPlan`] a graph of them with their weights laid
//! out in one flat vector, a [`NetworkPlan`] the stages of a whole network in a form that can be
//! written to a file. Engines run plans, exporters translate them, search spaces build them. There
//! is no arithmetic on images here.

#![forbid(unsafe_code)]

mod block;
mod cell;
mod layout;
mod network;

pub use block::{Block, PoolKind};
pub use cell::{CellPlan, CellPlanBuilder, Choice, Edge, Norm, Weight};
pub use layout::{ConvolutionWeights, Layout, NormWeights, WeightRole};
pub use network::{CheckedStage, EdgePlan, InputPlan, NetworkPlan, PlacedBlock, PlanError, StagePlan};

/// Added to the variance by every batch norm, as in PyTorch.
pub const NORM_EPSILON: f64 = 1e-5;
