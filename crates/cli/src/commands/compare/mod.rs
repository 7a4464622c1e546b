//! `da2s compare`: compares methods on the same data, settings and seeds.
//!
//! Each run is a separate process with its own directory, and these directories are the only state.
//! A run is complete when its last file exists, so the same command resumes a comparison.
//! `compare.toml` contains the plan, and `settings.toml` the settings shared by all runs.

mod children;
mod plan;
mod planned;
mod vary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use da2s::config::{Config, ConfigError, Layer, resolve_stored};
use da2s::planner::span;
use da2s::run::{OTHER_SETTINGS, RunDirectory, anchored, difference};
use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Benchmark;
use da2s::{Error, Hint};
use da2s_records::files::MOST_WHOLE_BYTES;
use da2s_records::{Folder, Lock, files, sentence};
use da2s_report::comparison::{ComparedRun, Comparison, Measure, RunOutcome};
use da2s_report::run::Digest;

use crate::args::CompareArguments;
use crate::commands::session;
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::StopFlag;
use crate::table;
use crate::terminal;
use children::{Children, Ended, LATENCY, threads_each};
use plan::{Asked, Plan};
use planned::{Given, Planned};

/// The plan.
const PLAN: &str = "compare.toml";
/// The settings shared by all runs: a configuration for `--config`.
const SETTINGS: &str = "settings.toml";

/// Executes the missing runs, then writes and prints the tables.
///
/// # Errors
/// Any failure; a failed run is only reported after all runs have ended.
pub fn execute(arguments: &CompareArguments) -> Result<(), Failure> {
    let benchmark = arguments.benchmark.as_deref().map(Benchmark::read).transpose()?;
    let comparing = Comparing::open(arguments)?;
    let stop = StopFlag::on_interrupt();
    let ended = comparing.run_missing(arguments, &stop);
    let comparison = comparing.compare(&ended, benchmark.as_ref());
    let page = da2s_report::write_comparison(&comparing.out, &comparison)?;
    terminal::print(&table::of_comparison(&comparison, &page))?;
    if stop.is_raised() {
        let out = comparing.out.display();
        let reason = format!("stopped; the same command with --out {out} continues");
        return Err(Failure::new(Code::Stopped, reason));
    }
    match comparison.failed() {
        0 => Ok(()),
        failed => Err(Failure::new(
            Code::Runs,
            format!(
                "{failed} of {} runs failed: the reasons are in the table, the logs in {}; the same command tries them again",
                comparison.runs.len(),
                comparing.out.display()
            ),
        )),
    }
}

/// Runs in parallel slow each other down, so their networks are not timed. It is an error if the
/// user asked for it with a flag or `--vary`. A configuration file does not count: it may list
/// every setting, even those that the user never chose.
fn check_latency(arguments: &CompareArguments, shared: &Config, plan: &Plan, runs: &[Planned]) -> Result<(), Failure> {
    let by_flag = arguments.settings.request()?.sets_by_flag(LATENCY) && shared.run.measure_latency;
    let varied = runs.iter().any(|run| run.varied(LATENCY) == Some("true"));
    let is_beside = usize::from(arguments.jobs).min(runs.len()) > 1;
    if is_beside && !plan.search_only && (by_flag || varied) {
        let reason = "run.measure_latency=true: runs in parallel would slow each other down; use --jobs 1";
        return Err(Failure::usage(reason));
    }
    Ok(())
}

/// A comparison and its directory.
struct Comparing {
    out: PathBuf,
    folder: Folder,
    plan: Plan,
    runs: Vec<Planned>,
    shared: Config,
    baseline: String,
    /// Keeps other processes out while the comparison is open.
    _lock: Lock,
}

impl Comparing {
    /// Creates the directory, or opens the existing one. Nothing is written before the whole
    /// request has been checked.
    fn open(arguments: &CompareArguments) -> Result<Self, Failure> {
        if arguments.settings.names_method() {
            return Err(Failure::usage("--method: use --methods"));
        }
        session::require_images(&arguments.settings)?;
        let out = place(arguments)?;
        let stored = out.join(PLAN).symlink_metadata().is_ok();
        let (shared, plan) = if stored {
            existing(arguments, &Folder::open(&out)?)?
        } else {
            let mut shared = arguments.shared()?;
            let plan = arguments.plan(&mut shared, None).map_err(Failure::usage)?;
            (shared, plan)
        };
        let shared = anchored(shared);
        let runs = plan.runs();
        if runs.is_empty() {
            return Err(Failure::usage(format!(
                "no run is left: {}",
                plan.left_out().join("; ")
            )));
        }
        for run in &runs {
            run.check(&out, &shared)?;
        }
        check_latency(arguments, &shared, &plan, &runs)?;
        if !arguments.quiet {
            plan.left_out().iter().for_each(|text| terminal::tell(text));
        }
        let baseline = baseline(&plan, &runs)?;
        let unwritable = |error: toml::ser::Error| Failure::usage(error.to_string());
        let plan_text = toml::to_string(&plan).map_err(unwritable)?;
        if !stored {
            // Like a run, a comparison starts in an empty directory.
            drop(RunDirectory::create(&out)?);
        }
        let folder = Folder::open(&out)?;
        let lock = Lock::take(&folder)?;
        folder.sweep("");
        folder.write(SETTINGS, shared.to_toml()?.as_bytes())?;
        folder.write(PLAN, plan_text.as_bytes())?;
        Ok(Self {
            out,
            folder,
            plan,
            runs,
            shared,
            baseline,
            _lock: lock,
        })
    }

    /// Executes the missing runs, at most `--jobs` at a time; returns how each of them ended.
    fn run_missing(&self, arguments: &CompareArguments, stop: &StopFlag) -> BTreeMap<&str, Ended> {
        let is_missing = |run: &&Planned| !self.is_done(&self.out.join(&run.name));
        let missing: Vec<&Planned> = self.runs.iter().filter(is_missing).collect();
        let jobs = usize::from(arguments.jobs);
        let settings = self.out.join(SETTINGS);
        let children = |count: usize| Children {
            folder: &self.folder,
            settings: &settings,
            shared: &self.shared,
            search_only: self.plan.search_only,
            threads: threads_each(self.shared.run.threads, jobs.min(count).max(1)),
            jobs: jobs.min(count),
            measures_latency: jobs.min(self.runs.len()) == 1,
            stop,
        };
        let (done, count, began) = (self.runs.len() - missing.len(), missing.len(), Instant::now());
        let (ended_runs, finished_runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // The width of a baseline follows from the network of another run.
        let is_baseline = |run: &&Planned| matches!(run.given, Some(Given::Baseline { .. }));
        let (baselines, others): (Vec<&Planned>, Vec<&Planned>) = missing.into_iter().partition(is_baseline);
        let most_at_once = jobs.min(others.len().max(baselines.len()));
        let say = |text: String| {
            if !arguments.quiet {
                terminal::tell(&text);
            }
        };
        if done > 0 {
            say(format!("{done} of {} runs are done already", self.runs.len()));
        }
        if count > 1 {
            say(format!("{count} runs, {most_at_once} at a time"));
        }
        let said = |run: &Planned, ended: &Ended| {
            let so_far = ended_runs.fetch_add(1, Ordering::Relaxed) + 1;
            let name = &run.name;
            let warned = matches!(ended, Ended::Finished) && self.folder.has_file(&children::log(run));
            if warned && arguments.quiet {
                // `--quiet` only suppresses progress.
                terminal::tell(&format!("{name}: its warnings are in {name}.log"));
            }
            say(match ended {
                Ended::Finished if warned => format!("{name}: {}; its warnings are in {name}.log", self.results(run)),
                Ended::Finished => format!("{name}: {}", self.results(run)),
                Ended::Stopped => format!("{name}: stopped"),
                Ended::Failed(reason) => format!("{name}: failed: {reason}"),
            });
            let finished = match ended {
                Ended::Finished => finished_runs.fetch_add(1, Ordering::Relaxed) + 1,
                Ended::Stopped | Ended::Failed(_) => finished_runs.load(Ordering::Relaxed),
            };
            if so_far < count && finished > 0 && !stop.is_raised() {
                // Runs in progress are half done on average.
                let busy = (most_at_once - 1).min(count - so_far) as f64 / 2.0;
                let rate = (finished as f64 + busy) / began.elapsed().as_secs_f64();
                let left_s = ((count - so_far) as f64 - busy) / rate;
                say(format!("{so_far} of {count} runs, about {} left", span(left_s)));
            }
        };
        let mut all = BTreeMap::new();
        for runs in [others, baselines] {
            let ended = children(runs.len()).run(&runs, |at, ended| said(runs[at], ended));
            all.extend(runs.iter().map(|run| run.name.as_str()).zip(ended));
        }
        all
    }

    /// Whether the last file of a run exists: a refused, failed or stopped run has not written it.
    fn is_done(&self, path: &Path) -> bool {
        path.join(files::last(self.plan.search_only)).is_file()
    }

    /// The results of a run, for its line.
    fn results(&self, run: &Planned) -> String {
        let Ok(Some(digest)) = Digest::read(&self.out.join(&run.name)) else {
            return "finished".to_owned();
        };
        let value = |name: &str, key: &str, unit: &str| Some(format!("{name} {:.2}{unit}", digest.values.get(key)?));
        let parts = [
            value("gap", "gap", " points"),
            value("retrained", "network_accuracy", " %"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn compare(&self, ended: &BTreeMap<&str, Ended>, benchmark: Option<&Benchmark>) -> Comparison {
        let entry = |run: &Planned| ComparedRun {
            setup: run.setup.clone(),
            seed: run.seed,
            directory: run.name.clone(),
            outcome: self.outcome(run, ended.get(run.name.as_str()), benchmark),
        };
        let name = self
            .out
            .file_name()
            .unwrap_or(self.out.as_os_str())
            .to_string_lossy()
            .into_owned();
        Comparison::new(
            name,
            self.shared.data.dataset.name().to_owned(),
            self.baseline.clone(),
            self.runs.iter().map(entry).collect(),
            benchmark.map_or(&[], Benchmark::columns),
        )
    }

    /// The results of a run, from its directory.
    fn outcome(&self, run: &Planned, ended: Option<&Ended>, benchmark: Option<&Benchmark>) -> RunOutcome {
        if let Some(Ended::Failed(reason)) = ended {
            return RunOutcome::Failed(reason.clone());
        }
        let outcome = RunOutcome::read(&self.out.join(&run.name), files::last(self.plan.search_only));
        match (outcome, benchmark) {
            (RunOutcome::Finished { genotype, mut values }, Some(benchmark)) => {
                match looked_up(benchmark, genotype.as_deref()) {
                    Ok(found) => values.extend(found),
                    Err(reason) => return RunOutcome::Failed(reason),
                }
                RunOutcome::Finished { genotype, values }
            }
            (outcome, _) => outcome,
        }
    }
}

impl Planned {
    /// Refuses an invalid run, and an existing run with other settings.
    fn check(&self, out: &Path, shared: &Config) -> Result<(), Failure> {
        let asked = if matches!(self.given, Some(Given::Baseline { .. })) {
            // A baseline that has not begun has no settings to check.
            let Ok(Some(config)) = self.baseline(out, shared) else {
                return Ok(());
            };
            config
        } else {
            let asked = self.config(shared).map_err(|error| match error {
                // The problem may be with a setting that only this setup has.
                ConfigError::Setting { .. } => Failure::usage(format!("{}: {}", self.setup.label(), sentence(&error))),
                other => other.into(),
            })?;
            self.genotype(&asked).map_err(Failure::usage)?;
            let trainings = asked.network.beside.trainings();
            if trainings > 1 {
                return Err(Failure::usage(format!(
                    "{}: network.seeds is {trainings}, but a comparison trains each network once: leave it out, and set the number of searches with --seeds",
                    self.setup.label()
                )));
            }
            asked
        };
        let path = out.join(&self.name);
        match RunDirectory::read(&path) {
            Ok(directory) => match difference(&directory.config()?, &asked) {
                Some(problem) => Err(Error::Mismatch {
                    path,
                    problem,
                    hints: &OTHER_SETTINGS,
                }
                .into()),
                None => Ok(()),
            },
            Err(_) => Ok(()),
        }
    }
}

/// The directory of the comparison.
fn place(arguments: &CompareArguments) -> Result<PathBuf, Failure> {
    match &arguments.out {
        Some(out) => Ok(out.clone()),
        None => {
            let dataset = arguments.shared()?.data.dataset;
            Ok(Path::new("runs").join(format!("compare-{}", dataset.name())))
        }
    }
}

/// Settings and plan of the comparison in `out`, extended by the arguments.
fn existing(arguments: &CompareArguments, folder: &Folder) -> Result<(Config, Plan), Failure> {
    let path = folder.file(SETTINGS);
    let text = text(folder, SETTINGS)?;
    // The stored file is checked alone first: if it is invalid, the comparison is damaged, and the
    // arguments are not to blame.
    let layer = Layer::stored(&path, &text).map_err(Error::DamagedConfig)?;
    let stored = resolve_stored(slice::from_ref(&layer)).map_err(Error::DamagedConfig)?;
    let mut shared = arguments.settings.resolve_over(layer)?;
    if let Some(problem) = difference(&stored, &shared) {
        return Err(other_comparison(&path, &problem, &OTHER_SETTINGS));
    }
    let plan = arguments.plan(&mut shared, Some(&read_plan(folder)?));
    let plan = plan.map_err(|problem| other_comparison(&folder.file(PLAN), &problem, &[Hint::OtherDirectory]))?;
    Ok((shared, plan))
}

/// The error for an existing comparison that differs from the requested one, according to the file
/// `path`.
fn other_comparison(path: &Path, problem: &str, hints: &[Hint]) -> Failure {
    let reason = format!("{} belongs to another comparison: {problem}", path.display());
    Failure::hinted(Code::RunDirectory, reason, hints)
}

/// The method that the others are tested against.
fn baseline(plan: &Plan, runs: &[Planned]) -> Result<String, Failure> {
    let methods: Vec<&String> = plan.methods.iter().collect();
    let runs_of = |method: &&String| {
        runs.iter()
            .any(|run| run.given.is_none() && run.setup.method == **method)
    };
    let Some(asked) = &plan.baseline else {
        let first = methods.iter().find(|method| runs_of(method)).or(methods.first());
        return Ok(first.map_or_else(String::new, |method| (*method).clone()));
    };
    if !methods.contains(&asked) {
        let expected = plan.methods.join(", ");
        return Err(Failure::usage(format!(
            "--baseline {asked}: expected one of {expected}"
        )));
    }
    if !runs_of(&asked) {
        return Err(Failure::usage(format!(
            "--baseline {asked}: all runs of this method are left out"
        )));
    }
    Ok(asked.clone())
}

/// Accuracy and rank in every column of the table.
fn looked_up(benchmark: &Benchmark, genotype: Option<&str>) -> Result<Vec<(String, f64)>, String> {
    let genotype = genotype.ok_or("it has no genotype to look up")?;
    let arch: Arch201 = genotype
        .parse()
        .map_err(|error| format!("its genotype cannot be looked up, it is not one of NAS-Bench-201: {error}"))?;
    let standings = benchmark.look_up(arch).map_err(|error| error.to_string())?;
    let values = standings.into_iter().flat_map(|standing| {
        [
            (Measure::benchmark_key(&standing.column), standing.accuracy),
            (Measure::rank_key(&standing.column), standing.rank as f64),
        ]
    });
    Ok(values.collect())
}

/// Reads a text file of the comparison.
fn text(folder: &Folder, name: &str) -> Result<String, Failure> {
    let damaged = |problem: &str| Error::Damaged {
        path: folder.file(name),
        problem: problem.to_owned(),
    };
    let bytes = folder
        .read(name, MOST_WHOLE_BYTES)?
        .ok_or_else(|| damaged("it is missing"))?;
    Ok(String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8 text"))?)
}

fn read_plan(folder: &Folder) -> Result<Plan, Failure> {
    toml::from_str(&text(folder, PLAN)?).map_err(|error| {
        Error::Damaged {
            path: folder.file(PLAN),
            problem: error.to_string().trim().replace('\n', " "),
        }
        .into()
    })
}

impl CompareArguments {
    /// The settings that all runs share, with the first method as `search.method`: together they
    /// must be valid.
    fn shared(&self) -> Result<Config, ConfigError> {
        let mut request = self.settings.request()?;
        if let Some(method) = self.methods.first() {
            let method = method.as_str().into();
            request.layers.push(Layer::flag("--methods", "search.method", method)?);
        }
        request.resolve()
    }

    /// `--vary`, and the settings varied by `--drives` and `--rules`.
    fn varied(&self) -> Vec<String> {
        let axes = [("search.drive", &self.drives), ("discretize.rule", &self.rules)];
        let asked = axes.into_iter().filter(|(_, values)| !values.is_empty());
        let own = asked.map(|(key, values)| format!("{key}={}", values.join(",")));
        own.chain(self.vary.iter().cloned()).collect()
    }

    /// The plan. Takes the baselines out of the shared settings: here they are runs of their own.
    fn plan(&self, shared: &mut Config, stored: Option<&Plan>) -> Result<Plan, String> {
        let asked = Asked {
            methods: self.methods.clone(),
            seeds: self.seeds.map(u64::from),
            search_only: self.search_only,
            vary: self.varied(),
            genotypes: self.genotypes.clone(),
            random: self.random.map(u64::from),
            baseline: self.baseline.clone(),
            baselines: shared.network.beside.baselines.take().unwrap_or_default(),
        };
        Plan::new(&asked, shared.run.seed, stored)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_architectures_are_looked_up() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("table.csv");
        let arch = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
        fs::write(&path, format!("architecture,a,b\n{arch},10,20\n")).unwrap();
        let table = Benchmark::read(&path).unwrap();
        let found: Vec<(String, f64)> = [
            ("benchmark:a", 10.0),
            ("rank:a", 1.0),
            ("benchmark:b", 20.0),
            ("rank:b", 1.0),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec();
        assert_eq!(looked_up(&table, Some(arch)), Ok(found));
        let reason = looked_up(&table, Some("Genotype(normal=[])")).unwrap_err();
        assert!(reason.contains("not one of NAS-Bench-201"), "{reason}");
        assert!(looked_up(&table, None).is_err());
    }
}
