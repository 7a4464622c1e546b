//! From arguments to the configuration: a layer for each flag that was given, over the recipe and the file.

use std::path::Path;

use da2s::config::{Config, ConfigError, Layer, Request};
use da2s::space::SpaceName;
use toml::Value;

use super::{MachineArguments, SettingArguments, StageArguments};

impl SettingArguments {
    /// The configuration of a new run: the recipe of the data set, then what was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag says something that cannot be.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        self.request()?.resolve()
    }

    /// The configuration of a run that goes on: that in the file `stored`, then what was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag says something that cannot be.
    pub fn resolve_over(&self, stored: &Path) -> Result<Config, ConfigError> {
        self.request()?.resolve_over(stored)
    }

    /// What was asked for.
    ///
    /// # Errors
    /// If a file, a recipe or a flag says something that cannot be.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let names_bench = self.space.as_deref() == Some(SpaceName::NasBench201.name());
        Ok(Request {
            layers: self.asked()?,
            names_recipe: self.recipe.is_some(),
            space: names_bench.then_some(SpaceName::NasBench201),
        })
    }

    /// Whether `--method` was given.
    pub fn names_method(&self) -> bool {
        self.method.is_some()
    }

    /// What was asked for: `--recipe`, `--config` and the flags, lowest first.
    fn asked(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = Vec::new();
        if let Some(recipe) = &self.recipe {
            layers.push(Layer::recipe(recipe)?);
        }
        if let Some(path) = &self.config {
            layers.push(Layer::file(path)?);
        }
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let number = |number: Option<i64>| number.map(Value::Integer);
        layers.extend(flags([
            ("DATASET", "data.dataset", text(&self.dataset)),
            ("--data-dir", "data.dir", text(&self.data_dir)),
            ("--seed", "run.seed", number(self.seed)),
            ("--method", "search.method", text(&self.method)),
            ("--search-epochs", "search.epochs", number(self.search_epochs)),
            ("--train-epochs", "network.epochs", number(self.train_epochs)),
            ("--image-size", "data.image_size", number(self.image_size)),
            ("--limit", "data.limit", number(self.limit)),
            ("--edges", "target.edges", self.edges.clone()),
            ("--operations", "target.operations", number(self.operations)),
            ("--space", "space.name", text(&self.space)),
            ("--schedule", "search.schedule", text(&self.schedule)),
            (
                "--extra-epochs",
                "search.extra_epochs",
                self.extra_epochs.map(Value::Float),
            ),
            (
                "--max-multiply-adds",
                "target.max_multiply_adds",
                number(self.max_multiply_adds),
            ),
            ("--max-parameters", "target.max_parameters", number(self.max_parameters)),
        ])?);
        layers.extend(self.machine.layers()?);
        for assignment in &self.set {
            layers.push(Layer::assignment("--set", assignment)?);
        }
        Ok(layers)
    }
}

impl MachineArguments {
    fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        flags([
            ("--device", "run.device", self.device.clone().map(Value::String)),
            ("--engine", "run.engine", self.engine.clone().map(Value::String)),
            ("--threads", "run.threads", self.threads.map(Value::Integer)),
            ("--on-nan", "run.on_nan", self.on_nan.clone().map(Value::String)),
        ])
    }
}

impl StageArguments {
    /// What was asked for: the machine.
    ///
    /// # Errors
    /// If a flag says something that cannot be.
    pub fn request(&self) -> Result<Request, ConfigError> {
        Ok(Request {
            layers: self.machine.layers()?,
            ..Request::default()
        })
    }
}

/// A layer for each flag that was given: flag, key, value.
fn flags<const N: usize>(rows: [(&str, &str, Option<Value>); N]) -> Result<Vec<Layer>, ConfigError> {
    rows.into_iter()
        .filter_map(|(flag, key, value)| Some(Layer::flag(flag, key, value?)))
        .collect()
}
