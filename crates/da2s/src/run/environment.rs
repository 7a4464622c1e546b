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
            started: utc(std::time::SystemTime::now()),
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

/// `2026-11-25T01:02:03Z`. Civil date from days by Howard Hinnant, "chrono-compatible low-level date algorithms".
fn utc(time: std::time::SystemTime) -> String {
    let seconds = time
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::utc;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn dates_are_right() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
