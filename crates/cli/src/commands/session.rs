//! The context of a command on a run: the run, its progress display, and the flag to stop it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use da2s::Hint;
use da2s::config::{Layer, Pace, Request};
use da2s::network::Trained;
use da2s::observer::{Event, Observer};
use da2s::parallel::Group;
use da2s::run::{self, Discretized, FrontRequest, Int8Options, Quantised, RunDirectory, TrainingPlan};
use da2s::space::{Genotype, NamedNetwork};
use da2s_records::schema::{Front, Summary, Suspects};
use da2s_report::tensorboard::{EventWriter, FOLDER};
use da2s_report::{ReportError, write_report};

use crate::args::{CreateArguments, LiveArguments, SettingArguments, StageArguments, TrainArguments};
use crate::dashboard::screen;
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::StopFlag;
use crate::plan;
use crate::progress::Progress;
use crate::terminal;

/// A run in progress.
#[derive(Debug)]
pub struct Session {
    run: run::Job,
    stop: StopFlag,
    progress: Progress,
}

/// A summary, and the path of the report that was written with it, or the reason why it could not
/// be written.
pub type Reported = (Summary, Result<PathBuf, ReportError>);

/// What a plan of a run starts from.
#[derive(Clone, Copy, Debug)]
pub struct PlanStart<'a> {
    /// The time within which the run must end, if one is given.
    pub time: Option<Duration>,
    /// The genotype that takes the place of the search, if there is one.
    pub given: Option<&'a Genotype>,
    /// When the run began.
    pub began: Instant,
}

/// Refuses a run directory given as a folder of images.
///
/// # Errors
/// A usage error that names the command that continues the run.
pub fn require_images(settings: &SettingArguments) -> Result<(), Failure> {
    match settings.own_images() {
        Some(path) if RunDirectory::read(path).is_ok_and(|directory| directory.config().is_ok()) => {
            let path = path.display();
            Err(Failure::usage(format!(
                "{path} is a run directory, not a folder of images; continue the run with `da2s run --resume --out {path}`"
            )))
        }
        _ => Ok(()),
    }
}

impl Session {
    /// Creates a run, or opens the existing one if `--resume` was given; the leading process of
    /// `group` does so for all. `network` is the network to train instead of running a search.
    ///
    /// # Errors
    /// If the arguments are invalid, a run already exists, or it has other settings.
    pub fn create(arguments: &CreateArguments, network: Option<NamedNetwork>, group: &Group) -> Result<Self, Failure> {
        Self::shared(group, || Self::make(arguments, network, &[], None, group))
    }

    /// Like [`Self::create`], with the settings of `layers`, and plans the run: chooses the
    /// settings that follow from its time, and shows how long its stages will take.
    ///
    /// # Errors
    /// Like [`Self::create`], or if the run cannot end within its time.
    pub fn create_planned(
        arguments: &CreateArguments,
        network: Option<NamedNetwork>,
        layers: &[Layer],
        planned: PlanStart<'_>,
        group: &Group,
    ) -> Result<Self, Failure> {
        if group.size() > 1 && planned.time.is_some() {
            return Err(Failure::OneProcessPlan);
        }
        Self::shared(group, || Self::make(arguments, network, layers, Some(planned), group))
    }

    fn make(
        arguments: &CreateArguments,
        network: Option<NamedNetwork>,
        layers: &[Layer],
        planned: Option<PlanStart<'_>>,
        group: &Group,
    ) -> Result<Self, Failure> {
        if arguments.live.tui {
            // Checked first, so that nothing is created that would have to be removed.
            screen::check()?;
        }
        require_images(&arguments.settings)?;
        // A plan needs the time of a step, which in a group depends on all processes.
        let planned = planned.filter(|_| group.size() == 1);
        let mut request = Request {
            network,
            pace: planned.map(|planned| match planned.time {
                Some(time) => Pace::Seconds(time.as_secs_f64()),
                None => Pace::OfRecipe,
            }),
            ..arguments.settings.request()?
        };
        request.layers.extend_from_slice(layers);
        let run = run::Job::create(&request, arguments.out.as_deref(), arguments.resume, this_command())?;
        let run = run.among(group.clone());
        let begun = Self::new(run.clone(), arguments.quiet).and_then(|mut job| {
            // Opens the images, for which the threads must have been started.
            if let Some(message) = job.run.widen()?.filter(|_| !arguments.quiet) {
                job.progress.on(Event::Warning(message.into()));
            }
            if let Some(name) = arguments
                .settings
                .shadowed_folder()
                .filter(|_| !request.sets("data.dir"))
            {
                let text = format!("{name} means the data set of this name; for the folder here write ./{name}");
                job.progress.on(Event::Warning(text.into()));
            }
            if let Some(planned) = planned {
                job.plan(planned)?;
            }
            job.show(arguments.live)?;
            Ok(job)
        });
        // If no thread can be started or there is no terminal, the new run is removed.
        begun.inspect_err(|_| run.abandon())
    }

    /// Opens a run for one of its stages.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn open(run_dir: &Path, quiet: bool, request: &Request) -> Result<Self, Failure> {
        let run = run::Job::open(run_dir, request, false, this_command())?;
        Self::new(run, quiet)
    }

    /// Opens a run to read its results, even while another process works on it.
    ///
    /// # Errors
    /// If there is no run, or its configuration is invalid.
    pub fn read(arguments: &StageArguments, request: &Request) -> Result<Self, Failure> {
        let run = run::Job::read(&arguments.run, request, this_command())?;
        Self::new(run, arguments.quiet)
    }

    /// Opens a run for its training, in all processes of `group`.
    ///
    /// # Errors
    /// Like [`Self::open`], or if there is no terminal for the dashboard.
    pub fn open_in(arguments: &TrainArguments, group: &Group) -> Result<Self, Failure> {
        Self::shared(group, || {
            let (stage, resume) = (&arguments.stage.stage, arguments.resume);
            let run = run::Job::open(&stage.run, &arguments.request()?, resume, this_command())?;
            let mut job = Self::new(run.among(group.clone()), stage.quiet)?;
            job.show(arguments.live)?;
            Ok(job)
        })
    }

    /// Calls `lead` in the leading process; the others receive the same work, and report nothing.
    fn shared(group: &Group, lead: impl FnOnce() -> Result<Self, Failure>) -> Result<Self, Failure> {
        let mut led = None;
        let assignment = group.from_leader(|| Ok::<_, Failure>(led.insert(lead()?).run.assignment()?))?;
        if let Some(job) = led {
            return Ok(job);
        }
        // The same program sent it, so it is valid.
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

    /// Plans the run, if settings remain to be chosen or the plan is shown.
    fn plan(&mut self, planned: PlanStart<'_>) -> Result<(), Failure> {
        let has_use = self.run.is_to_be_planned() || self.progress.is_shown();
        if !has_use || self.run.is_finished() {
            return Ok(());
        }
        self.progress.prepare("reading the images, and measuring a few steps");
        let plan = self.run.plan(planned.given, planned.began, &mut self.progress)?;
        let lines = match self.run.is_resumed() {
            true => Vec::new(),
            false => plan::lines(&plan, self.path()),
        };
        self.progress.plan(&plan.times, &lines);
        Ok(())
    }

    /// Chooses the number of training epochs for the network that the search has found, if the run
    /// was planned for a time.
    pub fn plan_training(&mut self) -> Result<(), Failure> {
        if let Some(plan) = self.run.plan_training(&mut self.progress)? {
            let TrainingPlan {
                epochs, planned, fits, ..
            } = plan;
            let line = match fits {
                true => format!("train: {epochs} epochs fit into the remaining time; {planned} were planned"),
                false => format!(
                    "train: {epochs} epochs, the fewest that make sense, although they end after the given time; {planned} were planned"
                ),
            };
            let lines = Vec::from_iter((epochs != planned).then_some(line));
            self.progress.plan(&plan.times, &lines);
        }
        Ok(())
    }

    /// Starts the requested dashboard and event files.
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

    /// Whether this process writes and reports.
    pub fn leads(&self) -> bool {
        self.run.group().leads()
    }

    /// The leading process's value of `so`, in every process.
    pub fn as_led(&self, so: bool) -> Result<bool, Failure> {
        Ok(self.run.group().from_leader(|| Ok::<_, Failure>(vec![u8::from(so)]))? == [1])
    }

    /// Searches. A new run that fails before its first checkpoint is removed.
    pub fn search(&mut self) -> Result<(), Failure> {
        self.run.search(&mut self.progress)?;
        self.unless_stopped()
    }

    /// The genotype that replaces a search: the requested one, or the one that a resumed run was
    /// given.
    pub fn given(&self, asked: Option<Genotype>) -> Result<Option<Genotype>, Failure> {
        Ok(self.run.given(asked)?)
    }

    /// Discretizes the result of the search, or uses the given genotype.
    pub fn discretize(&mut self, given: Option<&Genotype>) -> Result<Discretized, Failure> {
        let discretized = self.run.discretize(given, &mut self.progress)?;
        self.unless_stopped()?;
        Ok(discretized)
    }

    /// Like [`Self::discretize`], unless the resumed run already has all its results; returns the
    /// undecided edges in words.
    pub fn discretize_once(&mut self, given: Option<&Genotype>) -> Result<Vec<String>, Failure> {
        let undecided = self.run.discretize_once(given, &mut self.progress)?;
        self.unless_stopped()?;
        Ok(undecided)
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

    /// Quantises the final network.
    pub fn quantise(&mut self, options: Int8Options) -> Result<Quantised, Failure> {
        let quantised = self.run.quantise(options, &mut self.progress)?;
        self.progress.finish();
        Ok(quantised)
    }

    /// Trains the final network with its other seeds, if there are any; returns the summary with
    /// them, and its report.
    pub fn seeds(&mut self) -> Result<Option<Reported>, Failure> {
        let (path, mut report) = (self.path().to_owned(), None);
        let mut updated = |_: &Summary| report = Some(write_report(&path));
        let summary = self.run.seeds(&mut self.progress, &mut updated)?;
        self.progress.finish();
        Ok(summary.zip(report))
    }

    /// Trains the baselines, if there are any; returns the summary with them, and its report.
    pub fn baselines(&mut self) -> Result<Option<Reported>, Failure> {
        let (path, mut report) = (self.path().to_owned(), None);
        let mut updated = |_: &Summary| report = Some(write_report(&path));
        let summary = self.run.baselines(&mut self.progress, &mut updated)?;
        self.progress.finish();
        Ok(summary.zip(report))
    }

    /// Trains the networks of a front that are not trained yet, and times all of them.
    pub fn front(&mut self, request: &FrontRequest) -> Result<Front, Failure> {
        let front = self.run.front(request, &mut self.progress);
        self.progress.finish();
        let mut front = front?;
        self.run.time_front(&mut front)?;
        Ok(front)
    }

    /// Ends the session and closes the dashboard, so that later output is not mixed with it.
    pub fn end(mut self) -> PathBuf {
        // Data that a stage wrote after its last epoch.
        self.progress.update_events();
        self.path().to_owned()
    }

    /// Like [`Self::end`], and prints the path of the run.
    pub fn print_path(self) -> Result<(), Failure> {
        let leads = self.leads();
        let path = self.end();
        if leads { terminal::print_path(&path) } else { Ok(()) }
    }

    /// Imports the weights of a network from a file.
    pub fn import_network(&mut self, genotype: &Genotype, path: &Path) -> Result<(), Failure> {
        Ok(self.run.import_network(genotype, path, &mut self.progress)?)
    }

    /// Imports a super-network from a file.
    pub fn import_supernet(&mut self, path: &Path) -> Result<(), Failure> {
        Ok(self.run.import_supernet(path)?)
    }

    /// The images whose labels the trained network doubts most.
    pub fn suspects(&mut self, most: usize) -> Result<Suspects, Failure> {
        Ok(self.run.suspects(most, &mut self.progress)?)
    }

    /// The trained network.
    pub fn trained(&self) -> Result<Trained, Failure> {
        Ok(self.run.trained()?)
    }

    /// The device of the run.
    pub fn device(&self) -> &str {
        &self.run.config().run.device
    }

    /// If the stage failed, records the reason in the run. Returns the result unchanged.
    pub fn noted<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && failure.code() != Code::Stopped
        {
            self.run.note_failure(&failure.sentence());
            // A run that was removed has no events.
            if RunDirectory::read(self.path()).is_ok() {
                self.progress.update_events();
            }
        }
        result
    }

    /// Whether to continue with the next stage: an error if the user wants to stop.
    pub fn unless_stopped(&mut self) -> Result<(), Failure> {
        self.progress.finish();
        if self.stop.is_raised() {
            Err(Failure::hinted(Code::Stopped, "stopped", &[Hint::Resume]))
        } else {
            Ok(())
        }
    }
}

/// The command line of this process, quoted for a shell.
pub(super) fn this_command() -> String {
    shell_words::join(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}

/// Starts the threads of this process; 0 means one per core.
///
/// The calling thread is one of them and works instead of waiting: handing all work over to other
/// threads made a search on small images 15 to 20 % slower. All other computation in this process
/// must also run on this thread, since no other thread can wake it.
pub(super) fn start_threads(threads: usize) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread();
    let started = pool.build_global();
    started.map_err(|error| {
        let reason = format!("cannot start the threads: {error}; use fewer with --threads");
        Failure::new(Code::Files, reason)
    })
}
