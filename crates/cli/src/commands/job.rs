//! What the verbs work on: a run directory, its configuration, who is told, and who may stop it.

use std::path::{Path, PathBuf};

use da2s::Error;
use da2s::config::Config;
use da2s::discretize::Genotype;
use da2s::network::Trained;
use da2s::observer::{Event, Observer};
use da2s::parallel::Group;
use da2s::run::{self, Context, Discretized, RunDirectory, Summary};
use da2s_report::run::FAILURE_FILE;
use da2s_report::tensorboard::{EventWriter, FOLDER};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::args::{CreateArguments, LiveArguments, StageArguments};
use crate::dashboard::screen;
use crate::exit::{Code, Failure};
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Name of the file that makes a directory a run's.
const CONFIG: &str = "config.toml";
/// What a search leaves from its first epoch on.
const CHECKPOINT: &str = "search/checkpoint.safetensors";
/// What a genotype that is given leaves at once.
const GENOTYPE: &str = "genotype.json";
/// Settings that a run may change on its way: where it computes, where its images are, and what it does when it diverges.
/// Another engine or device rounds differently, so the same bits are promised only while those stay.
const MAY_CHANGE: [&str; 5] = ["run.threads", "run.device", "run.engine", "run.on_nan", "data.dir"];

/// A run that is being worked on.
#[derive(Debug)]
pub struct Job {
    directory: RunDirectory,
    config: Config,
    resume: bool,
    /// Whether this command made the run, so that it may be unmade if it comes to nothing.
    fresh: bool,
    group: Group,
    stop: StopFlag,
    progress: Progress,
}

/// What the process that leads has the others work on.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    path: PathBuf,
    config: Config,
    resume: bool,
}

impl Job {
    /// Makes a run, or takes up the one that is there if `--resume` was given; the process of `group` that leads does so for all.
    ///
    /// # Errors
    /// If the arguments cannot be, there is a run already, or it was made with other settings.
    pub fn create(arguments: &CreateArguments, group: &Group) -> Result<Self, Failure> {
        Self::shared(group, || Self::make(arguments, group))
    }

    fn make(arguments: &CreateArguments, group: &Group) -> Result<Self, Failure> {
        if arguments.live.tui {
            // Before anything is made that would have to be unmade.
            screen::check()?;
        }
        let holds_run = |path: &Path| arguments.resume && path.join(CONFIG).is_file();
        // A run that goes on needs only what its own configuration does not say.
        let (path, asked) = match arguments.out.clone().filter(|path| holds_run(path)) {
            Some(path) => {
                let asked = arguments.settings.resolve_over(&path.join(CONFIG))?;
                (path, asked)
            }
            None => {
                let asked = arguments.settings.resolve()?;
                (arguments.out.clone().unwrap_or_else(|| default_path(&asked)), asked)
            }
        };
        let stored = path.join(CONFIG);
        let resume = holds_run(&path);
        let (directory, config) = if resume {
            let directory = RunDirectory::open(&path)?;
            directory.remove(FAILURE_FILE)?;
            let config = arguments.settings.resolve_over(&stored)?;
            if let Some(problem) = difference(&directory.config()?, &config) {
                return Err(Error::Mismatch { path: stored, problem }.into());
            }
            (directory, config)
        } else {
            (RunDirectory::create(&path)?, anchored(asked))
        };
        let mut job = Self::new(directory, config, resume, arguments.quiet, group)?;
        if !resume {
            job.fresh = true;
            let written = job.directory.write_config(&job.config);
            job.or_unmake(written)?;
        }
        job.show(arguments.live)?;
        Ok(job)
    }

    /// Takes up a run for one of its stages.
    ///
    /// # Errors
    /// If there is none, or its configuration cannot be.
    pub fn open(arguments: &StageArguments, resume: bool) -> Result<Self, Failure> {
        Self::of(RunDirectory::open(&arguments.run)?, arguments, resume, &Group::alone())
    }

    /// Takes up a run to read what it came to, whoever works on it.
    ///
    /// # Errors
    /// If there is none, or its configuration cannot be.
    pub fn read(arguments: &StageArguments) -> Result<Self, Failure> {
        Self::of(RunDirectory::read(&arguments.run)?, arguments, false, &Group::alone())
    }

    /// As [`Self::open`], in all processes of `group`; shows and writes along what `live` asks for.
    ///
    /// # Errors
    /// As [`Self::open`], or if there is no terminal for the dashboard.
    pub fn open_in(
        arguments: &StageArguments,
        resume: bool,
        live: LiveArguments,
        group: &Group,
    ) -> Result<Self, Failure> {
        Self::shared(group, || {
            let mut job = Self::of(RunDirectory::open(&arguments.run)?, arguments, resume, group)?;
            job.show(live)?;
            Ok(job)
        })
    }

    fn of(directory: RunDirectory, arguments: &StageArguments, resume: bool, group: &Group) -> Result<Self, Failure> {
        let config = arguments.resolve_over(&directory.path().join(CONFIG))?;
        Self::new(directory, config, resume, arguments.quiet, group)
    }

    /// What `lead` makes in the process that leads, and in the others the same work, of which they tell nothing.
    fn shared(group: &Group, lead: impl FnOnce() -> Result<Self, Failure>) -> Result<Self, Failure> {
        let mut led = None;
        let assignment = group.from_leader(|| {
            let job = led.insert(lead()?);
            job.assignment()
        })?;
        if let Some(job) = led {
            return Ok(job);
        }
        // It comes from the same program.
        let Assignment { path, config, resume } = serde_json::from_slice(&assignment).map_err(|_| Failure::Internal)?;
        Self::new(RunDirectory::elsewhere(&path), config, resume, true, group)
    }

    fn assignment(&self) -> Result<Vec<u8>, Failure> {
        let assignment = Assignment {
            path: self.path().to_owned(),
            config: self.config.clone(),
            resume: self.resume,
        };
        serde_json::to_vec(&assignment).map_err(|_| Failure::Internal)
    }

    fn new(directory: RunDirectory, config: Config, resume: bool, quiet: bool, group: &Group) -> Result<Self, Failure> {
        start_threads(config.run.threads)?;
        let stop = if group.leads() {
            StopFlag::on_interrupt()
        } else {
            StopFlag::on_interrupt_silent()
        };
        let progress = Progress::new(quiet, stop.clone());
        Ok(Self {
            directory,
            config,
            resume,
            fresh: false,
            group: group.clone(),
            stop,
            progress,
        })
    }

    /// Shows and writes along what was asked for.
    ///
    /// # Errors
    /// If there is no terminal for the dashboard.
    pub fn show(&mut self, live: LiveArguments) -> Result<(), Failure> {
        if !self.directory.is_locked() {
            let path = self.path().display();
            let warning =
                format!("the file system of {path} has no locks: nothing keeps a second process out of this run");
            self.progress.on(Event::Warning(warning));
        }
        if live.tensorboard {
            let folder = self.directory.file(FOLDER);
            self.progress.write_events(EventWriter::new(self.path(), &folder));
        }
        if live.tui {
            let path = self.directory.path().to_owned();
            self.progress.show_dashboard(&path)?;
        }
        Ok(())
    }

    /// The run directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whether this process writes and tells.
    pub fn leads(&self) -> bool {
        self.group.leads()
    }

    /// What is so in the process that leads.
    pub fn as_led(&self, so: bool) -> Result<bool, Failure> {
        Ok(self.group.from_leader(|| Ok::<_, Failure>(vec![u8::from(so)]))? == [1])
    }

    /// Searches. A new run that fails before there is anything to go on from leaves nothing behind.
    pub fn search(&mut self) -> Result<(), Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        let searched = run::search(&context, &mut self.progress).map(drop);
        self.or_unmake(searched)?;
        self.unless_stopped()
    }

    /// The genotype that takes the place of a search: what is asked for, or what the run that goes on was given.
    pub fn given(&self, asked: Option<Genotype>) -> Result<Option<Genotype>, Failure> {
        if !self.resume || !self.leads() {
            return Ok(asked);
        }
        Ok(run::given_genotype(&self.directory, asked)?)
    }

    /// Discretizes the search, or takes the genotype that is given.
    pub fn discretize(&mut self, given: Option<&Genotype>) -> Result<Discretized, Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        let discretized = run::discretize(&context, given, &mut self.progress);
        let discretized = self.or_unmake(discretized)?;
        self.unless_stopped()?;
        Ok(discretized)
    }

    /// Trains the final network.
    pub fn train(&mut self) -> Result<(), Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        run::train(&context, &mut self.progress)?;
        self.unless_stopped()
    }

    /// Evaluates the final network.
    pub fn evaluate(&mut self) -> Result<Summary, Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        let summary = run::evaluate(&context, &mut self.progress)?;
        self.progress.finish();
        self.progress.update_events();
        Ok(summary)
    }

    /// Ends the work, and with it the dashboard, so that what is printed next stands alone.
    pub fn end(mut self) -> PathBuf {
        // What a stage left behind its last epoch.
        self.progress.update_events();
        self.directory.path().to_owned()
    }

    /// As [`Self::end`], and prints where the run is.
    pub fn print_path(self) -> Result<(), Failure> {
        let leads = self.leads();
        let path = self.end();
        if leads {
            super::print(&format!("{}\n", path.display()))
        } else {
            Ok(())
        }
    }

    /// Takes the weights of a network from a file.
    pub fn import_network(&mut self, genotype: &Genotype, path: &Path) -> Result<(), Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        let imported = run::import_network(&context, genotype, path, &mut self.progress);
        self.or_unmake(imported)
    }

    /// Takes a super-network from a file.
    pub fn import_supernet(&mut self, path: &Path) -> Result<(), Failure> {
        let context = context(&self.directory, &self.config, self.resume, &self.group);
        self.or_unmake(run::import_supernet(&context, path))
    }

    /// The trained network.
    pub fn trained(&self) -> Result<Trained, Failure> {
        Ok(run::trained(&context(
            &self.directory,
            &self.config,
            false,
            &self.group,
        ))?)
    }

    /// The device that the run is on.
    pub fn device(&self) -> &str {
        &self.config.run.device
    }

    /// Leaves the reason in a run that failed, for those who come later, and passes it on.
    pub fn noted<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && failure.code() != Code::Stopped
            && self.leads()
            && self.directory.file(CONFIG).is_file()
        {
            let reason = format!("{}\n", failure.sentence());
            // The first error is the one that matters.
            let _ = self.directory.write(FAILURE_FILE, reason.as_bytes());
            self.progress.update_events();
        }
        result
    }

    /// Whether to go on with the next stage.
    /// An error if the user wants to stop.
    pub fn unless_stopped(&mut self) -> Result<(), Failure> {
        self.progress.finish();
        if self.stop.is_raised() {
            Err(Failure::Stopped)
        } else {
            Ok(())
        }
    }

    /// Removes what a new run wrote, if it failed without leaving anything to go on from.
    fn or_unmake<T>(&self, result: Result<T, Error>) -> Result<T, Failure> {
        result.map_err(|error| {
            let begun = [CHECKPOINT, GENOTYPE]
                .iter()
                .any(|name| self.path().join(name).exists());
            if self.fresh && !begun {
                self.directory.clone().unmake(&["search", "environment.json"]);
            }
            error.into()
        })
    }
}

/// What a stage of the library works on.
pub(super) fn context<'a>(directory: &'a RunDirectory, config: &'a Config, resume: bool, group: &Group) -> Context<'a> {
    Context {
        group: group.clone(),
        directory,
        config,
        resume,
        command: command_line(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
    }
}

/// The folder of images in full, so that a stage that is run from elsewhere finds it.
pub(super) fn anchored(mut config: Config) -> Config {
    if let Some(folder) = config.data.dir.take() {
        // Where the present folder is unknown, the path stays as it was given.
        config.data.dir = Some(std::path::absolute(&folder).unwrap_or(folder));
    }
    config
}

/// `runs/DATASET-METHOD-sSEED`.
fn default_path(config: &Config) -> PathBuf {
    let (dataset, method, seed) = (config.data.dataset.name(), config.search.method.name(), config.run.seed);
    Path::new("runs").join(format!("{dataset}-{method}-s{seed}"))
}

/// The words of a command line, in quotes where they need some.
fn command_line(words: impl Iterator<Item = String>) -> String {
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_=./:,+@%".contains(c));
    let quoted = |word: String| {
        if plain(&word) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Starts the threads of this process, 0 for one a core.
pub(super) fn start_threads(threads: usize) -> Result<(), Failure> {
    let started = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    started.map_err(|error| Failure::Threads(error.to_string()))
}

/// In words, a setting that differs and must not.
pub(super) fn difference(stored: &Config, asked: &Config) -> Option<String> {
    // Both were read from TOML, so both can be written as such.
    let (stored, asked) = (Table::try_from(stored).ok()?, Table::try_from(asked).ok()?);
    first_difference(&stored, &asked, "")
}

fn first_difference(stored: &Table, asked: &Table, prefix: &str) -> Option<String> {
    let names = stored
        .keys()
        .chain(asked.keys().filter(|name| !stored.contains_key(*name)));
    names.into_iter().find_map(|name| {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let (old, new) = (stored.get(name), asked.get(name));
        match (old, new) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => first_difference(old, new, &key),
            _ if old == new || MAY_CHANGE.contains(&key.as_str()) => None,
            // The run holds the number that "auto" came to.
            (Some(Value::Float(_)), Some(Value::String(word))) if word == "auto" => None,
            _ => {
                let say = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
                let (old, new) = (say(old), say(new));
                Some(format!(
                    "it has {key} = {old}, but {new} was asked for; go on without, or choose another --out"
                ))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::config::Layer;

    fn config(assignments: &[&str]) -> Config {
        let layers: Vec<Layer> = assignments
            .iter()
            .map(|text| Layer::assignment("--set", text).unwrap())
            .collect();
        da2s::config::resolve(&layers).unwrap()
    }

    #[test]
    fn only_what_changes_the_result_is_a_difference() {
        let stored = config(&["search.alpha_rate=0.02"]);
        assert_eq!(difference(&stored, &stored), None);
        let elsewhere = config(&[
            "search.alpha_rate=auto",
            "run.threads=1",
            "run.engine=plain",
            "data.dir=x",
        ]);
        assert_eq!(difference(&stored, &elsewhere), None);
        let other = difference(&stored, &config(&["search.alpha_rate=0.02", "search.epochs=9"])).unwrap();
        assert!(
            other.starts_with("it has search.epochs = 30, but 9 was asked for"),
            "{other}"
        );
        let limited = difference(&config(&[]), &config(&["data.limit=9"])).unwrap();
        assert!(limited.starts_with("it has data.limit = absent, but 9"), "{limited}");
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let words = ["da2s", "run", "--edges", "1,2", "--out", "my run", "it's"].map(str::to_owned);
        assert_eq!(
            command_line(words.into_iter()),
            r"da2s run --edges 1,2 --out 'my run' 'it'\''s'"
        );
    }

    #[test]
    fn the_directory_is_named_after_the_run() {
        let config = config(&["run.seed=3", "search.method=darts"]);
        assert_eq!(default_path(&config), Path::new("runs/digits-darts-s3"));
    }
}
