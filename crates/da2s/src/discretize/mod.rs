//! Discretization: from a mixture to a genotype, and what that costs.

mod edge_gaps;
mod gap;
mod select;

pub use da2s_space::{CellGenotype, FormError, Genotype, GenotypeError, GenotypeForm, KeptEdge};
pub use edge_gaps::{EdgeGap, EdgeGaps, Measured, measure_edge_gaps};
pub use gap::{Gap, GapRow, Pruned, Stage, measure_gap};
pub use select::{Decision, KindStrengths, Undecided, discrete_mixture, discretize};
