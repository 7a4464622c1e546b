//! Discretization: from a mixture to a genotype, and what that costs.

mod bench_text;
mod edge_gaps;
mod forms;
mod gap;
mod genotype;
mod genotype_text;
mod naslib_text;
mod nni_text;
mod select;

pub use edge_gaps::{EdgeGap, EdgeGaps, Measured, measure_edge_gaps};
pub use forms::{FormError, GenotypeForm};
pub use gap::{Gap, GapRow, Pruned, Stage, measure_gap};
pub use genotype::{CellGenotype, Genotype, GenotypeError, KeptEdge};
pub use select::{Decision, KindStrengths, Undecided, discrete_mixture, discretize};
