//! What is asked of a run, from Python: named settings in their order, over a recipe and a file.

use std::path::PathBuf;

use da2s::config::{self, ConfigError, Layer, Request};
use da2s::space::SpaceName;
use pyo3::prelude::*;

use crate::errors::raised;
use crate::value::to_toml;

/// Settings that are keyword arguments: the name, the key, and whether every stage of a run takes
/// it.
#[pyfunction]
pub fn options() -> Vec<(&'static str, String, bool)> {
    let machine: Vec<&str> = config::machine().into_iter().map(|(_, short)| short).collect();
    let option = |(entry, short): (config::Entry, &'static str)| (short, entry.key, machine.contains(&short));
    config::named().into_iter().map(option).collect()
}

/// A setting: what it is called where it was said, its key, its value.
pub type Setting<'py> = (String, String, Bound<'py, PyAny>);

/// What is asked of a run.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Asked<'py> {
    recipe: Option<String>,
    config: Option<PathBuf>,
    settings: Vec<Setting<'py>>,
}

impl Asked<'_> {
    /// The same in the library's words.
    ///
    /// # Errors
    /// `da2s.ConfigError` for what cannot be, `TypeError` for what is no value of a setting.
    pub fn request(self, py: Python<'_>) -> PyResult<Request> {
        let wrong = |error: ConfigError| raised(py, &error.into());
        let mut layers = Vec::new();
        if let Some(recipe) = &self.recipe {
            layers.push(Layer::recipe(recipe).map_err(wrong)?);
        }
        if let Some(path) = &self.config {
            layers.push(Layer::file(path).map_err(wrong)?);
        }
        let mut space = None;
        for (name, key, value) in &self.settings {
            let value = to_toml(value)?;
            if name == "space" {
                space = value.as_str().and_then(SpaceName::from_name);
            }
            layers.push(Layer::flag(name, key, value).map_err(wrong)?);
        }
        Ok(Request {
            layers,
            names_recipe: self.recipe.is_some(),
            space,
        })
    }
}
