//! The arguments of a run from Python: named settings in order, on top of a recipe and a file.

use std::path::PathBuf;

use da2s::config::{self, ConfigError, Layer, Pace, Request};
use da2s::planner::parse_time;
use da2s::space::NamedNetwork;
use pyo3::prelude::*;

use crate::errors::{exception, raised};
use crate::value::to_toml;

/// Settings that are keyword arguments: the name, the key, and whether every stage of a run accepts
/// it.
#[pyfunction]
pub fn options() -> Vec<(&'static str, String, bool)> {
    let machine: Vec<&str> = config::machine().into_iter().map(|(_, short)| short).collect();
    let option = |(entry, short): (config::Entry, &'static str)| (short, entry.key, machine.contains(&short));
    config::named().into_iter().map(option).collect()
}

/// A setting: its name in the call, its key, its value.
pub type Setting<'py> = (String, String, Bound<'py, PyAny>);

/// The arguments of a run.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Asked<'py> {
    recipe: Option<String>,
    config: Option<PathBuf>,
    network: Option<String>,
    settings: Vec<Setting<'py>>,
    /// The time in which the run must end.
    time: Option<String>,
    /// Whether the run, without `time`, keeps to the time limit of its recipe, if there is one.
    planned: bool,
}

impl Asked<'_> {
    /// The arguments as a request of the library.
    ///
    /// # Errors
    /// `da2s.ConfigError` for invalid settings, `TypeError` for a value that no setting can have.
    pub fn request(self, py: Python<'_>) -> PyResult<Request> {
        let wrong = |error: ConfigError| raised(py, &error.into());
        let mut layers = Vec::new();
        if let Some(recipe) = &self.recipe {
            layers.push(Layer::recipe(recipe).map_err(wrong)?);
        }
        if let Some(path) = &self.config {
            layers.push(Layer::file(path).map_err(wrong)?);
        }
        let pace = match &self.time {
            Some(text) => {
                let time = parse_time(text)
                    .map_err(|error| exception(py, "ConfigError", &format!("time = {text}: {error}")))?;
                Some(Pace::Seconds(time.as_secs_f64()))
            }
            None => self.planned.then_some(Pace::OfRecipe),
        };
        for (name, key, value) in &self.settings {
            layers.push(Layer::flag(name, key, to_toml(value)?).map_err(wrong)?);
        }
        Ok(Request {
            layers,
            names_recipe: self.recipe.is_some(),
            network: self.network.map(|name| named_network(py, &name)).transpose()?,
            pace,
        })
    }
}

/// The network of this name.
///
/// # Errors
/// `da2s.ConfigError` if there is none.
pub fn named_network(py: Python<'_>, name: &str) -> PyResult<NamedNetwork> {
    NamedNetwork::from_name(name).ok_or_else(|| {
        let known = NamedNetwork::names().join(", ");
        exception(py, "ConfigError", &format!("network: {name}: expected one of {known}"))
    })
}
