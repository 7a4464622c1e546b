//! `environment.json`: on what a run was made.

use da2s_records::files::ENVIRONMENT;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::data::Dataset;
use crate::error::Error;
use crate::observer::{Event, Observer};

/// Version, machine, data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of da2s.
    pub version: String,
    /// Commit of da2s, where the build knew it.
    pub git_hash: Option<String>,
    /// Device.
    pub device: String,
    /// Implementation of the cells.
    pub engine: String,
    /// Instruction set of the CPU kernels.
    pub cpu_level: String,
    /// Threads.
    pub threads: usize,
    /// Processes that searched and trained together.
    #[serde(default = "one")]
    pub processes: usize,
    /// Seed.
    pub seed: u64,
    /// Data set.
    pub dataset: String,
    /// SHA-256 of its contents.
    pub dataset_checksum: String,
    /// The command line.
    pub command: String,
    /// When the run began, UTC.
    pub started: String,
}

impl Environment {
    /// The environment of a run that begins now.
    pub(super) fn now(context: &Context<'_>, dataset: &Dataset, engine: &da2s_engine::Engine) -> Self {
        let run = &context.config.run;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_hash: option_env!("DA2S_GIT_HASH").map(str::to_owned),
            device: run.device.clone(),
            engine: engine.name().to_owned(),
            cpu_level: engine.level().to_owned(),
            threads: rayon::current_num_threads(),
            processes: context.group.size(),
            seed: run.seed,
            dataset: dataset.name.clone(),
            dataset_checksum: dataset.checksum.clone(),
            command: context.command.clone(),
            started: chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        }
    }

    /// Writes it, unless the run goes on; `observer` is told if it then goes on with other arithmetic.
    pub(super) fn write(&self, context: &Context<'_>, observer: &mut dyn Observer) -> Result<(), Error> {
        if context.resume
            && let Some(began) = context.directory.find_json::<Self>(ENVIRONMENT)?
        {
            let arithmetic = |one: &Self| format!("{}, {}, {}", one.device, one.engine, one.cpu_level);
            let (then, now) = (arithmetic(&began), arithmetic(self));
            if then != now {
                let text = format!(
                    "this run started on {then} and continues on {now}, which round differently: its results will not \
                     be bit-identical to those of a run that never changed"
                );
                observer.on(Event::Warning(text.into()));
            }
            return Ok(());
        }
        context.directory.write_json(ENVIRONMENT, self)
    }
}

/// What was written before there were groups.
pub(super) const fn one() -> usize {
    1
}
