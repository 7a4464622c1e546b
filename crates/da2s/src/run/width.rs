//! The width of a network of a given genotype within limits on its cost.

use da2s_engine::Engine;

use super::Error;
use crate::backbone::{Backbone, NetworkSize};
use crate::network::{CHANNELS, LatencyError, LatencyTable, Limit, exceeded, network, widest, widest_in_table};
use crate::search::SearchError;
use crate::space::{Genotype, Precision};

/// The largest number of channels with which the network of `genotype`, otherwise of `size`, is
/// within `limits`, of numbers of `precision`.
///
/// # Errors
/// [`SearchError::LimitTooLow`] if even the narrowest network is not.
pub(super) fn widest_within(
    limits: &[Limit],
    precision: Precision,
    genotype: &Genotype,
    size: NetworkSize,
) -> Result<usize, Error> {
    let exceeded = |network: &Backbone| exceeded(limits, precision, network, size.image_size);
    if let Some(channels) = widest(genotype, &size, |network| exceeded(network).is_none())? {
        return Ok(channels);
    }
    let narrowest = NetworkSize {
        channels: CHANNELS[0],
        ..size.clone()
    };
    match exceeded(&network(genotype, narrowest, &Engine::Plain)?) {
        Some((resource, limit, least)) => Err(SearchError::LimitTooLow { resource, least, limit }.into()),
        None => Ok(CHANNELS[0]),
    }
}

/// The largest number of channels for the network of `genotype`, otherwise of `size`, such that
/// `table` has all of its blocks, it takes at most `limit_ms`, and with numbers of `precision` it
/// is within `limits`.
///
/// # Errors
/// [`LatencyError::NoWidth`] if there is none.
pub(super) fn widest_in_time(
    (table, limit_ms): (&LatencyTable, f64),
    limits: &[Limit],
    precision: Precision,
    genotype: &Genotype,
    size: &NetworkSize,
) -> Result<usize, Error> {
    let fits = |network: &Backbone| exceeded(limits, precision, network, size.image_size).is_none();
    let found = widest_in_table(genotype, size, (table, limit_ms), fits)?;
    found.ok_or_else(|| table.no_width(limit_ms).into())
}

/// Whether `error` says that no width is within a limit.
pub(super) fn is_too_low(error: &Error) -> bool {
    matches!(
        error,
        Error::Search(SearchError::LimitTooLow { .. }) | Error::Latency(LatencyError::NoWidth { .. })
    )
}
