//! From the limits that the target sets on the final network to what the search pays for: builds that network once to learn what its
//! parts cost.
//!
//! Contract: a limit that no network of the target can keep is refused before the search begins.

use da2s_engine::Engine;

use crate::config::Config;
use crate::data::Dataset;
use crate::discretize::{KindStrengths, strongest};
use crate::error::Error;
use crate::network::{NetworkSize, cost_tables, network};
use crate::objective::CostLimit;
use crate::space::{PerKind, Space, Target};

/// The limits of `config`; `None` if it sets none.
pub(super) fn of(
    config: &Config,
    dataset: &Dataset,
    space: &Space,
    target: &Target,
    engine: &Engine,
) -> Result<Option<CostLimit>, Error> {
    let spec = &config.target;
    if spec.max_parameters.is_none() && spec.max_multiply_adds.is_none() {
        return Ok(None);
    }
    // Any genotype of the target will do: its own choices are taken out again.
    let even = PerKind::new(space.kinds(), |_| KindStrengths::even(space));
    let any = strongest(&even, space, target);
    let size = NetworkSize::new(&config.network, dataset.shape, dataset.classes());
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
            return Err(Error::LimitTooLow {
                what,
                least,
                limit,
                setting,
            });
        }
        limits.push((table, limit));
    }
    Ok(CostLimit::new(space, target, config.search.limit_weight, &limits))
}
