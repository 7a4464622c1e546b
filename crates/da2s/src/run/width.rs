//! The width of a network of a given genotype within the limits of a target.

use da2s_engine::Engine;

use super::Error;
use super::discretize::within_limits;
use crate::backbone::NetworkSize;
use crate::network::{CHANNELS, Resource, cost, network, widest};
use crate::search::SearchError;
use crate::space::{Genotype, TargetSpec};

/// Whether `target` limits the cost of the final network. A limit on latency does not count: a
/// table has the blocks of one width.
pub(super) fn is_limited(target: &TargetSpec) -> bool {
    let mut resources = Resource::ALL.into_iter();
    resources.any(|resource| resource != Resource::Latency && resource.limit(target).is_some())
}

/// The largest number of channels with which the network of `genotype`, otherwise of `size`, is
/// within the limits of `target`.
///
/// # Errors
/// [`SearchError::LimitTooLow`] if even the narrowest network is not.
pub(super) fn widest_within(target: &TargetSpec, genotype: &Genotype, size: NetworkSize) -> Result<usize, Error> {
    let side = size.image_size;
    let found = widest(genotype, &size, |network| {
        within_limits(target, cost(network, side)).is_ok()
    })?;
    match found {
        Some(channels) => Ok(channels),
        None => {
            let narrowest = NetworkSize {
                channels: CHANNELS[0],
                ..size
            };
            let network = network(genotype, narrowest.clone(), &Engine::Plain)?;
            match within_limits(target, cost(&network, side)) {
                Err(Error::OverLimit {
                    resource,
                    found: least,
                    limit,
                }) => Err(Error::from(SearchError::LimitTooLow { resource, least, limit })),
                other => other.map(|()| narrowest.channels),
            }
        }
    }
}
