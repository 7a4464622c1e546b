//! The networks requested for a front, read from Python's arguments.

use da2s::config::Layer;
use da2s::network::Resource;
use da2s::run::{FrontRequest, Limit};
use da2s::space::{EdgeCount, TargetSpec};
use pyo3::prelude::*;
use toml::Table;

use crate::errors::{exception, raised};
use crate::request::Setting;
use crate::value::to_toml;

/// The networks of a front.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Networks<'py> {
    widths: Vec<f64>,
    cells: Vec<usize>,
    depths: Vec<Depth>,
    /// Limits as settings of the target.
    limits: Vec<Setting<'py>>,
}

/// How many layers the stages keep: one number for all stages, or one per stage.
#[derive(FromPyObject)]
enum Depth {
    Every(usize),
    Each(Vec<usize>),
}

impl Networks<'_> {
    /// The request for these networks.
    ///
    /// # Errors
    /// `da2s.ConfigError` for an invalid limit, `TypeError` for a value that no limit can have.
    pub fn request(self, py: Python<'_>) -> PyResult<FrontRequest> {
        let depth = |depth| match depth {
            Depth::Every(layers) => EdgeCount::Uniform(layers),
            Depth::Each(layers) => EdgeCount::PerNode(layers),
        };
        Ok(FrontRequest {
            widths: self.widths,
            cells: self.cells,
            depths: self.depths.into_iter().map(depth).collect(),
            limits: self.limits.iter().map(|one| limit(py, one)).collect::<PyResult<_>>()?,
        })
    }
}

/// Reads a limit, and checks that its setting accepts the value.
fn limit(py: Python<'_>, (name, key, value): &Setting<'_>) -> PyResult<Limit> {
    let value = to_toml(value)?;
    Layer::flag(name, key, value.clone()).map_err(|error| raised(py, &error.into()))?;
    let of_key = |resource: &Resource| {
        let name = key.rsplit('.').next()?;
        let target: TargetSpec = Table::from_iter([(name.to_owned(), value)]).try_into().ok()?;
        resource.limit(&target)
    };
    let resource = Resource::ALL.into_iter().find(|resource| resource.setting() == key);
    let limit = resource.and_then(|resource| Some((resource, of_key(&resource)?)));
    limit.ok_or_else(|| exception(py, "InternalError", &format!("{name} is not a limit")))
}
