//! Converts the target's limits on the final network to a term of the search: builds that network
//! once to determine the cost of its parts.
//!
//! Contract: a limit that no network of the target satisfies is refused before the search begins.

use da2s_engine::Engine;

use super::{SearchError, SearchSetup};
use crate::data::Dataset;
use crate::discretize::{KindStrengths, strongest};
use crate::network::{cost_tables, network};
use crate::objective::CostLimit;
use crate::space::{KindTarget, PerKind, Space, Target};

/// The limits of `setup`; `None` if it sets none.
pub(super) fn of(
    setup: &SearchSetup,
    dataset: &Dataset,
    space: &Space,
    target: &Target,
    engine: &Engine,
) -> Result<Option<CostLimit>, SearchError> {
    let spec = &setup.target;
    if spec.max_parameters.is_none() && spec.max_multiply_adds.is_none() {
        return Ok(None);
    }
    // Any genotype works: the cost of its own choices is subtracted again. One with every edge has
    // every layer of a chain.
    let even = PerKind::new(space.kinds(), |_| KindStrengths::even(space));
    let whole = target.map(|_, target| KindTarget::whole(space.graph, target.operations));
    let any = strongest(&even, space, &whole);
    let size = setup.network.size(&setup.space, dataset.shape, dataset.classes());
    let side = size.image_size;
    let tables = cost_tables(space, &network(&any, size, engine)?, &any, side);
    let asked = [
        ("parameters", "target.max_parameters", spec.max_parameters),
        ("multiply-adds", "target.max_multiply_adds", spec.max_multiply_adds),
    ];
    let mut limits = Vec::new();
    for (table, (what, setting, limit)) in tables.into_iter().zip(asked) {
        let Some(limit) = limit else { continue };
        let least = table.least(space, target).ceil() as u64;
        if least > limit {
            return Err(SearchError::LimitTooLow {
                what,
                least,
                limit,
                setting,
            });
        }
        limits.push((table, limit));
    }
    Ok(CostLimit::new(space, target, setup.search.limit_weight, &limits))
}
