//! A run for TensorBoard: scalars, histograms of α and β, hyperparameters, and pictures of its
//! cells once it has ended.
//!
//! Reference: the event files of TensorFlow, described in `record.rs` and `message.rs`. Contract:
//! the events are computed from the run directory alone, so events written during the run are the
//! same as those written after it. The time of an epoch is the start of the run plus the seconds
//! that its epochs took. An event file is only appended to. If a run repeated epochs, continued
//! after its end, or the file was removed, a new file replaces it. Files of other runs are left
//! alone.

mod histogram;
mod hparams;
mod message;
mod record;
mod summaries;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use da2s_records::{Folder, files};
use prost::Message;
use toml::Table;

use crate::metrics::{EpochNumbers, STAGES};
use crate::run::{ArchEpoch, Environment, EpochTime, Summary as Results, Tail, read_json, read_text};
use crate::write::created;
use crate::{ReportError, Run, drawing};
use message::{Event, SessionLog, Summary, What};
use summaries::{RESULTS, event, mixture, picture, scalar, scalars};

/// Folder of the events inside a run directory, used by default.
pub const FOLDER: &str = "tensorboard";

/// Suffix of the event files of da2s. TensorBoard requires "tfevents" in the name.
const SUFFIX: &str = ".da2s";
const PREFIX: &str = "events.out.tfevents.";

/// Writes the events of a run, all at once or while it is in progress.
#[derive(Debug)]
pub struct EventWriter {
    run_dir: PathBuf,
    out: PathBuf,
    stages: [StageTail; 2],
    architecture: Tail<ArchEpoch>,
    file: Option<Output>,
}

/// The numbers of a stage and the times of its epochs.
#[derive(Debug)]
struct StageTail {
    name: &'static str,
    numbers: Tail<EpochNumbers>,
    times: Tail<EpochTime>,
}

/// The content of the small files of a run.
struct Small {
    config: Option<String>,
    environment: Option<Environment>,
    results: Option<Results>,
    failed: bool,
}

/// The event file, and what it contains.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
    /// Number of epochs written, per stage.
    epochs: [usize; 2],
    /// Number of records of α and β written.
    records: usize,
    /// How the run ended, if the file says so.
    ended: Option<bool>,
    /// Generation of each tail when the file was begun. If one changes, a new file is needed.
    generations: [usize; 3],
}

impl EventWriter {
    /// A writer for the run in `run_dir` that writes into the folder `out`. Nothing is written yet.
    pub fn new(run_dir: &Path, out: &Path) -> Self {
        Self {
            run_dir: run_dir.to_owned(),
            out: out.to_owned(),
            stages: STAGES.map(|(name, numbers, times)| StageTail {
                name,
                numbers: Tail::new(numbers, |record| record.epoch),
                times: Tail::new(times, |record| record.epoch),
            }),
            architecture: Tail::new(files::ARCH, |record| record.epoch),
            file: None,
        }
    }

    /// Writes what is in the run but not yet in the event file; returns the file's path.
    ///
    /// # Errors
    /// [`ReportError`] if the directory is not a run's, a file in it is damaged, or the events
    /// cannot be written.
    pub fn update(&mut self) -> Result<PathBuf, ReportError> {
        for stage in &mut self.stages {
            stage.numbers.poll(&self.run_dir, |_, _| Ok(()))?;
            stage.times.poll(&self.run_dir, |_, _| Ok(()))?;
        }
        self.architecture.poll(&self.run_dir, ArchEpoch::check)?;
        let generations = [
            self.stages[0].numbers.generation(),
            self.stages[1].numbers.generation(),
            self.architecture.generation(),
        ];
        let run = Small::read(&self.run_dir)?;
        let start_s = start_s(&run);
        // A run that failed may have continued.
        let ends_so = |output: &Output| output.ended.is_none() || output.ended == ended(&run);
        // The file may have been removed, for example by another writer for this run.
        let began = self
            .file
            .take()
            .filter(|output| output.generations == generations && ends_so(output) && output.path.exists());
        let mut output = match began {
            Some(output) => output,
            None => self.begin(&run, start_s, generations)?,
        };
        let events = self.events(&output, &run, start_s)?;
        output.append(&events).map_err(|source| ReportError::Write {
            path: output.path.clone(),
            source,
        })?;
        output.epochs = [0, 1].map(|stage: usize| self.stages[stage].numbers.records().len());
        output.records = self.architecture.records().len();
        output.ended = ended(&run);
        let path = output.path.clone();
        self.file = Some(output);
        Ok(path)
    }

    /// Replaces earlier files of da2s for this run with a new one, and writes the first events.
    fn begin(&self, run: &Small, start_s: f64, generations: [usize; 3]) -> Result<Output, ReportError> {
        let folder = match self.out.strip_prefix(&self.run_dir).map(Path::to_str) {
            Ok(Some(inside)) if !inside.is_empty() => Folder::open(&self.run_dir)?.within(inside)?,
            _ => created(&self.out)?,
        };
        let suffix = format!(".{:016x}{SUFFIX}", mark(&self.run_dir, run.config.as_deref())?);
        let old = old_files(&folder, &suffix)?;
        let number = old.iter().map(|(number, _)| number + 1).max();
        // TensorBoard reads files in the order of their names.
        let name = format!("{PREFIX}{:010}{suffix}", now_s().max(number.unwrap_or(0)));
        for (_, name) in old {
            folder.remove(&name)?;
        }
        let mut output = Output {
            file: folder.create(&name)?,
            path: folder.file(&name),
            epochs: [0; 2],
            records: 0,
            ended: None,
            generations,
        };
        let mut events = vec![
            event(start_s, 0, What::FileVersion("brain.Event:2".to_owned())),
            event(start_s, 0, What::SessionLog(SessionLog { status: 1 })),
        ];
        if let Some(config) = &run.config {
            let config: Table = config.parse().map_err(|error: toml::de::Error| ReportError::Damaged {
                path: self.run_dir.join(files::CONFIG),
                line: 1,
                reason: error.message().to_owned(),
            })?;
            let metrics = RESULTS.map(|(name, _)| format!("result/{name}"));
            let summary = hparams::start(hparams::of_config(&config), &metrics, start_s);
            events.push(event(start_s, 0, What::Summary(summary)));
        }
        output.append(&events).map_err(|source| ReportError::Write {
            path: output.path.clone(),
            source,
        })?;
        Ok(output)
    }

    /// The events that `output` does not contain yet.
    fn events(&self, output: &Output, run: &Small, start_s: f64) -> Result<Vec<Event>, ReportError> {
        let mut events = Vec::new();
        for record in &self.architecture.records()[output.records..] {
            let wall_time = start_s + self.stages[0].seconds_upto(record.epoch);
            events.push(event(wall_time, record.epoch, What::Summary(mixture(record))));
        }
        let mut before = 0.0;
        for (stage, written) in self.stages.iter().zip(output.epochs) {
            for record in &stage.numbers.records()[written..] {
                let wall_time = start_s + before + stage.seconds_upto(record.epoch);
                events.push(event(
                    wall_time,
                    record.epoch,
                    What::Summary(scalars(stage.name, record)),
                ));
            }
            before += stage.seconds_upto(usize::MAX);
        }
        if let Some(succeeded) = ended(run).filter(|_| output.ended.is_none()) {
            let (last, end_s) = (run.results.as_ref(), start_s + before);
            let results = RESULTS.iter().filter_map(|(name, value)| {
                let value = value(last?)?;
                Some(scalar(format!("result/{name}"), value))
            });
            let summary = Summary {
                value: results.collect(),
            };
            let cells = drawing::cells(&Run::read(&self.run_dir)?, drawing::DrawingFormat::Png)?;
            let pictures = Summary {
                value: cells.iter().filter_map(picture).collect(),
            };
            events.push(event(end_s, 0, What::Summary(pictures)));
            events.push(event(end_s, 0, What::Summary(summary)));
            events.push(event(end_s, 0, What::Summary(hparams::end(succeeded, end_s))));
        }
        Ok(events)
    }
}

impl Small {
    fn read(run_dir: &Path) -> Result<Self, ReportError> {
        let small = Self {
            config: read_text(run_dir, files::CONFIG)?,
            environment: read_json(run_dir, files::ENVIRONMENT, |_| Ok(()))?,
            results: read_json(run_dir, files::SUMMARY, |_| Ok(()))?,
            failed: Folder::open(run_dir).is_ok_and(|folder| folder.has_file(files::FAILURE)),
        };
        match small.config {
            Some(_) => Ok(small),
            None => Err(ReportError::NotARun {
                path: run_dir.to_owned(),
            }),
        }
    }
}

impl StageTail {
    /// Seconds of all epochs up to `epoch`.
    fn seconds_upto(&self, epoch: usize) -> f64 {
        let times = self.times.records().iter();
        times.filter(|time| time.epoch <= epoch).map(|time| time.time_s).sum()
    }
}

impl Output {
    fn append(&mut self, events: &[Event]) -> io::Result<()> {
        let bytes: Vec<u8> = events
            .iter()
            .flat_map(|event| record::framed(&event.encode_to_vec()))
            .collect();
        self.file.write_all(&bytes)
    }
}

/// Whether the run has ended, and whether successfully: results take precedence over the failure of
/// an earlier attempt.
fn ended(run: &Small) -> Option<bool> {
    (run.results.is_some() || run.failed).then_some(run.results.is_some())
}

/// Start of the run in seconds since 1970; 0 if it is unknown.
fn start_s(run: &Small) -> f64 {
    let started = run
        .environment
        .as_ref()
        .and_then(|environment| environment.started.as_deref());
    let time = started.and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    time.map_or(0.0, |time| time.timestamp_millis() as f64 / 1e3)
}

fn now_s() -> u64 {
    // A clock before 1970 counts as 1970: the number only orders files.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Distinguishes the files of a run from those of others in the same folder (FNV-1a): the time and
/// command of its start, which do not change when it continues or is moved; its settings if these
/// are unknown.
fn mark(run_dir: &Path, config: Option<&str>) -> Result<u64, ReportError> {
    let environment = read_text(run_dir, files::ENVIRONMENT)?;
    let text = environment.as_deref().or(config).unwrap_or_default();
    Ok(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// The event files in `folder` whose names end in `suffix`, with their numbers.
fn old_files(folder: &Folder, suffix: &str) -> Result<Vec<(u64, String)>, ReportError> {
    let numbered = |name: &OsString| {
        let name = name.to_str()?;
        let number = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?.parse().ok()?;
        Some((number, name.to_owned()))
    };
    Ok(folder.entries("")?.iter().filter_map(numbered).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A run that began at `started`, with one epoch.
    fn run(dir: &Path, started: &str) {
        fs::create_dir_all(dir.join("search")).unwrap();
        fs::write(dir.join("config.toml"), "[run]\nseed = 1\n").unwrap();
        fs::write(dir.join("environment.json"), format!("{{\"started\":\"{started}\"}}")).unwrap();
        fs::write(dir.join("search/metrics.jsonl"), "{\"epoch\":1,\"epochs\":2}\n").unwrap();
    }

    #[test]
    fn only_files_of_the_same_run_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, out) = (
            folder.path().join("x/a"),
            folder.path().join("y/a"),
            folder.path().join("out"),
        );
        run(&a, "2026-11-25T01:02:03Z");
        run(&b, "2026-11-25T01:02:04Z");
        let first = EventWriter::new(&a, &out).update().unwrap();
        let other = EventWriter::new(&b, &out).update().unwrap();
        assert!(first.exists() && other.exists() && first != other);
        let again = EventWriter::new(&a, &out).update().unwrap();
        assert!(!first.exists() && other.exists() && again.exists());
    }

    #[test]
    fn a_writer_whose_file_was_removed_begins_another() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, out) = (folder.path().join("a"), folder.path().join("a/tensorboard"));
        run(&dir, "2026-11-25T01:02:03Z");
        let mut live = EventWriter::new(&dir, &out);
        let first = live.update().unwrap();
        let exported = EventWriter::new(&dir, &out).update().unwrap();
        assert!(!first.exists() && exported.exists());
        fs::write(
            dir.join("search/metrics.jsonl"),
            "{\"epoch\":1,\"epochs\":2}\n{\"epoch\":2,\"epochs\":2}\n",
        )
        .unwrap();
        let second = live.update().unwrap();
        assert!(second.exists() && !exported.exists());
        assert_eq!(live.update().unwrap(), second);
        let whole = EventWriter::new(&dir, &folder.path().join("out")).update().unwrap();
        assert_eq!(fs::read(second).unwrap(), fs::read(whole).unwrap());
    }

    #[test]
    fn a_run_that_continues_after_a_failure_has_not_failed() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, out) = (folder.path().join("a"), folder.path().join("a/tensorboard"));
        run(&dir, "2026-11-25T01:02:03Z");
        let whole = || {
            let out = tempfile::tempdir().unwrap();
            fs::read(EventWriter::new(&dir, out.path()).update().unwrap()).unwrap()
        };
        let failure = dir.join(files::FAILURE);
        fs::write(&failure, "no space\n").unwrap();
        let mut live = EventWriter::new(&dir, &out);
        let failed = live.update().unwrap();
        assert_eq!(live.update().unwrap(), failed, "the run has still failed");
        assert_eq!(fs::read(&failed).unwrap(), whole());
        fs::remove_file(&failure).unwrap();
        fs::write(
            dir.join("search/metrics.jsonl"),
            "{\"epoch\":1,\"epochs\":2}\n{\"epoch\":2,\"epochs\":2}\n",
        )
        .unwrap();
        let goes_on = live.update().unwrap();
        assert!(!failed.exists());
        assert_eq!(fs::read(&goes_on).unwrap(), whole());
        fs::write(&failure, "no space\n").unwrap();
        assert_eq!(
            live.update().unwrap(),
            goes_on,
            "the end of the run is added to the same file"
        );
        assert_eq!(fs::read(&goes_on).unwrap(), whole());
    }

    #[test]
    fn results_take_precedence_over_an_earlier_failure() {
        let small = |results: bool, failed| Small {
            config: None,
            environment: None,
            results: results.then(Results::default),
            failed,
        };
        assert_eq!(ended(&small(false, false)), None);
        assert_eq!(ended(&small(false, true)), Some(false));
        assert_eq!(ended(&small(true, true)), Some(true));
    }
}
