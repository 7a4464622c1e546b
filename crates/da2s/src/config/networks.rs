//! The settings of plain networks: one that was requested by name, and the baselines of a run.
//!
//! Contract: the settings of a requested network override the recipe, and all other requested
//! settings override them. A baseline has all settings of its run except those of the search and of
//! the network's shape, which include the activation function: a baseline has ReLU.

use toml::Value;

use super::error::ConfigError;
use super::layers::Layer;
use super::settings::{Config, NetworkSettings};
use crate::backbone::Stem;
use crate::network::{BaselineSettings, NetworkShape};
use crate::retrain::{InitialWeights, TrainSettings};
use crate::search::SearchSettings;
use crate::space::{All, EdgeCount, PlainNetwork, Reductions, TargetSpec};

/// The settings of `network` at width 1 for images with a side of `side` pixels, one [`Layer`] per
/// setting.
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
        (
            "network.initial_weights",
            Some(Value::from(InitialWeights::Random.name())),
        ),
    ];
    let place = format!("the network {network}");
    let given = settings.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given.map(|(key, value)| Layer::flag(&place, key, value)).collect()
}

/// The settings of the baseline `network` of a run of `config`, at width 1.
pub fn baseline_of(config: &Config, network: PlainNetwork) -> Config {
    let side = config.data.shape().map_or(0, |shape| shape.height);
    let none = || Reductions::At(Vec::new());
    Config {
        space: network.settings(side),
        target: TargetSpec {
            edges: EdgeCount::All(All::All),
            depth: None,
            operations: 1,
            normal: None,
            reduction: None,
            // The table of latencies may lack blocks of this network, which is outside of the
            // searched space.
            latency_table: None,
            max_latency_ms: None,
            ..config.target.clone()
        },
        search: SearchSettings {
            cells: 1,
            reduction_cells: none(),
            // The augmentation decides how images are kept in memory.
            augmentation: config.search.augmentation.clone(),
            ..SearchSettings::default()
        },
        network: NetworkSettings {
            shape: NetworkShape {
                skeleton: Stem::Cifar,
                channels: network.stem_channels(),
                cells: 1,
                reduction_cells: none(),
                auxiliary: false,
                ..NetworkShape::default()
            },
            training: TrainSettings {
                initial_weights: InitialWeights::Random,
                ..config.network.training.clone()
            },
            beside: BaselineSettings {
                seeds: None,
                baselines: None,
                ..config.network.beside.clone()
            },
        },
        ..config.clone()
    }
}
