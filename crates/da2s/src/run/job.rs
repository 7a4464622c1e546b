//! A run: created or resumed, taken through its stages, and removed if it fails before its first
//! checkpoint.
//!
//! Contract: a run is resumed only with settings that give the same result; a new run that fails
//! before its first checkpoint is removed. Both the command line and the Python package use this
//! module.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use da2s_records::files::{CONFIG, ENVIRONMENT, EXPORT, FAILURE, GENOTYPE, SEARCH, SEARCH_CHECKPOINT, previous};
use da2s_records::schema::{Summary, Suspects};
use serde::{Deserialize, Serialize};

use super::difference::difference;
use super::discretize::{known_undecided, network_size, stored_within_limits};
use super::plan::Planning;
use super::width::widest_within;
use super::{
    Context, Discretized, Error, Int8Options, Opened, Quantised, RunDirectory, SearchSummary, TrainSummary, discretize,
    evaluate, given_genotype, import_network, import_supernet, quantise, search, suspects, trained,
};
use crate::config::{Config, Pace, Request};
use crate::data::Arrays;
use crate::export::{self, ExportFormat, ExportOptions, export};
use crate::hint::Hint;
use crate::network::{Trained, limits};
use crate::observer::{Observer, Warning};
use crate::parallel::Group;
use crate::search::Rate;
use crate::space::{Genotype, NamedNetwork};

/// Advice for a run whose settings differ from the requested ones.
pub const OTHER_SETTINGS: [Hint; 2] = [Hint::OwnSettings, Hint::OtherDirectory];

/// A run in progress.
///
/// ```no_run
/// use da2s::config::Request;
/// use da2s::observer::Silent;
/// use da2s::run::Job;
///
/// # fn main() -> Result<(), da2s::Error> {
/// let mut job = Job::create(&Request::default(), None, false, "my program".to_owned())?;
/// job.search(&mut Silent)?;
/// let found = job.discretize(None, &mut Silent)?;
/// job.train(&mut Silent)?;
/// let summary = job.evaluate(&mut Silent)?;
/// println!("{} in {}", found.genotype, job.directory().path().display());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Job {
    directory: RunDirectory,
    pub(super) config: Config,
    resume: bool,
    /// Whether this job created the run, so that it may be removed if it fails early.
    fresh: bool,
    /// What a plan chooses for a new run; `None` if there is nothing to choose.
    pub(super) planning: Option<Planning>,
    command: String,
    arrays: Option<Arc<Arrays>>,
    opened: Opened,
    group: Group,
    /// Differences from the request or the recipe, one sentence each.
    notes: Vec<String>,
    /// A network whose width is still to be determined from the limits of the target.
    widened: Option<NamedNetwork>,
    /// Whether it is a run below another one, on the same images.
    is_below: bool,
}

/// The work that the leading process assigns to the others.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    path: PathBuf,
    config: Config,
    resume: bool,
}

impl Job {
    /// Creates a run in `out`, or with `resume` opens the existing one; in an empty directory
    /// `resume` also creates a run. The default of `out` is `runs/DATASET-METHOD-sSEED`, or
    /// `runs/DATASET-NETWORK-sSEED` if a network was requested. `command` is recorded in
    /// `environment.json`. If the request has a pace, [`Job::plan`] must follow: it writes the
    /// settings.
    ///
    /// # Errors
    /// If the request is invalid, a run already exists, or it has other settings; with `resume`, if
    /// the directory does not exist.
    pub fn create(request: &Request, out: Option<&Path>, resume: bool, command: String) -> Result<Self, Error> {
        let holds_run = |path: &Path| resume && path.join(CONFIG).symlink_metadata().is_ok();
        // The request of a resumed run is applied to the run's own configuration.
        let (path, asked, notes) = match out.filter(|path| holds_run(path)) {
            Some(path) => (path.to_owned(), over(&RunDirectory::read(path)?, request)?, Vec::new()),
            None => {
                let (asked, notes) = request.resolve_with_notes()?;
                let path = out.map_or_else(|| default_path(&asked, request.network), Path::to_owned);
                (path, asked, notes)
            }
        };
        if holds_run(&path) {
            let directory = RunDirectory::open(&path)?;
            let (was, mut config) = (directory.config()?, request.resolve_over(directory.config_layer()?)?);
            if let Some(problem) = difference(&was, &config) {
                return Err(Error::Mismatch {
                    path: directory.file(CONFIG),
                    problem,
                    hints: &OTHER_SETTINGS,
                });
            }
            // For "auto", keeps the number that was computed when the search began.
            for (asked, came_to) in [
                (&mut config.search.alpha_rate, was.search.alpha_rate),
                (&mut config.search.beta_rate, was.search.beta_rate),
            ] {
                if matches!(asked, Rate::Auto(_)) {
                    *asked = came_to;
                }
            }
            directory.remove(FAILURE)?;
            let mut job = Self::new(directory, config, true, command);
            if let Some(Pace::Seconds(_)) = request.pace {
                let note = "a time applies only to a new run: this one resumes with the settings in its config.toml";
                job.notes.push(note.to_owned());
            }
            job.widened = job.to_widen(request);
            return Ok(job);
        }
        if resume && !path.exists() {
            return Err(Error::NothingToResume { path });
        }
        let directory = RunDirectory::create(&path)?;
        let mut job = Self::new(directory, anchored(asked), false, command);
        job.fresh = true;
        job.notes = notes;
        job.widened = job.to_widen(request);
        job.planning = Planning::of(request, &job.config);
        // While settings are still to be chosen, there is no run to resume.
        if job.planning.is_none() {
            let written = job.directory.write_config(&job.config);
            job.or_unmake(written)?;
        }
        Ok(job)
    }

    /// Opens the run in `path` for one of its stages.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn open(path: &Path, request: &Request, resume: bool, command: String) -> Result<Self, Error> {
        Self::of(RunDirectory::open(path)?, request, resume, command)
    }

    /// Opens the run in `path` to read its results, even while another process works on it.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn read(path: &Path, request: &Request, command: String) -> Result<Self, Error> {
        Self::of(RunDirectory::read(path)?, request, false, command)
    }

    fn of(directory: RunDirectory, request: &Request, resume: bool, command: String) -> Result<Self, Error> {
        let config = over(&directory, request)?;
        Ok(Self::new(directory, config, resume, command))
    }

    fn new(directory: RunDirectory, config: Config, resume: bool, command: String) -> Self {
        Self {
            directory,
            config,
            resume,
            fresh: false,
            planning: None,
            command,
            arrays: None,
            opened: Opened::default(),
            group: Group::alone(),
            notes: Vec::new(),
            widened: None,
            is_below: false,
        }
    }

    /// The requested network, if its width follows from the limits of the target and it is not the
    /// run's genotype yet.
    fn to_widen(&self, request: &Request) -> Option<NamedNetwork> {
        let follows = !limits(&self.config.target).is_empty() && !request.sets("network.channels");
        request
            .network
            .filter(|_| follows && !self.directory.has_file(GENOTYPE))
    }

    /// Gives a requested network the largest width within the limits of the target, if there are
    /// any and no width was requested, and records it in the run's configuration. Returns a message
    /// for the user. Contract: called in the leading process, before the first stage.
    ///
    /// # Errors
    /// [`Error::OverLimit`] if even the narrowest network is above a limit; or if the images cannot
    /// be read. A new run is removed.
    pub fn widen(&mut self) -> Result<Option<String>, Error> {
        let Some(network) = self.widened.take() else {
            return Ok(None);
        };
        let channels = self.or_unmake(self.widest(network))?;
        self.config.network.shape.channels = channels;
        if !self.is_to_be_planned() {
            self.or_unmake(self.directory.write_config(&self.config))?;
        }
        let name = network.name();
        Ok(Some(format!(
            "network.channels is {channels}: the widest {name} within the limits of the target"
        )))
    }

    fn widest(&self, network: NamedNetwork) -> Result<usize, Error> {
        let context = self.context();
        let genotype = network
            .genotype()
            .map_err(|error| Error::Genotype { path: None, error })?;
        let size = network_size(&context, &context.dataset()?);
        let target = &self.config.target;
        widest_within(&limits(target), target.precision, &genotype, size)
    }

    /// Describes this job for the other processes of a group, see [`Self::assigned`].
    ///
    /// # Errors
    /// If the path of the directory is not Unicode.
    pub fn assignment(&self) -> Result<Vec<u8>, Error> {
        let assignment = Assignment {
            path: self.directory.path().to_owned(),
            config: self.config.clone(),
            resume: self.resume,
        };
        serde_json::to_vec(&assignment).map_err(|error| Error::io("send the name of", &assignment.path, error.into()))
    }

    /// The same job in another process of `group`, from the leading process's [`Self::assignment`];
    /// `None` if that is invalid.
    pub fn assigned(assignment: &[u8], command: String, group: Group) -> Option<Self> {
        let Assignment { path, config, resume } = serde_json::from_slice(assignment).ok()?;
        Some(Self::new(RunDirectory::elsewhere(&path), config, resume, command).among(group))
    }

    /// The same run, searched and trained by all processes of `group` together.
    #[must_use]
    pub fn among(self, group: Group) -> Self {
        Self { group, ..self }
    }

    /// The processes that search and train together.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The same run on images that the calling program has in memory.
    #[must_use]
    pub fn on(self, arrays: Option<Arc<Arrays>>) -> Self {
        Self {
            arrays,
            opened: Opened::default(),
            ..self
        }
    }

    /// The run directory.
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    /// Messages to show before the run begins: settings that differ from its recipe, a time that a
    /// resumed run ignores, and a directory that cannot be locked.
    pub fn warnings(&self) -> Vec<Warning> {
        let path = self.directory.path().display();
        let unguarded =
            || format!("the file system of {path} has no locks: nothing keeps a second process out of this run").into();
        let lock = (self.group.leads() && self.directory.is_unguarded()).then(unguarded);
        self.notes.iter().cloned().map(Warning::from).chain(lock).collect()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the run continues an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.resume
    }

    /// The command line.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// The run of `config` in `path`, created or resumed, on the same images and in the same
    /// processes as this one.
    pub(super) fn beside(&self, path: &Path, config: Config) -> Result<Self, Error> {
        let (directory, resume) = match RunDirectory::open(path) {
            Err(Error::NotARun { .. }) => (RunDirectory::create(path)?, false),
            directory => (directory?, true),
        };
        if !resume {
            directory.write_config(&config)?;
        }
        let run = Self {
            is_below: true,
            ..Self::new(directory, config, resume, self.command.clone())
        };
        Ok(run.on_images_of(self).among(self.group.clone()))
    }

    /// The same run on the images of `other`.
    pub(super) fn on_images_of(self, other: &Self) -> Self {
        Self {
            arrays: other.arrays.clone(),
            opened: other.opened.clone(),
            ..self
        }
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            directory: &self.directory,
            config: &self.config,
            resume: self.resume,
            command: self.command.clone(),
            arrays: self.arrays.as_deref(),
            opened: self.opened.clone(),
            group: self.group.clone(),
            is_below: self.is_below,
        }
    }

    /// Searches.
    ///
    /// # Errors
    /// Those of [`search`].
    pub fn search(&self, observer: &mut dyn Observer) -> Result<SearchSummary, Error> {
        self.or_unmake(search(&self.context(), observer))
    }

    /// The genotype that replaces a search: the requested one, or the one that a resumed run was
    /// given.
    ///
    /// # Errors
    /// If a resumed run was given another genotype, or its file cannot be read.
    pub fn given(&self, asked: Option<Genotype>) -> Result<Option<Genotype>, Error> {
        if self.resume && self.group.leads() {
            given_genotype(&self.directory, asked)
        } else {
            Ok(asked)
        }
    }

    /// Discretizes the search, or uses the given genotype.
    ///
    /// # Errors
    /// Those of [`discretize`].
    pub fn discretize(&self, given: Option<&Genotype>, observer: &mut dyn Observer) -> Result<Discretized, Error> {
        let discretized = self.or_unmake(discretize(&self.context(), given, observer))?;
        self.got_over()?;
        Ok(discretized)
    }

    /// Discretizes, unless the run is resumed and has all results of that stage. Returns the
    /// undecided edges in words.
    ///
    /// # Errors
    /// Those of [`discretize`].
    pub fn discretize_once(&self, given: Option<&Genotype>, observer: &mut dyn Observer) -> Result<Vec<String>, Error> {
        if self.resume
            && given.is_none()
            && let Some(undecided) = known_undecided(&self.context())
        {
            return Ok(undecided);
        }
        Ok(self.discretize(given, observer)?.decision.texts())
    }

    /// Trains the final network, unless it is larger than the target allows.
    ///
    /// # Errors
    /// [`Error::OverLimit`], and those of [`train`](super::train).
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<TrainSummary, Error> {
        if self.group.leads() {
            stored_within_limits(&self.directory, &self.config.target)?;
        }
        let trained = self.train_as_planned(observer)?;
        self.got_over()?;
        Ok(trained)
    }

    /// Evaluates the final network.
    ///
    /// # Errors
    /// Those of [`evaluate`].
    pub fn evaluate(&self, observer: &mut dyn Observer) -> Result<Summary, Error> {
        let summary = evaluate(&self.context(), observer)?;
        self.got_over()?;
        Ok(summary)
    }

    /// The images whose labels the trained network doubts most.
    ///
    /// # Errors
    /// Those of [`suspects`].
    pub fn suspects(&self, most: usize, observer: &mut dyn Observer) -> Result<Suspects, Error> {
        suspects(&self.context(), most, observer)
    }

    /// Imports the weights of a network from a file.
    ///
    /// # Errors
    /// Those of [`import_network`].
    pub fn import_network(&self, genotype: &Genotype, path: &Path, observer: &mut dyn Observer) -> Result<(), Error> {
        self.or_unmake(import_network(&self.context(), genotype, path, observer))
    }

    /// Imports a super-network from a file.
    ///
    /// # Errors
    /// Those of [`import_supernet`].
    pub fn import_supernet(&self, path: &Path) -> Result<(), Error> {
        self.or_unmake(import_supernet(&self.context(), path))
    }

    /// Refuses images other than those with which the run began, as every stage does.
    ///
    /// # Errors
    /// [`Error::Mismatch`]; or if the images cannot be read.
    pub fn check_images(&self) -> Result<(), Error> {
        self.context().dataset().map(drop)
    }

    /// The trained network.
    ///
    /// # Errors
    /// Those of [`trained`].
    pub fn trained(&self) -> Result<Trained, Error> {
        trained(&self.context())
    }

    /// Writes the trained network for another tool to `out`, by default into the run, and returns
    /// the path.
    ///
    /// # Errors
    /// Those of [`trained`] and of [`export()`].
    pub fn export(&self, format: ExportFormat, options: ExportOptions, out: Option<&Path>) -> Result<PathBuf, Error> {
        let trained = self.trained()?;
        if let Some(out) = out {
            export(&trained, format, options, out)?;
            return Ok(out.to_owned());
        }
        let place = format!("{EXPORT}/{}", format.default_name());
        for (name, bytes) in export::files(&trained, format, options)? {
            let file = match name {
                "" => place.clone(),
                name if format.is_folder() => format!("{place}/{name}"),
                name => format!("{EXPORT}/{name}"),
            };
            self.directory.publish(&file, &bytes)?;
        }
        Ok(self.directory.file(&place))
    }

    /// Quantises the trained network to int8.
    ///
    /// # Errors
    /// Those of [`quantise`].
    pub fn quantise(&self, options: Int8Options, observer: &mut dyn Observer) -> Result<Quantised, Error> {
        quantise(&self.context(), options, observer)
    }

    /// Records the reason in a run that failed.
    pub fn note_failure(&self, reason: &str) {
        if self.group.leads() && self.directory.has_file(CONFIG) {
            // The first error is the relevant one.
            let _ = self.directory.write(FAILURE, format!("{reason}\n").as_bytes());
        }
    }

    /// After a completed stage: removes the record of an earlier failure.
    fn got_over(&self) -> Result<(), Error> {
        if self.group.leads() {
            self.directory.remove(FAILURE)?;
        }
        Ok(())
    }

    /// Removes the files of a new run that fails before its first checkpoint.
    pub fn abandon(&self) {
        let begun = [SEARCH_CHECKPOINT, &previous(SEARCH_CHECKPOINT), GENOTYPE]
            .iter()
            .any(|name| self.directory.has_file(name));
        if self.fresh && !begun {
            self.directory.clone().unmake(&[SEARCH, ENVIRONMENT]);
        }
    }

    fn or_unmake<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|_| self.abandon())
    }
}

/// Makes the paths of the image folder and of the table of latencies absolute, so that a stage
/// started from another directory finds them.
pub fn anchored(mut config: Config) -> Config {
    for path in [&mut config.data.dir, &mut config.target.latency_table] {
        // If the current directory is unknown, the path stays as given.
        *path = path.take().map(|given| std::path::absolute(&given).unwrap_or(given));
    }
    config
}

/// The request applied to the settings of the run in `directory`. These must be valid by
/// themselves; otherwise the run is damaged.
fn over(directory: &RunDirectory, request: &Request) -> Result<Config, Error> {
    directory.config()?;
    Ok(request.resolve_over(directory.config_layer()?)?)
}

/// `runs/DATASET-METHOD-sSEED`, or `runs/DATASET-NETWORK-sSEED` without a search.
fn default_path(config: &Config, network: Option<NamedNetwork>) -> PathBuf {
    let (dataset, seed) = (config.data.dataset.name(), config.run.seed);
    let what = network.map_or(config.search.method.name(), NamedNetwork::name);
    Path::new("runs").join(format!("{dataset}-{what}-s{seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Method;

    #[test]
    fn the_directory_is_named_after_the_run() {
        let mut config = Config::default();
        (config.run.seed, config.search.method) = (3, Method::Darts);
        assert_eq!(default_path(&config, None), Path::new("runs/digits-darts-s3"));
        let network = NamedNetwork::from_name("resnet8");
        assert_eq!(default_path(&config, network), Path::new("runs/digits-resnet8-s3"));
    }
}
