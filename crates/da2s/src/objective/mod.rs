//! What the search minimises beside the data's loss: the target topology, the regulariser that drives the
//! mixture toward it, and the schedules of its strength.

mod regulariser;
mod schedule;
mod topology;

pub use regulariser::{Regulariser, Terms, strengthen_alpha, strengthen_beta};
pub use schedule::{Curve, Schedule};
pub use topology::{EdgeCount, KindTarget, Target, TargetSpec, TopologyError};
