//! The runs of a comparison as child processes: several at a time, each a separate `da2s` with a
//! log, stopped together with this process.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use da2s::config::Config;
use da2s_records::Folder;
use da2s_records::files::MOST_LINES_BYTES;

use super::planned::{Given, Planned};
use crate::hints::with_hints;
use crate::interrupt::StopFlag;
use crate::lifeline;

/// How often to check whether a process has ended.
const POLL: Duration = Duration::from_millis(50);
/// The setting for the measurement of the trained network's latency.
pub const LATENCY: &str = "run.measure_latency";
/// Exit code of a run that was asked to stop.
const STOPPED: i32 = 130;

/// Starts the processes.
#[derive(Debug)]
pub struct Children<'a> {
    /// Directory of the comparison.
    pub folder: &'a Folder,
    /// File with the settings that all runs share.
    pub settings: &'a Path,
    /// The content of that file.
    pub shared: &'a Config,
    /// Whether to search and discretize only.
    pub search_only: bool,
    /// Threads of each process.
    pub threads: usize,
    /// Number of processes at a time, at most the number of runs.
    pub jobs: usize,
    /// Whether runs may time their networks. They may if no two runs are in progress at a time.
    pub measures_latency: bool,
    /// Raised to stop all processes.
    pub stop: &'a StopFlag,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Successfully.
    Finished,
    /// It was stopped, or was not started because of a stop.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl Children<'_> {
    /// Executes `runs`, and calls `ended` with the index of each run when it ends.
    pub fn run(&self, runs: &[&Planned], ended: impl Fn(usize, &Ended) + Sync) -> Vec<Ended> {
        let next = Mutex::new(0..runs.len());
        let results = Mutex::new(runs.iter().map(|_| Ended::Stopped).collect::<Vec<_>>());
        let worker = || {
            loop {
                // A thread that panicked while holding the lock left a valid counter.
                let Some(at) = next.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next() else {
                    return;
                };
                if self.stop.is_raised() {
                    return;
                }
                let result = self.one(runs[at]);
                ended(at, &result);
                results.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[at] = result;
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(worker);
            }
        });
        results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Executes the stages of one run. Its log is kept if the run fails or logs a warning.
    fn one(&self, run: &Planned) -> Ended {
        let log = log(run);
        let unstarted = |error: &dyn std::error::Error| Ended::Failed(format!("it cannot be started: {error}"));
        // One log for all stages: each appends to it.
        let output = match self.folder.create(&log) {
            Ok(output) => output,
            Err(error) => return unstarted(&error),
        };
        let prepared = if let Some(Given::Baseline { searched, .. }) = &run.given {
            self.baseline(run, searched)
        } else {
            let config = run.config(self.shared).map_err(|error| error.to_string());
            let genotype = config.and_then(|config| run.genotype(&config));
            genotype.map(|genotype| (self.settings.to_owned(), genotype))
        };
        let (settings, genotype) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return Ended::Failed(reason),
        };
        let verbs: &[Verb] = if self.search_only {
            &[Verb::Search, Verb::Discretize]
        } else {
            &[Verb::Run]
        };
        for verb in verbs {
            let status = match self.process(*verb, run, (&settings, genotype.as_deref()), &output) {
                Ok(status) => status,
                Err(error) => return unstarted(&error),
            };
            match status.code() {
                Some(0) => {}
                Some(STOPPED) => return Ended::Stopped,
                Some(_) | None => return Ended::Failed(reason(self.folder, &log, status)),
            }
            if self.stop.is_raised() {
                return Ended::Stopped;
            }
        }
        if output.metadata().is_ok_and(|log| log.len() == 0) {
            // A log that cannot be removed does no harm.
            let _ = self.folder.remove(&log);
        }
        Ended::Finished
    }

    /// Settings file and genotype of a baseline, which follow from the run `searched`.
    fn baseline(&self, run: &Planned, searched: &str) -> Result<(PathBuf, Option<String>), String> {
        let out = self.folder.file("");
        let config = run
            .baseline(&out, self.shared)
            .map_err(|error| with_hints(&error.to_string(), &error.hints()))?;
        let config = config.ok_or_else(|| format!("its width follows from {searched}, which is not finished"))?;
        let text = config.to_toml().map_err(|error| error.to_string())?;
        let file = format!("{}.toml", run.name);
        let written = self.folder.write(&file, text.as_bytes());
        written.map_err(|error| error.to_string())?;
        Ok((self.folder.file(&file), run.genotype(&config)?))
    }

    fn process(
        &self,
        verb: Verb,
        run: &Planned,
        (settings, genotype): (&Path, Option<&str>),
        log: &File,
    ) -> io::Result<ExitStatus> {
        let mut command = Command::new(std::env::current_exe()?);
        let directory = self.folder.file(&run.name);
        match verb {
            Verb::Run => create(command.arg("run"), run, (settings, genotype), &directory),
            Verb::Search => create(command.arg("search"), run, (settings, None), &directory),
            Verb::Discretize => command.arg("discretize").arg(&directory),
        };
        if matches!(verb, Verb::Run) && !self.measures_latency {
            // Other runs at the same time would distort the latency.
            command.args(["--set", &format!("{LATENCY}=false")]);
        }
        command
            .args(["--quiet", "--threads", &self.threads.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone()?);
        // A separate process group: Ctrl-C reaches the child through this process, and only once,
        // since a second signal would abort it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // If this process is killed, it cannot stop its children.
        lifeline::tie(&mut command);
        let mut child = command.spawn()?;
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.stop.is_raised() && !told {
                told = true;
                interrupt(&mut child)?;
            }
            thread::sleep(POLL);
        }
    }
}

/// The arguments that create or resume `run`.
fn create<'a>(
    command: &'a mut Command,
    run: &Planned,
    (settings, genotype): (&Path, Option<&str>),
    directory: &Path,
) -> &'a mut Command {
    command
        .args(["--config".as_ref(), settings.as_os_str()])
        .args(["--seed", &run.seed.to_string()]);
    match genotype {
        Some(text) => command.args(["--genotype", text]),
        None => command.args(["--method", &run.setup.method]),
    };
    for assignment in run.assignments() {
        command.args(["--set", &assignment]);
    }
    if directory.exists() {
        command.arg("--resume");
    }
    command.args(["--out".as_ref(), directory.as_os_str()])
}

/// The command of a child process.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Run,
    Search,
    Discretize,
}

/// Asks a process to stop after the current step. Its id is still valid, because it has not been
/// waited for yet.
#[cfg(unix)]
fn interrupt(child: &mut Child) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let Ok(id) = i32::try_from(child.id()) else {
        return child.kill();
    };
    match kill(Pid::from_raw(id), Signal::SIGINT) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// On other systems Ctrl-C reaches every process of the console directly.
#[cfg(not(unix))]
fn interrupt(_: &mut Child) -> io::Result<()> {
    Ok(())
}

/// Name of the log file of the processes of `run`.
pub fn log(run: &Planned) -> String {
    format!("{}.log", run.name)
}

/// The last message of a process, or how it ended.
fn reason(folder: &Folder, log: &str, status: ExitStatus) -> String {
    let said = folder.read(log, MOST_LINES_BYTES).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&said);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => line.strip_prefix("da2s: ").unwrap_or(line).to_owned(),
        None => format!("its process ended with {status}"),
    }
}

/// Number of threads for each of `jobs` processes; `asked` is the number for a single process, 0
/// for one per core.
pub fn threads_each(asked: usize, jobs: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    match (asked, jobs) {
        (0, 1) => 0,
        (0, jobs) => (cores / jobs).max(1),
        (asked, _) => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_share_the_cores() {
        assert_eq!((threads_each(0, 1), threads_each(3, 4)), (0, 3));
        assert_eq!(threads_each(0, usize::MAX), 1);
    }
}
