//! The requested settings of a run, and the layers below them for a new or a resumed run.
//!
//! Contract: the requested settings are the top layers. A new run has the recipe of its data set
//! below them, or the requested recipe; the settings of a requested network are between the two. A
//! resumed run has its own configuration below them. The data set in a folder of images is
//! determined from the content of the folder, unless a data set is requested; a folder that the
//! data set does not need is refused. Command line and Python package both use this module.

use std::path::Path;

use da2s_settings::Problem;
use toml::Value;

use super::error::ConfigError;
use super::fitted;
use super::layers::{Layer, resolve, resolve_stored};
use super::networks;
use super::settings::Config;
use crate::data::Format;
use crate::space::{NamedNetwork, SpaceName};

/// The recipes for folders of images of any number, whose runs have a time limit.
const FOR_FOLDERS: [&str; 2] = ["images", "images-mobile"];

/// The requested settings of a run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The requested layers, lowest first; a requested recipe is the first.
    pub layers: Vec<Layer>,
    /// Whether a recipe is among them.
    pub names_recipe: bool,
    /// A network that takes the place of a search.
    pub network: Option<NamedNetwork>,
    /// How long a new run may take: its sizes and epochs are chosen for this time after a few steps
    /// have been measured. `None` leaves the settings as they are.
    pub pace: Option<Pace>,
}

/// How long a new run may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This number of seconds.
    Seconds(f64),
    /// As long as its recipe says, if the recipe has a limit.
    OfRecipe,
}

impl Request {
    /// The configuration of a new run.
    ///
    /// # Errors
    /// If the data set has no recipe, or settings conflict.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        Ok(self.resolve_with_notes()?.0)
    }

    /// Like [`Self::resolve`]; also returns messages for the user about settings that differ from
    /// the recipe, one sentence each.
    ///
    /// # Errors
    /// Like [`Self::resolve`].
    pub fn resolve_with_notes(&self) -> Result<(Config, Vec<String>), ConfigError> {
        let mut layers = self.layers.clone();
        layers.extend(self.detected()?);
        if !self.names_recipe {
            // The last layer that names a data set decides.
            let dataset = last_text(&layers, "data.dataset").unwrap_or(Format::Digits.name());
            layers.insert(0, Layer::recipe(dataset)?);
        }
        let other_recipe = self.recipe_of_another_space(&mut layers)?;
        let space = match self.network {
            Some(network) => Some(network.space()),
            None => requested_space(&layers),
        };
        let mut above_recipe = space.map_or(Ok(Vec::new()), of_space)?;
        if let Some(NamedNetwork::Plain(network)) = self.network {
            // The settings of the network depend on the shape of the images, which is known once
            // all settings are resolved. So they are first resolved with a side of 0.
            let with = |side: usize| -> Result<Vec<Layer>, ConfigError> {
                Ok([above_recipe.clone(), networks::settings(network, side)?].concat())
            };
            let (recipe, requested) = layers.split_at(1);
            let trial = resolve(&[recipe, &with(0)?, requested].concat())?;
            above_recipe = with(trial.data.shape().map_or(0, |shape| shape.height))?;
        }
        layers.splice(1..1, above_recipe);
        let mut smaller: Vec<(Layer, String)> = fitted::warm_up(&layers)?.into_iter().collect();
        smaller.extend(fitted::cutout(&layers)?);
        smaller.extend(fitted::one_width(&layers)?);
        layers.extend(smaller.iter().map(|(layer, _)| layer.clone()));
        let (mut config, headless) = match resolve(&layers) {
            Err(error) if fitted::is_head_of_recipe(&layers, &error) => {
                layers.push(fitted::no_head()?);
                (resolve(&layers)?, Some(fitted::HEAD_LEFT_OUT.to_owned()))
            }
            other => (other?, None),
        };
        let grey = fitted::grey(&layers, &config)?;
        if let Some(layer) = &grey {
            layers.push(layer.clone());
            config = resolve(&layers)?;
        }
        let config = self.used(config)?;
        let mut notes: Vec<String> = smaller.into_iter().map(|(_, note)| note).collect();
        notes.extend(other_recipe);
        notes.extend(headless);
        notes.extend(grey.map(|_| fitted::ONE_CHANNEL.to_owned()));
        notes.extend(self.idle(&config));
        let lowered = fitted::lowered(&layers, &config)?;
        if lowered.is_empty() {
            return Ok((config, notes));
        }
        notes.extend(fitted::notes(&lowered, &config));
        layers.extend(lowered);
        Ok((resolve(&layers)?, notes))
    }

    /// Whether `key` was requested, and not only set by a recipe.
    pub fn sets(&self, key: &str) -> bool {
        let mut requested = self.layers.iter().filter(|layer| !layer.is_recipe());
        requested.any(|layer| layer.get(key).is_some())
    }

    /// Whether `key` was requested by a flag, and not only by a file.
    pub fn sets_by_flag(&self, key: &str) -> bool {
        let mut flags = self.layers.iter().filter(|layer| layer.is_flag());
        flags.any(|layer| layer.get(key).is_some())
    }

    /// Whether the recipe of `config`, which was resolved from this request, is one for folders of
    /// images.
    pub fn has_recipe_for_folders(&self, config: &Config) -> bool {
        match self.layers.first().filter(|_| self.names_recipe) {
            Some(recipe) => FOR_FOLDERS.iter().any(|name| recipe.is_recipe_of(name)),
            None => config.data.dataset == Format::Images,
        }
    }

    /// Replaces the recipe `images-mobile` among `layers` by `images` if the run is not in the
    /// space `mobile`; returns a message about it.
    fn recipe_of_another_space(&self, layers: &mut [Layer]) -> Result<Option<String>, ConfigError> {
        let [recipe, requested @ ..] = layers else {
            return Ok(None);
        };
        let named = || SpaceName::from_name(last_text(requested, "space.name")?);
        let space = self.network.map_or_else(named, |network| Some(network.space()));
        let is_other = space.is_some_and(|space| space != SpaceName::Mobile);
        if !is_other || !recipe.is_recipe_of("images-mobile") {
            return Ok(None);
        }
        *recipe = Layer::recipe("images")?;
        let note = "the recipe is images, since images-mobile is for the space mobile";
        Ok(Some(note.to_owned()))
    }

    /// A message for each setting of a flag that has no effect. Recipes and files may contain such
    /// settings, since they are used for different runs.
    fn idle(&self, config: &Config) -> impl Iterator<Item = String> {
        let (search, beside) = (&config.search, &config.network.beside);
        let rows = [
            (
                "search.schedule",
                search.drive.is_some() || !search.follows_schedule(),
                "it sets the drive of da2s, da2s-operations and da2s-edges, and only if search.drive is unset",
            ),
            (
                "network.baseline_width",
                beside.baselines.is_none(),
                "network.baselines is unset",
            ),
            (
                "network.baseline_match",
                beside.baselines.is_none() || beside.baseline_width.is_some(),
                "it is for network.baselines without network.baseline_width",
            ),
        ];
        let idle = rows
            .into_iter()
            .filter(|(key, idle, _)| *idle && self.sets_by_flag(key));
        idle.map(|(key, _, why)| format!("{key} has no effect: {why}"))
    }

    /// The configuration of a resumed run, given the configuration `stored` in its directory.
    ///
    /// # Errors
    /// If settings conflict.
    pub fn resolve_over(&self, stored: Layer) -> Result<Config, ConfigError> {
        let mut layers = vec![stored];
        layers.extend(self.layers.iter().cloned());
        self.used(resolve_stored(&layers)?)
    }

    /// The data set that the requested folder of images contains. `None` if there is no folder, if
    /// a layer other than a recipe names a data set, or if the data set of the recipe fits.
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
            // Opening it fails later, with an error that names what is missing.
            Some(format) if found.is_empty() && format.needs_folder() => return Ok(None),
            _ => {}
        }
        let format = format_in(dir)?;
        Layer::flag("what data.dir holds", "data.dataset", format.name().into()).map(Some)
    }

    /// Refuses a folder that would not be read, because flags name two different folders or because
    /// the data set needs no folder.
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

/// The space that `layers` request; `None` if their recipe is for this space and therefore has its
/// settings already.
fn requested_space(layers: &[Layer]) -> Option<SpaceName> {
    let space = SpaceName::from_name(last_text(layers, "space.name")?)?;
    let recipe = layers.first().filter(|layer| layer.is_recipe())?;
    let of_recipe = recipe.get("space.name").and_then(Value::as_str);
    (of_recipe != Some(space.name())).then_some(space)
}

/// Settings of a space that replace the recipes of data sets, which are for the DARTS space.
fn of_space(space: SpaceName) -> Result<Vec<Layer>, ConfigError> {
    let settings = match space {
        SpaceName::Darts => vec![],
        SpaceName::NasBench201 => vec![
            ("target.edges", Value::from("all")),
            ("network.auxiliary", Value::from(false)),
            ("network.drop_path", Value::from(0.0)),
        ],
        // The chain is a single cell, for which no image is too small.
        SpaceName::Mobile | SpaceName::Plain => {
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

/// The data set whose files are in `path`; the user's own images if no known data set is found.
///
/// # Errors
/// If there are several candidates.
pub fn format_in(path: &Path) -> Result<Format, ConfigError> {
    match Format::in_folder(path)[..] {
        [] => Ok(Format::Images),
        [format] => Ok(format),
        ref several => {
            let names: Vec<&str> = several.iter().map(|format| format.name()).collect();
            Err(ConfigError::Missing {
                key: "data.dataset",
                expected: format!(
                    "one of {}: {} may contain any of them",
                    names.join(", "),
                    path.display()
                ),
            })
        }
    }
}

/// The value of `key` in the last of `layers` that sets it.
fn last_text<'a>(layers: &'a [Layer], key: &str) -> Option<&'a str> {
    layers.iter().rev().find_map(|layer| layer.get(key)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrain::InitialWeights;

    #[test]
    fn the_recipe_images_mobile_has_one_width_and_is_images_in_another_space() {
        let with = |settings: &[&str], network: Option<&str>| {
            let given = ["data.dir=my-images"].iter().chain(settings);
            let given = given.map(|text| Layer::assignment("--set", text).unwrap());
            let request = Request {
                layers: [Layer::recipe("images-mobile").unwrap()]
                    .into_iter()
                    .chain(given)
                    .collect(),
                names_recipe: true,
                network: network.and_then(NamedNetwork::from_name),
                ..Request::default()
            };
            request.resolve_with_notes().unwrap()
        };
        let (own, notes) = with(&[], None);
        assert_eq!((own.space.name, notes), (SpaceName::Mobile, Vec::new()));
        assert_eq!(own.network.training.initial_weights, InitialWeights::SuperNetwork);
        // Channels that are requested for one of the two are those of both.
        for wider in ["search.channels=24", "network.channels=24"] {
            let (config, notes) = with(&[wider], None);
            assert_eq!((config.search.channels, config.network.shape.channels), (24, 24));
            assert!(notes[0].contains("is 24 instead of 16"), "{notes:?}");
        }
        for (settings, network, space) in [
            (&["space.name=darts"][..], None, SpaceName::Darts),
            (&[], Some("darts-v2"), SpaceName::Darts),
            (&[], Some("resnet8"), SpaceName::Plain),
        ] {
            let (config, notes) = with(settings, network);
            assert_eq!(config.space.name, space, "{network:?}");
            assert!(notes[0].contains("images-mobile is for the space mobile"), "{notes:?}");
        }
        let (config, _) = with(&[], Some("mobilenet-v2"));
        assert_eq!(config.network.training.initial_weights, InitialWeights::Random);
    }
}
