//! What a command works on: a run, who is told of it, and who may stop it.

use std::path::{Path, PathBuf};

use da2s::Hint;
use da2s::config::Request;
use da2s::network::Trained;
use da2s::observer::{Event, Observer};
use da2s::parallel::Group;
use da2s::run::{self, Discretized, RunDirectory};
use da2s::space::Genotype;
use da2s_records::schema::Summary;
use da2s_report::tensorboard::{EventWriter, FOLDER};

use crate::args::{CreateArguments, LiveArguments, StageArguments, TrainArguments};
use crate::dashboard::screen;
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::terminal;

/// A run that is being worked on.
#[derive(Debug)]
pub struct Session {
    run: run::Job,
    stop: StopFlag,
    progress: Progress,
}

impl Session {
    /// Creates a run, or opens the existing one if `--resume` was given; the leading process of
    /// `group` does so for all.
    ///
    /// # Errors
    /// If the arguments are invalid, a run already exists, or it has other settings.
    pub fn create(arguments: &CreateArguments, group: &Group) -> Result<Self, Failure> {
        Self::shared(group, || Self::make(arguments, group))
    }

    fn make(arguments: &CreateArguments, group: &Group) -> Result<Self, Failure> {
        if arguments.live.tui {
            // Before anything is made that would have to be unmade.
            screen::check()?;
        }
        if let Some(path) = arguments.settings.own_images()
            && RunDirectory::read(path).is_ok_and(|directory| directory.config().is_ok())
        {
            let path = path.display();
            return Err(Failure::usage(format!(
                "{path} is a run directory, not a folder of images; continue the run with `da2s run --resume --out {path}`"
            )));
        }
        let request = arguments.settings.request()?;
        let run = run::Job::create(&request, arguments.out.as_deref(), arguments.resume, this_command())?;
        let run = run.among(group.clone());
        let begun = Self::new(run.clone(), arguments.quiet).and_then(|mut job| {
            job.show(arguments.live)?;
            Ok(job)
        });
        // A run that no thread or no terminal could be had for is none.
        begun.inspect_err(|_| run.abandon())
    }

    /// Takes up a run for one of its stages.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn open(arguments: &StageArguments, request: &Request) -> Result<Self, Failure> {
        let run = run::Job::open(&arguments.run, request, false, this_command())?;
        Self::new(run, arguments.quiet)
    }

    /// Takes up a run to read what it came to, whoever works on it.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn read(arguments: &StageArguments) -> Result<Self, Failure> {
        let run = run::Job::read(&arguments.run, &arguments.request()?, this_command())?;
        Self::new(run, arguments.quiet)
    }

    /// Takes up a run for its training, in all processes of `group`.
    ///
    /// # Errors
    /// As [`Self::open`], or if there is no terminal for the dashboard.
    pub fn open_in(arguments: &TrainArguments, group: &Group) -> Result<Self, Failure> {
        Self::shared(group, || {
            let (stage, resume) = (&arguments.stage.stage, arguments.resume);
            let run = run::Job::open(&stage.run, &arguments.request()?, resume, this_command())?;
            let mut job = Self::new(run.among(group.clone()), stage.quiet)?;
            job.show(arguments.live)?;
            Ok(job)
        })
    }

    /// What `lead` makes in the process that leads, and in the others the same work, of which they
    /// tell nothing.
    fn shared(group: &Group, lead: impl FnOnce() -> Result<Self, Failure>) -> Result<Self, Failure> {
        let mut led = None;
        let assignment = group.from_leader(|| Ok::<_, Failure>(led.insert(lead()?).run.assignment()?))?;
        if let Some(job) = led {
            return Ok(job);
        }
        // It comes from the same program.
        let run = run::Job::assigned(&assignment, this_command(), group.clone()).ok_or_else(Failure::internal)?;
        Self::new(run, true)
    }

    fn new(run: run::Job, quiet: bool) -> Result<Self, Failure> {
        start_threads(run.config().run.threads)?;
        let (stop, mut progress) = if run.group().leads() {
            let stop = StopFlag::on_interrupt();
            (stop.clone(), Progress::new(quiet, stop))
        } else {
            let stop = StopFlag::on_interrupt_silent();
            (stop.clone(), Progress::silent(stop))
        };
        for warning in run.warnings() {
            progress.on(Event::Warning(warning));
        }
        Ok(Self { run, stop, progress })
    }

    /// Shows and writes along what was asked for.
    ///
    /// # Errors
    /// If there is no terminal for the dashboard.
    pub fn show(&mut self, live: LiveArguments) -> Result<(), Failure> {
        if live.tensorboard {
            let folder = self.run.directory().file(FOLDER);
            self.progress.write_events(EventWriter::new(self.path(), &folder));
        }
        if live.tui {
            let path = self.path().to_owned();
            self.progress.show_dashboard(&path)?;
        }
        Ok(())
    }

    /// The run directory.
    pub fn path(&self) -> &Path {
        self.run.directory().path()
    }

    /// Whether this process writes and tells.
    pub fn leads(&self) -> bool {
        self.run.group().leads()
    }

    /// What is so in the process that leads.
    pub fn as_led(&self, so: bool) -> Result<bool, Failure> {
        Ok(self.run.group().from_leader(|| Ok::<_, Failure>(vec![u8::from(so)]))? == [1])
    }

    /// Searches. A new run that fails before there is anything to go on from leaves nothing behind.
    pub fn search(&mut self) -> Result<(), Failure> {
        self.run.search(&mut self.progress)?;
        self.unless_stopped()
    }

    /// The genotype that takes the place of a search: what is asked for, or what the run that goes
    /// on was given.
    pub fn given(&self, asked: Option<Genotype>) -> Result<Option<Genotype>, Failure> {
        Ok(self.run.given(asked)?)
    }

    /// Discretizes the search, or takes the genotype that is given.
    pub fn discretize(&mut self, given: Option<&Genotype>) -> Result<Discretized, Failure> {
        let discretized = self.run.discretize(given, &mut self.progress)?;
        self.unless_stopped()?;
        Ok(discretized)
    }

    /// Trains the final network.
    pub fn train(&mut self) -> Result<(), Failure> {
        self.run.train(&mut self.progress)?;
        self.unless_stopped()
    }

    /// Evaluates the final network.
    pub fn evaluate(&mut self) -> Result<Summary, Failure> {
        let summary = self.run.evaluate(&mut self.progress)?;
        self.progress.finish();
        self.progress.update_events();
        Ok(summary)
    }

    /// Ends the work, and with it the dashboard, so that what is printed next stands alone.
    pub fn end(mut self) -> PathBuf {
        // What a stage left behind its last epoch.
        self.progress.update_events();
        self.path().to_owned()
    }

    /// As [`Self::end`], and prints where the run is.
    pub fn print_path(self) -> Result<(), Failure> {
        let leads = self.leads();
        let path = self.end();
        if leads { terminal::print_path(&path) } else { Ok(()) }
    }

    /// Takes the weights of a network from a file.
    pub fn import_network(&mut self, genotype: &Genotype, path: &Path) -> Result<(), Failure> {
        Ok(self.run.import_network(genotype, path, &mut self.progress)?)
    }

    /// Takes a super-network from a file.
    pub fn import_supernet(&mut self, path: &Path) -> Result<(), Failure> {
        Ok(self.run.import_supernet(path)?)
    }

    /// The trained network.
    pub fn trained(&self) -> Result<Trained, Failure> {
        Ok(self.run.trained()?)
    }

    /// The device that the run is on.
    pub fn device(&self) -> &str {
        &self.run.config().run.device
    }

    /// Leaves the reason in a run that failed, for those who come later, and passes it on.
    pub fn noted<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && failure.code() != Code::Stopped
        {
            self.run.note_failure(&failure.sentence());
            // A run that came to nothing was unmade, and has no events.
            if RunDirectory::read(self.path()).is_ok() {
                self.progress.update_events();
            }
        }
        result
    }

    /// Whether to go on with the next stage.
    /// An error if the user wants to stop.
    pub fn unless_stopped(&mut self) -> Result<(), Failure> {
        self.progress.finish();
        if self.stop.is_raised() {
            Err(Failure::hinted(Code::Stopped, "stopped", &[Hint::Resume]))
        } else {
            Ok(())
        }
    }
}

/// The command line of this process, as it can be pasted.
pub(super) fn this_command() -> String {
    shell_words::join(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}

/// Starts the threads of this process, 0 for one a core.
///
/// The caller's is one of them, which works instead of waiting for the others: handing every pass
/// over to them cost a search of small images 15 to 20 %. Whoever else computes in this process
/// must do so on this thread, since nothing else wakes it.
pub(super) fn start_threads(threads: usize) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread();
    let started = pool.build_global();
    started.map_err(|error| {
        let reason = format!("cannot start the threads: {error}; ask for fewer with --threads");
        Failure::new(Code::Files, reason)
    })
}
