//! Converts the target's limits on the final network to terms of the search: builds that network
//! once to determine the cost of its parts.
//!
//! Contract: a limit that no network of the target satisfies, and a table of latencies that lacks a
//! block of the space, are refused before the search begins.

use da2s_engine::Engine;

use super::{SearchError, SearchSetup};
use crate::data::Dataset;
use crate::discretize::whole_genotype;
use crate::network::{Candidate, LatencyTable, Resource, candidates, cost, cost_table, network, peak_table};
use crate::objective::{CostLimit, CostTable, LimitTable};
use crate::space::{Precision, Space, Target};

/// The limits of `setup`; `None` if it sets none.
pub(super) fn of(
    setup: &SearchSetup,
    dataset: &Dataset,
    space: &Space,
    target: &Target,
    engine: &Engine,
) -> Result<Option<CostLimit>, SearchError> {
    let spec = &setup.target;
    if spec.latency_table.is_none() && Resource::ALL.iter().all(|resource| resource.limit(spec).is_none()) {
        return Ok(None);
    }
    // Any genotype works: the cost of its own choices is subtracted again. One with every edge has
    // every layer of a chain.
    let any = whole_genotype(space);
    let size = setup.network.size(&setup.space, dataset.shape, dataset.classes());
    let side = size.image_size;
    let network = network(&any, size, engine)?;
    let all = cost(&network, side);
    let candidates = candidates(space, &network, side);
    let sum = |total: f64, of: &dyn Fn(&Candidate) -> Result<f64, SearchError>| -> Result<CostTable, SearchError> {
        cost_table(space, &any, &candidates, total, of)
    };
    let latencies = spec.latency_table.as_deref().map(LatencyTable::read).transpose()?;
    let latency = match &latencies {
        Some(table) => {
            let total = table.of_network(&network, side)?;
            Some(sum(total, &|one| Ok(table.of_candidate(one)?))?)
        }
        None => None,
    };
    let mut limits = Vec::new();
    for resource in Resource::ALL {
        let Some(limit) = resource.limit(spec) else { continue };
        let total = match resource.of(&all, spec.precision) {
            Some(total) => total,
            // The latency is added above, from its table.
            None if resource == Resource::Latency => 0.0,
            None => return Err(SearchError::NoInt8),
        };
        let table = match (resource, spec.precision) {
            (Resource::MultiplyAdds, _) => LimitTable::Sum(sum(total, &|one| Ok(one.multiply_adds()))?),
            (Resource::Parameters, _) => LimitTable::Sum(sum(total, &|one| Ok(one.parameters()))?),
            (Resource::Size, Precision::Float32) => LimitTable::Sum(sum(total, &|one| Ok(one.size_bytes()))?),
            (Resource::Size, Precision::Int8) => LimitTable::Sum(sum(total, &|one| Ok(one.size_int8_bytes()))?),
            (Resource::Ram, precision) => LimitTable::Peak(peak_table(
                space,
                &network,
                &candidates,
                side,
                f64::from(precision.bytes()),
            )),
            // A limit without a table was refused when the settings were checked.
            (Resource::Latency, _) => match &latency {
                Some(table) => LimitTable::Sum(table.clone()),
                None => continue,
            },
        };
        let least = table.least(space, target);
        // The cost is a sum after subtractions, so it is rounded.
        if least > limit * (1.0 + 1e-9) {
            return Err(SearchError::LimitTooLow { resource, least, limit });
        }
        limits.push((table, limit));
    }
    Ok(CostLimit::new(space, target, setup.search.limit_weight, &limits))
}
