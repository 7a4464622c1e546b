//! One run of a comparison: what is searched or given, its seed, its directory.
//!
//! Contract: setup and seed determine the name of the directory, so a later command finds every run
//! of the plan. Setup, seed and the shared settings determine the configuration. The width of a
//! baseline is chosen to match the searched network of the same seed.

use std::path::Path;

use da2s::Error;
use da2s::config::{Config, ConfigError, Layer, resolve};
use da2s::discretize::random_genotype;
use da2s::run::{RunDirectory, baseline_config};
use da2s::space::{PlainNetwork, PublishedGenotype, SpaceName};
use da2s_records::files;
use da2s_report::comparison::{RANDOM, Setup};
use toml::Value;

use crate::args::{TUNING_EPOCHS, may_tune};

/// One run of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Method and varied settings.
    pub setup: Setup,
    /// Seed.
    pub seed: u64,
    /// Name of its directory.
    pub name: String,
    /// The genotype that replaces the search.
    pub given: Option<Given>,
}

/// A given genotype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A published genotype, by name.
    Published(String),
    /// A random genotype, drawn with the run's seed.
    Random,
    /// A plain network, whose width follows from the network of another run.
    Baseline {
        /// The network.
        network: PlainNetwork,
        /// Directory of the other run, which has the same seed.
        searched: String,
    },
}

impl Given {
    /// The name in the column of methods.
    fn label(&self) -> String {
        match self {
            Self::Published(name) => format!("published {name}"),
            Self::Random => RANDOM.to_owned(),
            Self::Baseline { network, .. } => network.name().to_owned(),
        }
    }
}

impl Planned {
    /// The search of `setup` with this seed.
    pub(super) fn searched(setup: &Setup, seed: u64) -> Self {
        Self {
            name: directory_name(setup, seed),
            setup: setup.clone(),
            seed,
            given: None,
        }
    }

    /// The training of a given genotype with this seed.
    pub(super) fn given(given: Given, seed: u64) -> Self {
        let setup = Setup {
            method: given.label(),
            settings: Vec::new(),
        };
        Self {
            given: Some(given),
            ..Self::searched(&setup, seed)
        }
    }

    /// The configuration of this run if it is a baseline; `out` contains the runs of the
    /// comparison. `None` if it is not a baseline, or if the run that determines its width is not
    /// finished.
    ///
    /// # Errors
    /// If no width fits, or the run that determines the width cannot be read.
    pub fn baseline(&self, out: &Path, shared: &Config) -> Result<Option<Config>, Error> {
        let Some(Given::Baseline { network, searched }) = &self.given else {
            return Ok(None);
        };
        let path = out.join(searched);
        if !path.join(files::SUMMARY).is_file() {
            return Ok(None);
        }
        let directory = RunDirectory::read(&path)?;
        let mut config = directory.config()?;
        config.network.beside.clone_from(&shared.network.beside);
        baseline_config(&directory, &config, *network).map(Some)
    }

    /// The configuration of a run that is not a baseline, based on the shared settings.
    ///
    /// # Errors
    /// If a varied setting does not exist or has an invalid value.
    pub fn config(&self, shared: &Config) -> Result<Config, ConfigError> {
        let seed = i64::try_from(self.seed).unwrap_or(i64::MAX);
        let mut layers = vec![
            Layer::of(shared)?,
            Layer::flag("--seeds", "run.seed", Value::Integer(seed))?,
        ];
        if self.given.is_none() {
            let method = Value::String(self.setup.method.clone());
            layers.push(Layer::flag("--methods", "search.method", method)?);
        }
        for assignment in self.assignments() {
            layers.push(Layer::assignment("--vary", &assignment)?);
        }
        resolve(&layers)
    }

    /// The value of a setting that is varied.
    pub fn varied(&self, key: &str) -> Option<&str> {
        let found = self.setup.settings.iter().find(|(varied, _)| varied == key);
        found.map(|(_, value)| value.as_str())
    }

    /// What only this run sets, each as `KEY=VALUE`.
    pub fn assignments(&self) -> Vec<String> {
        let assignment = |(key, value): &(String, String)| format!("{key}={value}");
        let mut assignments: Vec<String> = self.setup.settings.iter().map(assignment).collect();
        let is_untuned = self.varied("discretize.rule").is_some_and(|rule| !may_tune(rule));
        if is_untuned && self.varied(TUNING_EPOCHS).is_none() {
            // The shared number of tuning epochs is not for this rule, which cannot tune.
            assignments.push(format!("{TUNING_EPOCHS}=0"));
        }
        assignments
    }

    /// The text of the run's given genotype, if it has one.
    ///
    /// # Errors
    /// A description of the problem, if the target does not fit the space or the genotype is of
    /// another space.
    pub fn genotype(&self, config: &Config) -> Result<Option<String>, String> {
        let space = config.space.build();
        Ok(match &self.given {
            None => None,
            Some(Given::Baseline { network, .. }) => Some(network.genotype().to_string()),
            Some(Given::Published(name)) => {
                let published = PublishedGenotype::from_name(name).filter(|_| space.name == SpaceName::Darts);
                let text = published.map(|published| published.text().to_owned());
                Some(text.ok_or_else(|| format!("--genotypes {name}: published genotypes belong to the space darts"))?)
            }
            Some(Given::Random) => {
                let target = config.target.resolve(&space).map_err(|error| error.to_string())?;
                Some(random_genotype(&space, &target, self.seed).to_string())
            }
        })
    }
}

/// `METHOD-KEY=VALUE-sSEED`, without characters that have a special meaning in a path or a shell.
fn directory_name(setup: &Setup, seed: u64) -> String {
    let plain = |value: &str| {
        let kept = |c: char| {
            if c.is_ascii_alphanumeric() || ".-".contains(c) {
                c
            } else {
                '_'
            }
        };
        value.chars().map(kept).collect::<String>().trim_matches('_').to_owned()
    };
    let settings = setup
        .settings
        .iter()
        .map(|(key, value)| format!("-{}={}", plain(key), plain(value)));
    format!("{}{}-s{seed}", plain(&setup.method), settings.collect::<String>())
}
