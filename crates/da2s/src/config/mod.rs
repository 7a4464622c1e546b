//! The configuration of a run: its settings, the layers that are merged into it, and the allowed
//! values of each setting.
//!
//! Precedence: defaults < recipe (`recipes/*.toml`) < file < flags. [`resolve`] merges the layers
//! and checks every value; [`Config::to_toml`] writes the result, which [`Config::read`] reads back
//! unchanged.

mod check;
mod error;
mod fitted;
mod layers;
mod networks;
mod planned;
mod request;
mod settings;

pub use da2s_settings::Entry;
pub use error::{ConfigError, Location, Origin};
pub use layers::{Layer, RECIPES, resolve, resolve_stored};
pub use networks::baseline_of;
pub use planned::Planned;
pub use request::{Pace, Request, format_in};
pub use settings::{Config, NetworkSettings, OnNan, RunSettings};

use std::path::Path;

use crate::data::DataOptions;
use crate::network::widths_to_try;
use crate::retrain::InitialWeights;
use crate::search::SearchSetup;

/// The settings with a short name, which front ends offer as flags and arguments.
pub fn named() -> Vec<(Entry, &'static str)> {
    let entries = Config::TABLE.entries().into_iter();
    entries
        .filter_map(|entry| {
            let short = entry.field.short?;
            Some((entry, short))
        })
        .collect()
}

/// The settings that define where a stage is computed, which every stage accepts.
pub fn machine() -> Vec<(Entry, &'static str)> {
    let of_machine = |(entry, _): &(Entry, &str)| entry.key.starts_with("run.") && entry.field.may_change;
    named().into_iter().filter(of_machine).collect()
}

/// The reference of all settings, as Markdown.
///
/// # Errors
/// If a default has no TOML form.
pub fn reference() -> Result<String, ConfigError> {
    Ok(da2s_settings::reference(Config::TABLE, &Config::default().to_table()?))
}

/// The JSON schema of configuration files.
///
/// # Errors
/// If a default has no TOML or JSON form.
pub fn schema() -> Result<String, ConfigError> {
    let defaults = Config::default().to_table()?;
    let schema = da2s_settings::schema("Settings of da2s", Config::TABLE, &defaults);
    schema.map_err(|error| ConfigError::Unwritable {
        problem: error.to_string(),
    })
}

impl Config {
    /// The range of channels that the network may get after the search; `None` if it keeps its
    /// channels, as it does if its weights are those of the search.
    pub(crate) fn widths_to_try(&self) -> Option<[usize; 2]> {
        match self.network.training.initial_weights {
            InitialWeights::Random => widths_to_try(&self.target, &self.space, &self.network.shape),
            InitialWeights::SuperNetwork => None,
        }
    }

    pub(crate) fn to_table(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|error| ConfigError::Unwritable {
            problem: error.to_string(),
        })
    }

    /// Reads and checks a file, in which settings with a default may be missing. No recipe is
    /// applied.
    ///
    /// # Errors
    /// If the file cannot be read or has an invalid setting; the error names the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        resolve_stored(&[Layer::file(path)?])
    }

    /// The configuration as a file, with all values including defaults.
    ///
    /// # Errors
    /// If a value has no TOML form, such as a seed above 2^63 − 1.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Unwritable {
            problem: error.to_string(),
        })
    }

    /// Checks every value, and conflicts between values. The results of [`resolve`] are already
    /// checked.
    ///
    /// # Errors
    /// For the first invalid value, with the allowed ones.
    pub fn check(&self) -> Result<(), ConfigError> {
        let table = self.to_table()?;
        let unplaced = |_: &str| Location::from(Origin::Settings);
        layers::check_document(&table, &unplaced)?;
        check::check(self, &unplaced)
    }

    /// The inputs of a search.
    ///
    /// # Errors
    /// Like [`Self::check`].
    pub fn search_setup(&self) -> Result<SearchSetup, ConfigError> {
        self.check()?;
        Ok(SearchSetup {
            data: self.data.clone(),
            space: self.space.clone(),
            target: self.target.clone(),
            search: self.search.clone(),
            discretize: self.discretize.clone(),
            network: self.network.shape.clone(),
            seed: self.run.seed,
        })
    }

    /// The options for opening the images.
    pub fn data_options(&self) -> DataOptions {
        let augmentations = [&self.search.augmentation, &self.network.training.augmentation];
        let mut crops = augmentations
            .iter()
            .map(|augmentation| augmentation.random_resized_crop);
        self.data.options(self.run.seed, crops.any(|crop| crop.is_some()))
    }
}
