//! What is asked of a run: layers, and what lies below them where a run begins or goes on.
//!
//! Contract: a new run has the recipe of its data set below what was asked for, unless a recipe was
//! asked for; a run that goes on has its own configuration there. A folder of images says by its
//! content which data set it is, unless one was asked for; one that the data set does not need is
//! refused. Command line and Python package ask in the same way.

use std::path::Path;

use da2s_settings::Problem;
use toml::Value;

use super::error::ConfigError;
use super::fitted;
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
    /// The space, where it was asked for by itself, not as one setting of many: it then takes what
    /// its recipes' data sets say of the other along.
    pub space: Option<SpaceName>,
}

impl Request {
    /// The configuration of a new run.
    ///
    /// # Errors
    /// If there is no recipe of the data set, or settings are at odds with each other.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        Ok(self.resolve_with_notes()?.0)
    }

    /// As [`Self::resolve`], with what a user should know of settings that are not the recipe's, in
    /// sentences.
    ///
    /// # Errors
    /// As those of [`Self::resolve`].
    pub fn resolve_with_notes(&self) -> Result<(Config, Vec<String>), ConfigError> {
        let mut layers = self.layers.clone();
        layers.extend(self.detected()?);
        if !self.names_recipe {
            // The last that names a data set is the one that counts.
            let dataset = last_text(&layers, "data.dataset").unwrap_or(Format::Digits.name());
            let recipe = Layer::recipe(dataset)?;
            let of_space = self.space.map_or(Ok(Vec::new()), of_space)?;
            layers.splice(0..0, [recipe].into_iter().chain(of_space));
        }
        let config = self.used(resolve(&layers)?)?;
        let lowered = fitted::lowered(&layers, &config)?;
        if lowered.is_empty() {
            return Ok((config, Vec::new()));
        }
        let notes = fitted::notes(&lowered, &config);
        layers.extend(lowered);
        Ok((resolve(&layers)?, notes))
    }

    /// The configuration of a run that is resumed, whose own is `stored`.
    ///
    /// # Errors
    /// If settings are at odds with each other.
    pub fn resolve_over(&self, stored: Layer) -> Result<Config, ConfigError> {
        let mut layers = vec![stored];
        layers.extend(self.layers.iter().cloned());
        self.used(resolve_stored(&layers)?)
    }

    /// The data set that the folder of the images holds, where one was asked for and no data set
    /// was, but for that of a recipe.
    fn detected(&self) -> Result<Option<Layer>, ConfigError> {
        let own: Vec<&Layer> = self.layers.iter().filter(|layer| !layer.is_recipe()).collect();
        let named = own.iter().any(|layer| layer.get("data.dataset").is_some());
        let Some(dir) = last_text(&self.layers, "data.dir").filter(|_| !named) else {
            return Ok(None);
        };
        let of_recipe = last_text(&self.layers, "data.dataset").and_then(Format::from_name);
        let (dir, found) = (Path::new(dir), Format::in_folder(Path::new(dir)));
        match of_recipe {
            Some(format) if found.contains(&format) => return Ok(None),
            // Opening it says what is missing.
            Some(format) if found.is_empty() && format.needs_folder() => return Ok(None),
            _ => {}
        }
        let format = format_in(dir)?;
        Layer::flag("what data.dir holds", "data.dataset", format.name().into()).map(Some)
    }

    /// Refuses a folder that nothing would be read from: beside another one, or where none is
    /// needed.
    fn used(&self, config: Config) -> Result<Config, ConfigError> {
        let flags = self.layers.iter().filter(|layer| layer.is_flag());
        let folders: Vec<(&Layer, &Value)> = flags
            .filter_map(|layer| Some((layer, layer.get("data.dir")?)))
            .collect();
        if let [(_, first), .., (last, dir)] = folders.as_slice()
            && folders.iter().any(|(_, other)| other != first)
        {
            let expected = format!("one folder of images, and {first} is given as well");
            return Err(ConfigError::Setting {
                place: last.place("data.dir").into(),
                problem: Problem::refused("data.dir", dir.to_string(), expected),
            });
        }
        let asked = self.layers.iter().rev().find(|layer| layer.get("data.dir").is_some());
        match asked {
            Some(layer) if !config.data.dataset.needs_folder() => {
                let expected = match config.data.dataset {
                    Format::Arrays => "absent: the images of this run are arrays",
                    _ => "absent with the digits, which are built in; for images of your own leave the data set out",
                };
                let dir = layer.get("data.dir").map(ToString::to_string).unwrap_or_default();
                Err(ConfigError::Setting {
                    place: layer.place("data.dir").into(),
                    problem: Problem::refused("data.dir", dir, expected),
                })
            }
            _ => Ok(config),
        }
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
        // The chain is one cell, which no image is too small for.
        SpaceName::Mobile => {
            let none = || Value::Array(Vec::new());
            vec![
                ("target.edges", Value::from("all")),
                ("search.cells", Value::from(1)),
                ("search.reduction_cells", none()),
                ("search.skeleton", Value::from("cifar")),
                ("network.cells", Value::from(1)),
                ("network.reduction_cells", none()),
                ("network.skeleton", Value::from("cifar")),
                ("network.auxiliary", Value::from(false)),
            ]
        }
    };
    let place = format!("the space {}", space.name());
    let layers = settings.into_iter().map(|(key, value)| Layer::flag(&place, key, value));
    layers.collect()
}

/// The data set whose files are in `path`; images of one's own where it is none of those that are
/// known.
///
/// # Errors
/// If it may be several.
pub fn format_in(path: &Path) -> Result<Format, ConfigError> {
    match Format::in_folder(path)[..] {
        [] => Ok(Format::Images),
        [format] => Ok(format),
        ref several => {
            let names: Vec<&str> = several.iter().map(|format| format.name()).collect();
            Err(ConfigError::Missing {
                key: "data.dataset",
                expected: format!("one of {}: {} may hold any of them", names.join(", "), path.display()),
            })
        }
    }
}

/// What the last of `layers` that says something of `key` says.
fn last_text<'a>(layers: &'a [Layer], key: &str) -> Option<&'a str> {
    layers.iter().rev().find_map(|layer| layer.get(key)?.as_str())
}
