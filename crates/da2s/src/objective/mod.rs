//! What the search minimises beside the data's loss: the target topology, the regulariser that drives the
//! mixture toward it with the schedules of its strength, the path that does so in a closed loop, and limits on the final network's cost.

mod cost_limit;
mod hardening;
mod regulariser;
mod schedule;

pub use cost_limit::{CostLimit, CostTable};
pub use da2s_space::{All, EdgeCount, KindTarget, Target, TargetSpec, TopologyError};
pub use hardening::{Halves, Hardening, HardeningState};
pub use regulariser::{Regulariser, Terms, strengthen_alpha, strengthen_beta};
pub use schedule::{Curve, Schedule};
