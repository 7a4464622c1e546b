//! Cells of a network as differentiable operations on Burn tensors.
//!
//! A [`CellPlan`] describes a cell; a [`Cell`] runs it. There is one signature, [`Cell::forward`],
//! and three ways to run it. The plain path is composed of Burn's own operations and differentiated
//! by Burn; it runs on every device and is the reference. The two fused paths are hand-written
//! kernels for the CPU and for GPUs (feature `gpu`), tested against it. Tensors are `[batch,
//! channels, height, width]` in all three. Without the feature `burn` there are only the
//! [`cpu`] executor, which works on slices, and [`deployed`] networks, which are compiled whole.

mod allocator;
#[cfg(feature = "burn")]
mod cell;
#[cfg(feature = "burn")]
mod classifier;
pub mod cpu;
pub mod deployed;
#[cfg(feature = "burn")]
mod fused;
#[cfg(feature = "gpu")]
mod gpu;
mod huge_pages;
#[cfg(feature = "burn")]
mod plain;
#[cfg(feature = "burn")]
mod sgd;
#[cfg(feature = "burn")]
mod tensor_memory;

pub use allocator::Allocator;
#[cfg(feature = "burn")]
pub use cell::{Call, Cell, Engine, NormStatistics, Output};
#[cfg(feature = "burn")]
pub use classifier::Classifier;
pub use da2s_plan::{
    Activation, ActivationFunction, Arena, Block, BlockShape, Border, CLASSIFIER, CellPlan, CellPlanBuilder,
    CheckedStage, Choice, ConvolutionStep, ConvolutionWeights, Edge, EdgePlan, InputPlan, Layout, NORM_EPSILON,
    NetworkPlan, Norm, NormWeights, NotInteger, Operation, PlacedBlock, PlanError, PoolKind, RunningStage,
    SCALE_AND_BIAS, SqueezeStep, StagePlan, Step, Steps, TensorShape, Weight, WeightRole, activations, breadth,
};
#[cfg(feature = "burn")]
pub use fused::Memory;
#[cfg(feature = "burn")]
pub use sgd::{SgdStep, sgd_step, squared_norm};

/// The instruction set that the CPU kernels use on this machine.
pub fn cpu_level() -> &'static str {
    da2s_kernels::cpu_level().name()
}
