//! Discretization: from a mixture to a genotype, and the cost of this step.

mod decision;
mod edge_gaps;
mod gap;
pub(crate) mod mixture;
mod random;
mod rules;
mod settings;
mod skips;
mod strengths;
mod whole;

pub use decision::{Decision, Undecided, decide};
pub(crate) use edge_gaps::measure_edge_gaps;
pub use gap::{Discretization, Pruned, measure_gap};
pub use random::random_genotype;
pub(crate) use rules::{Decisions, Quality, quality, strongest_excluding};
pub use rules::{DiscretizationRule, Images, Rule, Searched, strongest};
pub use settings::DiscretizeSettings;
pub(crate) use skips::exclude_all_excess;
pub use strengths::KindStrengths;
pub(crate) use strengths::largest;
pub use whole::whole_genotype;

/// Maximum number of undecided choices whose own cost is measured after a search.
pub(crate) const MOST_EXAMINED: usize = 12;
