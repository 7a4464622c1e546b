//! Optimisers: SGD for the weights of a backbone, Adam or SGD for α and β.

mod arch_optimizer;
mod sgd;

pub use arch_optimizer::{Adam, AdamMeans, ArchMoment, ArchOptimizer};
pub use sgd::Sgd;
