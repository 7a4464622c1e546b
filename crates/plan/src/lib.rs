//! What a network computes, as plain data.
//!
//! A [`Block`] is one differentiable piece, a [`CellPlan`] a graph of blocks with their weights in
//! one flat vector, a [`NetworkPlan`] the stages of a whole network in a form that can be written
//! to a file. Engines run plans, exporters translate them, search spaces build them. This crate
//! does no arithmetic on images.

#![forbid(unsafe_code)]

mod activation_function;
mod activations;
mod arena;
mod block;
mod cell;
mod layout;
mod network;
mod shape;
mod steps;

pub use activation_function::ActivationFunction;
pub use activations::{Activation, RunningStage, activations};
pub use arena::{Arena, breadth};
pub use block::{Block, PoolKind};
pub use cell::{CellPlan, CellPlanBuilder, Choice, Edge, Norm, Weight};
pub use layout::{ConvolutionWeights, Layout, NormWeights, SCALE_AND_BIAS, WeightRole};
pub use network::{CheckedStage, EdgePlan, InputPlan, NetworkPlan, PlacedBlock, PlanError, StagePlan};
pub use shape::{BlockShape, CLASSIFIER};
pub use steps::{Border, ConvolutionStep, NotInteger, Operation, SqueezeStep, Step, Steps, TensorShape};

/// The ε that every batch norm adds to the variance, as in PyTorch.
pub const NORM_EPSILON: f64 = 1e-5;
