//! The settings of a plain network that was requested by name.
//!
//! Contract: they lie above the recipe and below everything that was requested, so any of them can
//! be changed.

use toml::Value;

use super::error::ConfigError;
use super::layers::Layer;
use crate::space::PlainNetwork;

/// The settings of `network` at width 1 for images with a side of `side` pixels, one layer each.
pub(super) fn settings(network: PlainNetwork, side: usize) -> Result<Vec<Layer>, ConfigError> {
    let space = network.settings(side);
    let whole = |number: usize| Value::from(number as i64);
    let stages = space.stages.into_iter().flatten();
    let stages = stages.map(|row| Value::Array(row.into_iter().map(whole).collect()));
    let settings = [
        ("space.name", Some(Value::from(space.name.name()))),
        ("space.stages", Some(Value::Array(stages.collect()))),
        ("space.stem_channels", space.stem_channels.map(whole)),
        ("space.stem_stride", space.stem_stride.map(whole)),
        ("space.head_channels", space.head_channels.map(whole)),
        ("network.channels", Some(whole(network.stem_channels()))),
    ];
    let place = format!("the network {network}");
    let given = settings.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given.map(|(key, value)| Layer::flag(&place, key, value)).collect()
}
