//! The width of a network of a given genotype within limits on its cost.

use da2s_engine::Engine;
use da2s_records::schema::Widened;

use super::Error;
use crate::backbone::{Backbone, NetworkSize};
use crate::config::Config;
use crate::network::{
    CHANNELS, Cost, LatencyError, LatencyTable, Limit, Resource, exceeded, network, wider, widest, widest_in_table,
};
use crate::observer::{Event, Observer};
use crate::search::SearchError;
use crate::space::{Genotype, Precision, TargetSpec};

/// The largest number of channels for which the network of `genotype` is within `limits` with
/// numbers of `precision`. All other sizes are those of `size`.
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
    if let Some(channels) = widest(genotype, &size, CHANNELS, |network| exceeded(network).is_none())? {
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

/// The largest number of channels for which the network of `genotype` is within `limits` with
/// numbers of `precision`, `table` has all of its blocks, and it takes at most `limit_ms`. All
/// other sizes are those of `size`.
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
    let found = widest_in_table(genotype, size, CHANNELS, (table, limit_ms), fits)?;
    found.ok_or_else(|| table.no_width(limit_ms).into())
}

/// Like [`wider`], with a warning if `table` has only the blocks of narrower networks.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub(super) fn wider_or_warn(
    config: &Config,
    table: Option<&LatencyTable>,
    genotype: &Genotype,
    size: &NetworkSize,
    observer: &mut dyn Observer,
) -> Result<Option<usize>, Error> {
    let Some(range) = config.widths_to_try() else {
        return Ok(None);
    };
    let found = wider(&config.target, range, table, genotype, size)?;
    if let Some(table) = table
        && found.is_none()
    {
        let [own, most] = range;
        let all = (table, f64::INFINITY);
        if own < most && widest_in_table(genotype, size, [own + 1, most], all, |_| true)?.is_none() {
            let text = format!(
                "the network keeps its {own} channels, since target.latency_table has no complete set of blocks for a \
                 wider one: to use the limits, measure a table at more widths"
            );
            observer.on(Event::Warning(text.into()));
        }
    }
    Ok(found)
}

/// How a network of `cost` has become wider than `from` channels.
pub(super) fn widened(target: &TargetSpec, cost: &Cost, [from, channels]: [usize; 2]) -> Widened {
    let share = |resource: Resource| {
        let (limit, need) = (resource.limit(target)?, resource.of(cost, target.precision)?);
        Some((resource, 100.0 * need / limit))
    };
    let shares = Resource::ALL.into_iter().filter_map(share);
    let most = shares.max_by(|(_, a), (_, b)| a.total_cmp(b));
    Widened {
        from: from as u64,
        channels: channels as u64,
        limit_on: most.map_or("", |(resource, _)| resource.name()).to_owned(),
        limit_percent: most.map(|(_, percent)| percent),
    }
}

/// Whether `error` says that no width is within a limit.
pub(super) fn is_too_low(error: &Error) -> bool {
    matches!(
        error,
        Error::Search(SearchError::LimitTooLow { .. }) | Error::Latency(LatencyError::NoWidth { .. })
    )
}
