//! The objectives of training and search: the cross-entropy of the images; the regulariser that
//! drives the mixture toward the target topology, with the schedules of its strength; the path, an
//! alternative drive; the links, which read the parameters of a mixture; limits on the cost of the
//! final network.

mod cost_limit;
mod cross_entropy;
mod entropy;
mod hardening;
mod link;
mod peak;
mod penalty;
mod regulariser;
mod schedule;
mod zero_one;

pub(crate) use cost_limit::Needs;
pub use cost_limit::{CostLimit, CostTable, LimitTable};
pub use cross_entropy::{SecondLabels, Weighting, cross_entropy, mixed_cross_entropy, weighted_cross_entropy};
pub use hardening::{Halves, Hardening, HardeningState};
pub use link::Link;
pub(crate) use link::{concentration, normalized};
pub use peak::PeakTable;
pub use penalty::{Penalty, Term};
pub use regulariser::Regulariser;
pub(crate) use regulariser::strengthen_beta;
pub use schedule::{Curve, Schedule};
pub(crate) use zero_one::zero_one;
