//! Discretization: from a mixture to a genotype, and what that costs.

mod decision;
mod edge_gaps;
mod gap;
mod given;
mod mixture;
mod rules;
mod settings;
mod strengths;

pub use da2s_space::{CellGenotype, FormError, Genotype, GenotypeError, GenotypeForm, KeptEdge};
pub use decision::{Decision, Undecided, decide};
pub use edge_gaps::measure_edge_gaps;
pub use gap::{Discretization, Pruned, measure_gap};
pub use given::{file_and_name, read_genotype};
pub use mixture::discrete_mixture;
pub use rules::{DiscretizationRule, Images, Rule, Searched, strongest};
pub use settings::DiscretizeSettings;
pub use strengths::KindStrengths;
