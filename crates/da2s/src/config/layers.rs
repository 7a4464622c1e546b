//! The layers of a configuration and how they are merged.
//!
//! Contract: each layer is checked separately, so an error names the file and line of the setting;
//! a value that is not set anywhere is the default. A layer that sets `target.edges` or
//! `target.operations` means both kinds of cell, and so overrides what a lower layer sets for one
//! kind.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use da2s_records::files::MOST_WHOLE_BYTES;
use da2s_records::read_input;
use da2s_settings::Problem;

use super::check;
use super::error::{ConfigError, Location, Origin};
use super::settings::Config;
use crate::search::SKIP_DROPOUT;

/// Maximum number of parts of a key such as `search.regulariser.lambda`: more than any key has.
const MOST_PARTS: usize = 16;

/// The built-in recipes: name and text. Each data set has a recipe of its name.
pub const RECIPES: [(&str, &str); 12] = [
    ("digits", include_str!("../../recipes/digits.toml")),
    ("cifar10", include_str!("../../recipes/cifar10.toml")),
    ("cifar100", include_str!("../../recipes/cifar100.toml")),
    ("mnist", include_str!("../../recipes/mnist.toml")),
    ("fashion", include_str!("../../recipes/fashion.toml")),
    ("arrays", include_str!("../../recipes/arrays.toml")),
    ("images", include_str!("../../recipes/images.toml")),
    ("images-mobile", include_str!("../../recipes/images-mobile.toml")),
    ("images-large", include_str!("../../recipes/images-large.toml")),
    ("imagenet", include_str!("../../recipes/imagenet.toml")),
    ("nas-bench-201", include_str!("../../recipes/nas-bench-201.toml")),
    ("pc-darts", include_str!("../../recipes/pc-darts.toml")),
];

/// Settings from one origin; missing ones come from the layers below.
#[derive(Clone, Debug)]
pub struct Layer {
    origin: Origin,
    table: Table,
    /// The line of each key, including its tables.
    lines: BTreeMap<String, usize>,
}

impl Layer {
    /// The recipe called `name`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownRecipe`] if it does not exist.
    pub fn recipe(name: &str) -> Result<Self, ConfigError> {
        match RECIPES.into_iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::text(Origin::Recipe(name), text),
            None => {
                let known = RECIPES.map(|(known, _)| known).to_vec();
                Err(ConfigError::UnknownRecipe {
                    name: name.to_owned(),
                    known,
                })
            }
        }
    }

    /// A complete configuration as a layer.
    ///
    /// # Errors
    /// If a value has no TOML form.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let table = config.to_table()?;
        let (origin, lines) = (Origin::Settings, BTreeMap::new());
        Self { origin, table, lines }.checked()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an invalid setting.
    pub fn file(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = read_input(path, MOST_WHOLE_BYTES).map_err(|error| unreadable(error.source))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text")))?;
        Self::text(Origin::File(path.to_owned()), &text)
    }

    /// Parses the text of the file `path`, which was already read.
    ///
    /// # Errors
    /// If it is not TOML, or has an invalid setting.
    pub fn stored(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::text(Origin::File(path.to_owned()), text)
    }

    /// Like [`Self::stored`], for the settings of a run. A run of an earlier version lacks settings
    /// that were added later: they get values with which the run continues as before.
    ///
    /// # Errors
    /// Like [`Self::stored`].
    pub(crate) fn of_run(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut layer = Self::stored(path, text)?;
        if let Some(Value::Table(network)) = layer.table.get_mut("network") {
            network.entry("widen_up_to").or_insert(Value::Float(1.0));
        }
        Ok(layer)
    }

    /// One setting from the flag `flag`; `key` includes its tables, such as `search.epochs`.
    ///
    /// # Errors
    /// If the key does not exist or does not allow the value.
    pub fn flag(flag: &str, key: &str, value: Value) -> Result<Self, ConfigError> {
        // Tables are built and dropped recursively, one call per level: a key with many parts would
        // exhaust the stack.
        if key.split('.').count() > MOST_PARTS {
            return Err(ConfigError::Setting {
                place: Box::new(Origin::Flag(flag.to_owned()).into()),
                problem: Problem::UnknownKey {
                    key: key.to_owned(),
                    suggestions: Vec::new(),
                    known: Config::TABLE.names(),
                },
            });
        }
        let (name, table) = key
            .rsplit_once('.')
            .map_or((key, None), |(table, name)| (name, Some(table)));
        let mut nested = Table::from_iter([(name.to_owned(), value)]);
        for outer in table.into_iter().flat_map(|table| table.rsplit('.')) {
            nested = Table::from_iter([(outer.to_owned(), Value::Table(nested))]);
        }
        Self {
            origin: Origin::Flag(flag.to_owned()),
            table: nested,
            lines: BTreeMap::new(),
        }
        .checked()
    }

    /// One setting as `KEY=VALUE`, from the flag `flag`. A value that is not TOML is treated as
    /// text, so that words need no quotes.
    ///
    /// # Errors
    /// If there is no `=`, the key does not exist, or the value is invalid.
    pub fn assignment(flag: &str, text: &str) -> Result<Self, ConfigError> {
        let Some((key, value)) = text.split_once('=') else {
            let problem = format!("`{text}`: expected KEY=VALUE, such as search.epochs=10");
            return Err(ConfigError::Syntax {
                place: Box::new(Origin::Flag(flag.to_owned()).into()),
                problem,
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
        Self::flag(&format!("{flag} {text}"), key, value)
    }

    fn text(origin: Origin, text: &str) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| {
            let line = error.span().map(|span| line_at(text, span.start));
            let place = Location {
                origin: origin.clone(),
                line,
            };
            ConfigError::Syntax {
                place: Box::new(place),
                problem: error.message().to_owned(),
            }
        };
        let table: Table = text.parse().map_err(syntax)?;
        let mut lines = BTreeMap::new();
        collect_lines(DeTable::parse(text).map_err(syntax)?.get_ref(), text, "", &mut lines);
        Self { origin, table, lines }.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        check_document(&self.table, &|key| self.place(key))?;
        Ok(self)
    }

    /// The value of `key` in this layer.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &self.table;
        for outer in tables.split('.').filter(|outer| !outer.is_empty()) {
            table = table.get(outer)?.as_table()?;
        }
        table.get(name)
    }

    /// Whether it is a recipe.
    pub(super) fn is_recipe(&self) -> bool {
        matches!(self.origin, Origin::Recipe(_))
    }

    /// Whether it is the recipe called `name`.
    pub(super) fn is_recipe_of(&self, name: &str) -> bool {
        matches!(&self.origin, Origin::Recipe(recipe) if *recipe == name)
    }

    /// Whether it is a single setting from a flag.
    pub(super) fn is_flag(&self) -> bool {
        matches!(self.origin, Origin::Flag(_))
    }

    pub(super) fn place(&self, key: &str) -> Location {
        Location {
            origin: self.origin.clone(),
            line: self.lines.get(key).copied(),
        }
    }
}

/// Checks every key and value of `document` separately; `place` returns the location of a key.
///
/// # Errors
/// [`ConfigError::Setting`] for the first in the order of lines.
pub(super) fn check_document(document: &Table, place: &dyn Fn(&str) -> Location) -> Result<(), ConfigError> {
    let problems = Config::TABLE.check(document).into_iter();
    let placed = problems.map(|problem| (place(problem.key()), problem));
    match placed.min_by_key(|(place, _)| place.line) {
        Some((place, problem)) => Err(ConfigError::Setting {
            place: place.into(),
            problem,
        }),
        None => Ok(()),
    }
}

/// Merges `layers` over the defaults, in order, and checks the result as the configuration of a new
/// run.
///
/// # Errors
/// If values conflict; the error names the location of the offending one.
pub fn resolve(layers: &[Layer]) -> Result<Config, ConfigError> {
    let config = resolve_stored(layers)?;
    check::check_new(&config, &|key| place_of(layers, key))?;
    Ok(config)
}

/// Like [`resolve`], for a stored configuration: a run of an earlier version may have settings that
/// a new run must not have.
///
/// # Errors
/// Like [`resolve`].
pub fn resolve_stored(layers: &[Layer]) -> Result<Config, ConfigError> {
    let config = merged(layers)?;
    check::check(&config, &|key| place_of(layers, key))?;
    Ok(config)
}

/// The configuration of `layers`, unchecked.
///
/// # Errors
/// If a value does not have the type of its setting.
pub(super) fn merged(layers: &[Layer]) -> Result<Config, ConfigError> {
    let broken = |problem: String| ConfigError::Syntax {
        place: Box::new(Origin::Settings.into()),
        problem,
    };
    let mut merged = Table::try_from(Config::default()).map_err(|error| broken(error.to_string()))?;
    for layer in layers {
        widen_target(&mut merged, layer);
        forget_earlier_epochs(&mut merged, layer);
        overlay(&mut merged, &layer.table);
    }
    let mut config: Config = merged.try_into().map_err(|error| broken(error.to_string()))?;
    // Earlier versions wrote this default into the file of every run.
    if config.search.stages.skip_dropout.as_deref() == Some(&SKIP_DROPOUT) {
        config.search.stages.skip_dropout = None;
    }
    Ok(config)
}

/// The location of `key`: the last layer that sets it.
fn place_of(layers: &[Layer], key: &str) -> Location {
    let last = layers.iter().rev().find(|layer| layer.get(key).is_some());
    last.map_or(Origin::Settings.into(), |layer| layer.place(key))
}

/// Merges `above` into `below`, table by table.
fn overlay(below: &mut Table, above: &Table) {
    for (name, value) in above {
        match (below.get_mut(name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            _ => {
                below.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Removes the settings for one kind of cell if `layer` sets both.
fn widen_target(merged: &mut Table, layer: &Layer) {
    let Some(target) = merged.get_mut("target").and_then(Value::as_table_mut) else {
        return;
    };
    for name in ["edges", "operations"] {
        if layer.get(&format!("target.{name}")).is_some() {
            for kind in ["normal", "reduction"] {
                if let Some(kind) = target.get_mut(kind).and_then(Value::as_table_mut) {
                    kind.remove(name);
                }
            }
        }
    }
}

/// Removes `network.earlier_epochs`, the earlier lengths of a training, if `layer` sets another
/// length.
fn forget_earlier_epochs(merged: &mut Table, layer: &Layer) {
    let Some(network) = merged.get_mut("network").and_then(Value::as_table_mut) else {
        return;
    };
    let epochs = layer.get("network.epochs");
    if epochs.is_some() && epochs != network.get("epochs") {
        network.remove("earlier_epochs");
    }
}

fn collect_lines(table: &DeTable<'_>, text: &str, prefix: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let name_of = name.get_ref();
        let key = if prefix.is_empty() {
            name_of.to_string()
        } else {
            format!("{prefix}.{name_of}")
        };
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(inner, text, &key, lines);
        }
        lines.insert(key, line_at(text, name.span().start));
    }
}

fn line_at(text: &str, at_bytes: usize) -> usize {
    text.bytes().take(at_bytes).filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
#[path = "tests/layers.rs"]
mod tests;
