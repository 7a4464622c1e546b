//! What is asked of a run: layers, and what lies below them where a run begins or goes on.
//!
//! Contract: a new run has the recipe of its data set below what was asked for, unless a recipe was asked for; a run that
//! goes on has its own configuration there. Command line and Python package ask in the same way.

use toml::Value;

use super::error::ConfigError;
use super::layers::{Layer, resolve, resolve_stored};
use super::settings::Config;
use crate::data::Format;
use crate::space::SpaceName;

/// What is asked of a run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What was asked for, lowest first; a recipe that was asked for is the first.
    pub layers: Vec<Layer>,
    /// Whether a recipe is among them.
    pub names_recipe: bool,
    /// The space, where it was asked for by itself, not as one setting of many: it then takes what its recipes' data sets say of the other along.
    pub space: Option<SpaceName>,
}

impl Request {
    /// The configuration of a new run.
    ///
    /// # Errors
    /// If there is no recipe of the data set, or settings are at odds with each other.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let mut layers = self.layers.clone();
        if !self.names_recipe {
            // The last that names a data set is the one that counts.
            let dataset = layers
                .iter()
                .rev()
                .find_map(|layer| layer.get("data.dataset")?.as_str());
            let recipe = Layer::recipe(dataset.unwrap_or(Format::Digits.name()))?;
            let of_space = self.space.map_or(Ok(Vec::new()), of_space)?;
            layers.splice(0..0, [recipe].into_iter().chain(of_space));
        }
        resolve(&layers)
    }

    /// The configuration of a run that is resumed, whose own is `stored`.
    ///
    /// # Errors
    /// If settings are at odds with each other.
    pub fn resolve_over(&self, stored: Layer) -> Result<Config, ConfigError> {
        let mut layers = vec![stored];
        layers.extend(self.layers.iter().cloned());
        resolve_stored(&layers)
    }
}

/// What a space sets instead of the recipes of data sets, which are for the DARTS space.
fn of_space(space: SpaceName) -> Result<Vec<Layer>, ConfigError> {
    let settings = match space {
        SpaceName::Darts => vec![],
        SpaceName::NasBench201 => vec![
            ("target.edges", Value::from("all")),
            ("network.auxiliary", Value::from(false)),
            ("network.drop_path", Value::from(0.0)),
        ],
    };
    let place = format!("the space {}", space.name());
    let layers = settings.into_iter().map(|(key, value)| Layer::flag(&place, key, value));
    layers.collect()
}
