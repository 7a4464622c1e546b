//! Runs below a run: further networks that are trained on its images, by its recipe.
//!
//! Contract: each is a run in a folder of its own below the run's, and is resumed like one. A
//! finished one whose settings and genotype still fit is not trained again; one that does not fit
//! is removed.

use std::path::Path;

use da2s_records::files::{EVALUATION, SUMMARY};
use da2s_records::schema::{Evaluation, Summary};

use super::difference::difference;
use super::{Error, Job, RunDirectory, genotype_file};
use crate::config::Config;
use crate::evaluate::EvaluateError;
use crate::observer::{Event, Observer, Warning};
use crate::space::Genotype;
use crate::stage::Stage;

/// A network that is trained in a run below another one.
#[derive(Clone, Debug)]
pub(super) struct Below {
    /// Its folder, relative to the directory of the other run.
    pub(super) folder: String,
    /// Its settings.
    pub(super) config: Config,
    /// Its genotype.
    pub(super) genotype: Genotype,
}

/// What a finished run below another one has reached.
#[derive(Debug)]
pub(super) struct Results {
    /// Its settings.
    pub(super) config: Config,
    /// Its summary.
    pub(super) summary: Summary,
    /// Its evaluation.
    pub(super) evaluation: Evaluation,
}

impl Results {
    /// The results of the run in `directory`; `None` if it is not finished.
    fn of(directory: &RunDirectory) -> Result<Option<Self>, Error> {
        let Some(summary) = directory.find_json(SUMMARY)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            config: directory.config()?,
            summary,
            evaluation: directory.read_json(EVALUATION, Stage::Evaluate)?,
        }))
    }

    /// The results of the run in `folder` below `directory`; `None` if it is not finished. One that
    /// cannot be read is reported and left out: it does not affect the run above it.
    ///
    /// # Errors
    /// If a link or a file is in the place of the folder.
    pub(super) fn below(
        directory: &RunDirectory,
        folder: &str,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>, Error> {
        directory.expect_folder(folder)?;
        let stored = stored(&directory.file(folder));
        let results = stored.and_then(|stored| stored.as_ref().map_or(Ok(None), Self::of));
        Ok(results.unwrap_or_else(|error| {
            observer.on(Event::Warning(format!("{folder} is left out: {error}").into()));
            None
        }))
    }
}

impl Job {
    /// Trains the networks below this run, one after another: `lead` returns the network for each
    /// item of `which`. After each, `update` writes the summary of this run, which is passed to
    /// `updated`. Returns the last summary in the leading process; `None` in the others, and if
    /// there is nothing in `which`.
    ///
    /// # Errors
    /// Those of [`Self::train_below`] and `update`.
    pub(super) fn train_all_below<T: Copy>(
        &self,
        which: &[T],
        lead: impl Fn(T, &mut dyn Observer) -> Result<Option<Below>, Error>,
        update: impl Fn() -> Result<Summary, Error>,
        updated: &mut dyn FnMut(&Summary),
        observer: &mut dyn Observer,
    ) -> Result<Option<Summary>, Error> {
        if self.group().leads() {
            self.record_beside()?;
        }
        let mut summary = None;
        for (at, &one) in which.iter().enumerate() {
            let is_new = self.train_below(|observer| lead(one, observer), observer)?;
            if self.group().leads() && (is_new || at + 1 == which.len()) {
                updated(summary.insert(update()?));
            }
        }
        Ok(summary)
    }

    /// Trains and evaluates a network below this run, in all processes of a group. In the leading
    /// process, `lead` returns the network, or `None` if there is nothing to do. Returns whether a
    /// network was trained.
    ///
    /// # Errors
    /// Those of `lead`, [`Job::train`] and [`Job::evaluate`]; [`EvaluateError::Stopped`] if the
    /// observer requests a stop.
    pub(super) fn train_below(
        &self,
        lead: impl FnOnce(&mut dyn Observer) -> Result<Option<Below>, Error>,
        observer: &mut dyn Observer,
    ) -> Result<bool, Error> {
        let mut led = None;
        let assignment = self.group().from_leader(|| {
            let Some(below) = lead(observer)? else {
                return Ok(Vec::new());
            };
            self.directory().expect_folder(&below.folder)?;
            let job = self.beside(&self.directory().file(&below.folder), below.config)?;
            let assignment = job.assignment()?;
            led = Some((job, below.genotype));
            Ok::<_, Error>(assignment)
        })?;
        let (mut job, genotype) = match led {
            Some((job, genotype)) => (job, Some(genotype)),
            None => match Self::assigned(&assignment, self.command().to_owned(), self.group().clone()) {
                Some(job) => (job.on_images_of(self), None),
                None => return Ok(false),
            },
        };
        let name = job.directory().path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let observer: &mut dyn Observer = &mut OfBelow { observer, name };
        let unless_stopped = |observer: &mut dyn Observer| match observer.stop() {
            true => Err(Error::from(EvaluateError::Stopped)),
            false => Ok(()),
        };
        if let Some(genotype) = &genotype {
            job.discretize(Some(genotype), observer)?;
        }
        unless_stopped(observer)?;
        job.train(observer)?;
        unless_stopped(observer)?;
        if job.group().leads() {
            job.evaluate(observer)?;
        }
        unless_stopped(observer)?;
        Ok(true)
    }

    /// Writes a changed request for networks below this run into its configuration.
    ///
    /// # Errors
    /// If the configuration cannot be read or written.
    pub(super) fn record_beside(&self) -> Result<(), Error> {
        let mut stored = self.directory().config()?;
        if stored.network.beside == self.config().network.beside {
            return Ok(());
        }
        stored.network.beside = self.config().network.beside.clone();
        self.directory().write_config(&stored)
    }

    /// Whether the run of `below` is finished and its results can be read. One that does not fit is
    /// removed.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn has_trained(&self, below: &Below) -> Result<bool, Error> {
        self.directory().expect_folder(&below.folder)?;
        let Some(stored) = stored(&self.directory().file(&below.folder))? else {
            return Ok(false);
        };
        let same_settings = stored
            .config()
            .is_ok_and(|stored| difference(&stored, &below.config).is_none());
        let own = genotype_file::stored(&stored);
        let same_genotype = own.is_ok_and(|own| own.is_none_or(|own| own.genotype == below.genotype));
        if same_settings && same_genotype {
            return Ok(Results::of(&stored).is_ok_and(|results| results.is_some()));
        }
        self.directory().remove(&below.folder)?;
        Ok(false)
    }
}

/// Passes on the events of a network below a run, with its name in the warnings.
struct OfBelow<'a> {
    observer: &'a mut dyn Observer,
    name: String,
}

impl Observer for OfBelow<'_> {
    fn on(&mut self, event: Event<'_>) {
        self.observer.on(match event {
            Event::Warning(Warning { text, hints }) => Event::Warning(Warning {
                text: format!("{}: {text}", self.name),
                hints,
            }),
            other => other,
        });
    }

    fn stop(&self) -> bool {
        self.observer.stop()
    }

    fn checkpoint(&self) -> bool {
        self.observer.checkpoint()
    }
}

/// The run in `path`, if there is one.
///
/// # Errors
/// If its directory cannot be read.
pub(super) fn stored(path: &Path) -> Result<Option<RunDirectory>, Error> {
    match RunDirectory::read(path) {
        Err(Error::NotARun { .. }) => Ok(None),
        directory => directory.map(Some),
    }
}
