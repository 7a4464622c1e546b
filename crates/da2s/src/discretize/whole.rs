//! A genotype with every edge, or every layer.

use super::{KindStrengths, strongest};
use crate::space::{Genotype, KindTarget, Operation, PerKind, Space};

/// The genotype that keeps every edge of `space` and the first candidate on each, except `skip`:
/// its network has every position that a candidate can have.
pub fn whole_genotype(space: &Space) -> Genotype {
    let even = PerKind::new(space.kinds(), |_| {
        let mut even = KindStrengths::even(space);
        let skip = space
            .operations
            .iter()
            .position(|&operation| operation == Operation::Skip);
        for row in &mut even.operation_rank {
            skip.into_iter().for_each(|skip| row[skip] = f32::NEG_INFINITY);
        }
        even
    });
    let whole = PerKind::new(space.kinds(), |_| KindTarget::whole(space.graph, 1));
    strongest(&even, space, &whole)
}
