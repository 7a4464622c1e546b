//! `environment.json`: version, machine and data with which a run was created.

use da2s_records::files::ENVIRONMENT;
use da2s_records::schema::Environment;

use super::{Context, Error, train};
use crate::data::Dataset;
use crate::observer::{Event, Observer};

impl Context<'_> {
    /// Writes the file for a new run, and reports notes about the images to `observer`. A resumed
    /// run already has it; `observer` is warned if the run continues with different arithmetic.
    pub(super) fn write_environment(
        &self,
        dataset: &Dataset,
        engine: &da2s_engine::Engine,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let now = self.environment(dataset, engine);
        if self.resume
            && let Some(began) = self.directory.find_json::<Environment>(ENVIRONMENT)?
        {
            let (then, now) = (arithmetic(&began), arithmetic(&now));
            if then != now {
                let text = format!(
                    "this run started on {then} and continues on {now}, which round differently: its results will not \
                     be bit-identical to those of a run that never changed"
                );
                observer.on(Event::Warning(text.into()));
            }
            return Ok(());
        }
        for note in &now.dataset_notes {
            observer.on(Event::Warning(note.clone().into()));
        }
        self.directory.write_json(ENVIRONMENT, &now)
    }

    fn environment(&self, dataset: &Dataset, engine: &da2s_engine::Engine) -> Environment {
        let run = &self.config.run;
        // If the images cannot be divided, the stage that needs the parts reports it.
        let set_aside = train::divided(self, dataset).map_or_else(|_| Vec::new(), |(_, aside)| aside);
        let started = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
        Environment {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            git_hash: option_env!("DA2S_GIT_HASH").map(str::to_owned),
            device: Some(run.device.clone()),
            engine: Some(engine.name().to_owned()),
            cpu_level: Some(engine.level().to_owned()),
            threads: Some(rayon::current_num_threads() as u64),
            processes: Some(self.group.size() as u64),
            seed: Some(run.seed),
            dataset: Some(dataset.name.clone()),
            dataset_checksum: Some(dataset.checksum.clone()),
            dataset_checksum_of: Some(dataset.checksum_of.name().to_owned()),
            dataset_notes: dataset.notes.clone(),
            dataset_images: Some(dataset.images(&set_aside)),
            command: Some(self.command.clone()),
            started: Some(started.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        }
    }
}

/// Everything that affects the rounding of numbers.
fn arithmetic(environment: &Environment) -> String {
    [&environment.device, &environment.engine, &environment.cpu_level]
        .map(|word| word.as_deref().unwrap_or("unknown"))
        .join(", ")
}
