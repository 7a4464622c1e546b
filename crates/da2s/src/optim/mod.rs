//! Optimisers: SGD for the weights of a backbone, Adam or SGD for α and β.
//!
//! They are implemented here because `burn-optim` takes long to compile, makes seven passes over
//! each tensor and clips each tensor separately. Here the gradient is clipped by the norm of all
//! tensors together, which is summed in a fixed order, so that it does not depend on the number of
//! threads.

mod arch_optimizer;
mod sgd;

pub use arch_optimizer::{Adam, AdamMeans, ArchMoment, ArchOptimizer};
pub use sgd::Sgd;
