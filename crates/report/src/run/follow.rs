//! Follows a growing run directory: [`Follow::poll`] reads what changed since the last call and
//! writes nothing.
//!
//! Contract: as for [`Run`], except that an incomplete last line is not damage and is not reported,
//! because it is still being written. Files of lines are read from where the last poll ended; if
//! one small file changed, all small files are read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use da2s_records::files::{ARCH, LINES, NETWORK_METRICS, NETWORK_TIMES, SEARCH_METRICS, SEARCH_TIMES, WHOLE};

use super::files::Files;
use super::tail::Tail;
use super::{ArchEpoch, EpochTime, Run, SearchEpoch, TrainEpoch};
use crate::ReportError;

/// A run that may still be in progress.
#[derive(Debug)]
pub struct Follow {
    dir: PathBuf,
    run: Run,
    search: Tail<SearchEpoch>,
    architecture: Tail<ArchEpoch>,
    training: Tail<TrainEpoch>,
    search_times: Tail<EpochTime>,
    train_times: Tail<EpochTime>,
    /// Length and time of each small file when it was read; if one changes, all are read again.
    stamps: [Stamp; WHOLE.len()],
    changes: u64,
    last_change: Option<SystemTime>,
}

/// Length and time of a file; `None` if it does not exist.
type Stamp = Option<(u64, Option<SystemTime>)>;

impl Follow {
    /// Follows the run directory `dir`, and reads what it contains now.
    ///
    /// # Errors
    /// As for [`Run::read`].
    pub fn new(dir: &Path) -> Result<Self, ReportError> {
        let mut follow = Self {
            dir: dir.to_owned(),
            run: Run {
                name: dir.name(),
                ..Run::default()
            },
            search: Tail::new(SEARCH_METRICS, |record| record.epoch),
            architecture: Tail::new(ARCH, |record| record.epoch),
            training: Tail::new(NETWORK_METRICS, |record| record.epoch),
            search_times: Tail::new(SEARCH_TIMES, |record| record.epoch),
            train_times: Tail::new(NETWORK_TIMES, |record| record.epoch),
            stamps: [None; WHOLE.len()],
            changes: 0,
            last_change: None,
        };
        follow.poll()?;
        let has_lines = || {
            let metrics = [SEARCH_METRICS, ARCH, NETWORK_METRICS];
            metrics.iter().any(|file| dir.join(file).exists())
        };
        if follow.run.has_small() || has_lines() {
            Ok(follow)
        } else {
            Err(ReportError::NotARun { path: dir.to_owned() })
        }
    }

    /// Reads what changed; returns whether anything did.
    ///
    /// # Errors
    /// [`ReportError::Read`] if a file cannot be read and [`ReportError::Damaged`] if its content
    /// is invalid; what was read before is kept.
    pub fn poll(&mut self) -> Result<bool, ReportError> {
        let mut changed = false;
        let read = self.read(&mut changed);
        // What was read before an error counts as well.
        if changed {
            self.changes += 1;
            let times = WHOLE
                .iter()
                .chain(&LINES)
                .filter_map(|file| stamp(&self.dir.join(file))?.1);
            self.last_change = times.max();
        }
        read.map(|()| changed)
    }

    fn read(&mut self, changed: &mut bool) -> Result<(), ReportError> {
        *changed |= self.poll_small()?;
        if self.search.poll(&self.dir, |_, _| Ok(()))? {
            self.run.search = self.search.records().to_vec();
            *changed = true;
        }
        if self.architecture.poll(&self.dir, ArchEpoch::check)? {
            self.run.architecture = self.architecture.records().to_vec();
            *changed = true;
        }
        if self.training.poll(&self.dir, |_, _| Ok(()))? {
            self.run.training = self.training.records().to_vec();
            *changed = true;
        }
        *changed |= self.search_times.poll(&self.dir, |_, _| Ok(()))?;
        *changed |= self.train_times.poll(&self.dir, |_, _| Ok(()))?;
        Ok(())
    }

    /// The run as read so far.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Why the run failed, if it did: results take precedence over the failure of an earlier
    /// attempt.
    pub fn failure(&self) -> Option<&str> {
        self.run.failure.as_deref()
    }

    /// Seconds per finished epoch of the search.
    pub fn search_times(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.search_times.records().iter().map(|time| time.time_s)
    }

    /// Seconds per finished epoch of the retraining.
    pub fn train_times(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.train_times.records().iter().map(|time| time.time_s)
    }

    /// Number of polls that found changes.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Time of the last write to a file of the run.
    pub fn last_change(&self) -> Option<SystemTime> {
        self.last_change
    }

    /// Reads the small files again if one of them changed, which happens a few times per run.
    fn poll_small(&mut self) -> Result<bool, ReportError> {
        // Taken before the files are read, so that the next poll notices a change in between.
        let stamps = WHOLE.map(|file| stamp(&self.dir.join(file)));
        if stamps == self.stamps {
            return Ok(false);
        }
        let before = std::mem::replace(&mut self.run, Run::read_small(self.dir.as_path())?);
        self.run.search = before.search;
        self.run.architecture = before.architecture;
        self.run.training = before.training;
        self.stamps = stamps;
        Ok(true)
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = fs::symlink_metadata(path).ok()?;
    Some((data.len(), data.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rereading_small_files_keeps_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let refused = |dir: &Path| matches!(Follow::new(dir), Err(ReportError::NotARun { .. }));
        assert!(refused(&dir));
        write("failure.txt", "no space left");
        assert!(refused(&dir), "failure.txt alone does not make a run");

        write("network/metrics.jsonl", "{\"epoch\":1,\"epochs\":3}\n{\"epoch\":2,");
        let mut follow = Follow::new(&dir).unwrap();
        let epochs = |follow: &Follow| {
            follow
                .run()
                .training
                .iter()
                .map(|epoch| epoch.epoch)
                .collect::<Vec<_>>()
        };
        assert_eq!((follow.run().name.as_str(), follow.changes()), ("a", 1));
        assert_eq!(epochs(&follow), [1]);
        assert!(!follow.poll().unwrap());

        write("summary.json", "{\"network_accuracy\":97.5}");
        assert!(follow.poll().unwrap());
        assert_eq!(epochs(&follow), [1], "lines are kept when small files are read again");
        assert_eq!(follow.failure(), None, "results take precedence");

        write("gap.json", "[");
        assert!(follow.poll().is_err());
        assert_eq!(epochs(&follow), [1], "what was read is kept");
        assert!(follow.run().summary.is_some());
        write("gap.json", "{}");
        write(
            "network/metrics.jsonl",
            "{\"epoch\":1,\"epochs\":3}\n{\"epoch\":2,\"epochs\":3}\n",
        );
        assert!(follow.poll().unwrap());
        assert_eq!(epochs(&follow), [1, 2]);
        fs::remove_file(dir.join("network/metrics.jsonl")).unwrap();
        assert!(follow.poll().unwrap());
        assert_eq!(epochs(&follow), [0; 0]);
    }
}
