//! A run as one row of a table of runs: its name, its progress, and its results as named numbers.
//!
//! Contract: only small files are read, so a folder of hundreds of runs is read quickly. The names
//! of the numbers are the keys of `summary.json`; until it exists, they come from the files that it
//! is computed from.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use da2s_records::files::{
    CONFIG, FAILURE, GAP, GENOTYPE, NETWORK_METRICS, NETWORK_TIMES, SEARCH_METRICS, SEARCH_TIMES, SUMMARY,
};
use da2s_records::schema::{DeviceCost, Gap, GenotypeFile, Summary};
use da2s_records::{Epochs, State, Traces};
use serde::Deserialize;
use toml::{Table, Value};

use super::Run;
use super::files::Files;
use super::lines::{read_json, read_lines, read_text};
use crate::ReportError;

/// A summary of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// Its progress.
    pub state: State,
    /// `config.toml`.
    pub config: Table,
    /// The method of the search, or the name of a network that was not searched.
    pub origin: Option<String>,
    /// The genotype as text.
    pub genotype: Option<String>,
    /// Results by their key in `summary.json`; absent if they were not measured.
    pub values: BTreeMap<&'static str, f64>,
}

/// A line of a `metrics.jsonl`: epoch, from 1, and number of epochs.
#[derive(Debug, Deserialize)]
struct Epoch {
    epoch: usize,
    epochs: usize,
}

/// A line of a `times.jsonl`.
#[derive(Debug, Deserialize)]
struct Time {
    time_s: f64,
}

/// The part of `genotype.json` that is needed here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kept {
    genotype: Option<String>,
    parameters: Option<u64>,
    multiply_adds: Option<u64>,
    #[serde(flatten)]
    on_device: DeviceCost,
}

impl Digest {
    /// Reads the run directory `dir`; `None` if it is not a run directory, that is, it has no
    /// `config.toml` that names a method.
    ///
    /// # Errors
    /// [`ReportError::Read`] if a file cannot be read and [`ReportError::Damaged`] if its content
    /// is invalid.
    pub fn read(dir: &Path) -> Result<Option<Self>, ReportError> {
        Self::of(dir)
    }

    /// Like [`Digest::read`], for files in any location.
    ///
    /// # Errors
    /// As for [`Digest::read`].
    pub fn of<F: Files + ?Sized>(files: &F) -> Result<Option<Self>, ReportError> {
        let Some(text) = read_text(files, CONFIG)? else {
            return Ok(None);
        };
        let config: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = &text.as_bytes()[..error.span().map_or(0, |span| span.start.min(text.len()))];
            ReportError::Damaged {
                path: files.path(CONFIG),
                line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
                reason: error.message().to_owned(),
            }
        })?;
        if setting(&config, "search.method").is_none() {
            return Ok(None);
        }
        let summary: Option<Summary> = read_json(files, SUMMARY, |_| Ok(()))?;
        let gap: Option<Gap> = read_json(files, GAP, |_| Ok(()))?;
        let kept: Option<Kept> = read_json(files, GENOTYPE, |_| Ok(()))?;
        let state = State::of(&Seen {
            files,
            summary: summary.is_some(),
            genotype: kept.is_some(),
        })?;
        let origin = summary.as_ref().and_then(|summary| summary.origin().map(str::to_owned));
        let origin = origin.or_else(|| Some(setting(&config, "search.method")?.as_str()?.to_owned()));
        let (genotype, values) = match summary {
            Some(summary) => (summary.genotype.clone(), of_summary(&summary)),
            None => {
                let kept = kept.unwrap_or_default();
                let mut values = before_summary(gap.unwrap_or_default(), &kept);
                for (key, file) in [("search_time_s", SEARCH_TIMES), ("train_time_s", NETWORK_TIMES)] {
                    let times = read_lines::<Time, F>(files, file, |_, _| Ok(()))?;
                    if times.there {
                        values.insert(key, times.records.iter().map(|time| time.time_s).sum());
                    }
                }
                (kept.genotype, values)
            }
        };
        Ok(Some(Self {
            state,
            config,
            origin,
            genotype,
            values,
        }))
    }

    /// A setting of the run, for example `search.epochs`; strings without quotes.
    pub fn setting(&self, key: &str) -> Option<String> {
        setting(&self.config, key).map(|value| match value {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        })
    }
}

fn setting<'a>(config: &'a Table, key: &str) -> Option<&'a Value> {
    let (tables, name) = key.rsplit_once('.')?;
    let table = tables
        .split('.')
        .try_fold(config, |table, name| table.get(name)?.as_table())?;
    table.get(name)
}

/// The files of a run, some of which have already been read.
struct Seen<'a, F: ?Sized> {
    files: &'a F,
    summary: bool,
    genotype: bool,
}

impl<F: Files + ?Sized> Traces for Seen<'_, F> {
    type Error = ReportError;

    fn has(&self, file: &'static str) -> Result<bool, ReportError> {
        match file {
            SUMMARY => Ok(self.summary),
            GENOTYPE => Ok(self.genotype),
            other => Ok(self.files.bytes(other)?.is_some()),
        }
    }

    fn failure(&self) -> Result<Option<String>, ReportError> {
        read_text(self.files, FAILURE)
    }

    fn last_epoch(&self, file: &'static str) -> Result<Option<Epochs>, ReportError> {
        let last = read_lines::<Epoch, F>(self.files, file, |_, _| Ok(()))?.records.pop();
        Ok(last.map(|Epoch { epoch, epochs }| Epochs {
            done: epoch,
            planned: epochs,
        }))
    }
}

fn of_summary(summary: &Summary) -> BTreeMap<&'static str, f64> {
    let count = |number: Option<u64>| number.map(|number| number as f64);
    let mut values = there([
        ("supernet_accuracy", summary.supernet_accuracy),
        ("discretized_accuracy", summary.discretized_accuracy),
        (
            "discretized_recalibrated_accuracy",
            summary.discretized_recalibrated_accuracy,
        ),
        ("gap", summary.gap),
        ("network_accuracy", summary.network_accuracy),
        ("int8_accuracy", summary.int8_accuracy),
        ("int8_gap", summary.int8_gap),
        ("parameters", count(summary.parameters)),
        ("multiply_adds", count(summary.multiply_adds)),
        ("search_time_s", summary.search_time_s),
        ("train_time_s", summary.train_time_s),
    ]);
    values.extend(there(summary.on_device.values()));
    values
}

impl Traces for Run {
    type Error = Infallible;

    fn has(&self, file: &'static str) -> Result<bool, Infallible> {
        Ok(match file {
            SUMMARY => self.summary.is_some(),
            GENOTYPE => self.genotype.is_some(),
            _ => false,
        })
    }

    fn failure(&self) -> Result<Option<String>, Infallible> {
        Ok(self.failure.clone())
    }

    fn last_epoch(&self, file: &'static str) -> Result<Option<Epochs>, Infallible> {
        let epochs = match file {
            NETWORK_METRICS => self.training.last().map(|last| (last.epoch, last.epochs)),
            SEARCH_METRICS => self.search.last().map(|last| (last.epoch, last.epochs)),
            _ => None,
        };
        Ok(epochs.map(|(done, planned)| Epochs { done, planned }))
    }
}

impl Run {
    /// Its progress.
    pub fn state(&self) -> State {
        let Ok(state) = State::of(self);
        state
    }

    /// The results by their key in `summary.json`; absent if they were not measured.
    pub fn values(&self) -> BTreeMap<&'static str, f64> {
        match (&self.summary, &self.genotype) {
            (Some(summary), _) => of_summary(summary),
            (None, genotype) => {
                let number = |of: fn(&GenotypeFile) -> Option<u64>| genotype.as_ref().and_then(of);
                let kept = Kept {
                    genotype: None,
                    parameters: number(|genotype| genotype.parameters),
                    multiply_adds: number(|genotype| genotype.multiply_adds),
                    on_device: genotype.as_ref().map(|genotype| genotype.on_device).unwrap_or_default(),
                };
                before_summary(self.gap.clone().unwrap_or_default(), &kept)
            }
        }
    }
}

fn before_summary(gap: Gap, kept: &Kept) -> BTreeMap<&'static str, f64> {
    let (supernet, discretized) = (gap.as_trained.supernet, gap.as_trained.both);
    let mut values = there([
        ("supernet_accuracy", supernet),
        ("discretized_accuracy", discretized),
        ("discretized_recalibrated_accuracy", gap.recalibrated.both),
        ("gap", supernet.zip(discretized).map(|(before, after)| before - after)),
        ("parameters", kept.parameters.map(|number| number as f64)),
        ("multiply_adds", kept.multiply_adds.map(|number| number as f64)),
    ]);
    values.extend(there(kept.on_device.values()));
    values
}

fn there<const N: usize>(rows: [(&'static str, Option<f64>); N]) -> BTreeMap<&'static str, f64> {
    rows.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SETTINGS: &str = "[data]\ndataset = \"digits\"\n[search]\nmethod = \"da2s\"\nepochs = 3\n";

    #[test]
    fn the_state_of_a_run_is_read_from_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let state = || Digest::read(dir).unwrap().unwrap().state.to_string();
        assert_eq!(Digest::read(dir).unwrap(), None);
        write("config.toml", "[net]\noffline = true\n");
        assert_eq!(Digest::read(dir).unwrap(), None, "config.toml of another program");
        write("config.toml", "a = 1\nb = ");
        let damaged = Digest::read(dir).unwrap_err().to_string();
        assert!(damaged.contains("config.toml, line 2: "), "{damaged}");
        write("config.toml", SETTINGS);
        assert_eq!(state(), "begun");
        write("search/metrics.jsonl", "{\"epoch\":1,\"epochs\":3}\n{\"epoch\":2,\"epo");
        write("search/times.jsonl", "{\"epoch\":1,\"time_s\":1.5}\n");
        assert_eq!(state(), "search 1/3");
        write("search/metrics.jsonl", "{\"epoch\":3,\"epochs\":3}\n");
        assert_eq!(state(), "searched");
        write("genotype.json", "{\"genotype\":\"G\",\"parameters\":7}");
        write("gap.json", "{\"as_trained\":{\"supernet\":90.0,\"both\":80.0}}");
        let digest = Digest::read(dir).unwrap().unwrap();
        assert_eq!(digest.state, State::Discretized);
        assert_eq!(digest.genotype.as_deref(), Some("G"));
        assert_eq!(
            (
                digest.values["gap"],
                digest.values["parameters"],
                digest.values["search_time_s"]
            ),
            (10.0, 7.0, 1.5)
        );
        assert_eq!(digest.setting("search.epochs").as_deref(), Some("3"));
        assert_eq!(digest.setting("data.dataset").as_deref(), Some("digits"));
        assert_eq!((digest.setting("search.x"), digest.setting("x")), (None, None));
        write("network/metrics.jsonl", "{\"epoch\":1,\"epochs\":2}\n");
        assert_eq!(state(), "train 1/2");
        write(FAILURE, "no space left\n");
        assert_eq!(state(), "failed: no space left");
        write("summary.json", "{\"network_accuracy\":97.5}");
        let digest = Digest::read(dir).unwrap().unwrap();
        assert_eq!(
            (digest.state, digest.values["network_accuracy"]),
            (State::Finished, 97.5)
        );
        write("summary.json", "{");
        assert!(matches!(Digest::read(dir), Err(ReportError::Damaged { .. })));
    }
}
