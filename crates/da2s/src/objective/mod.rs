//! What training and search minimise: the cross-entropy of the images; the regulariser that drives
//! the mixture toward the target topology, with the schedules of its strength; the path that does
//! so in a closed loop; limits on the cost of the final network.

mod cost_limit;
mod cross_entropy;
mod entropy;
mod hardening;
mod penalty;
mod regulariser;
mod schedule;
mod zero_one;

pub use cost_limit::{CostLimit, CostTable};
pub use cross_entropy::{Weighting, cross_entropy, weighted_cross_entropy};
pub(crate) use entropy::total_entropy;
pub use hardening::{Halves, Hardening, HardeningState};
pub use penalty::{Penalty, Term};
pub use regulariser::{Regulariser, Terms};
pub(crate) use regulariser::{strengthen_alpha, strengthen_beta};
pub use schedule::{Curve, Schedule};
pub(crate) use zero_one::zero_one;
