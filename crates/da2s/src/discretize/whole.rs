//! A genotype with every edge, or every layer.

use super::{KindStrengths, strongest};
use crate::space::{Genotype, KindTarget, PerKind, Space};

/// The genotype that keeps every edge of `space` and the first candidate on each: its network has
/// every position that a candidate can have.
pub fn whole_genotype(space: &Space) -> Genotype {
    let even = PerKind::new(space.kinds(), |_| KindStrengths::even(space));
    let whole = PerKind::new(space.kinds(), |_| KindTarget::whole(space.graph, 1));
    strongest(&even, space, &whole)
}
