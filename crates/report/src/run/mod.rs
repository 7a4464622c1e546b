//! Reads a run directory. [`Run`] holds the files that exist; later stages of a run may be missing.
//!
//! Contract: a missing file is `None` or empty. The last line of a `.jsonl` file may be cut off; it
//! is ignored and [`Run::cut_off`] names the file. Any other damage is an error with file and line.
//! All shapes are checked here, so drawing code may index freely.

mod digest;
mod files;
mod follow;
mod lines;
mod stage;
mod tail;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use da2s_records::files::{
    ARCH, CONFIG, COST, EDGE_GAPS, ENVIRONMENT, EVALUATION, FAILURE, GAP, GENOTYPE, NETWORK_METRICS, SEARCH_METRICS,
    SUMMARY, mistake as mistake_file,
};
use toml::{Table, Value};

pub use da2s_records::State;
pub use da2s_records::schema::{
    ArchCell, ArchEpoch, Calibration, Costs, DatasetImages, EdgeGap, EdgeGaps, Environment, EpochTime, Evaluation, Gap,
    GapRow, GenotypeCell, GenotypeEdge, GenotypeFile, GenotypeTarget, JudgedImage, Measured, PartCost, RemovedGap,
    SearchEpoch, Summary, Term, TrainEpoch, term_names,
};
pub use digest::Digest;
pub use files::Files;
pub use follow::Follow;
pub use stage::{StageProgress, StageState};

use crate::ReportError;
use lines::{JsonLines, read_lines, read_png};
pub(crate) use lines::{read_json, read_text};
pub(crate) use tail::Tail;

/// Largest number of mistakes whose pictures are read; a run writes no more.
const MOST_PICTURES: usize = 24;
/// Largest size of a picture of a mistake: 64×64 incompressible pixels, more than a run writes.
const MOST_PICTURE_BYTES: usize = 16 << 10;

/// The content of a run directory.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Name of the run: the last part of its directory.
    pub name: String,
    /// Its directory, as it was given; `None` for a run in memory.
    pub directory: Option<PathBuf>,
    /// `config.toml` as text.
    pub config: Option<String>,
    /// `environment.json`.
    pub environment: Option<Environment>,
    /// `search/metrics.jsonl`, by increasing epoch.
    pub search: Vec<SearchEpoch>,
    /// `search/arch.jsonl`, by increasing epoch; epoch 0 is the state before training.
    pub architecture: Vec<ArchEpoch>,
    /// `genotype.json`.
    pub genotype: Option<GenotypeFile>,
    /// `cost.json`.
    pub costs: Option<Costs>,
    /// `gap.json`.
    pub gap: Option<Gap>,
    /// `edge_gaps.json`.
    pub edge_gaps: Option<EdgeGaps>,
    /// `network/metrics.jsonl`, by increasing epoch.
    pub training: Vec<TrainEpoch>,
    /// `network/evaluation.json`, with the pictures in `network/mistakes`.
    pub evaluation: Option<Evaluation>,
    /// `summary.json`.
    pub summary: Option<Summary>,
    /// `failure.txt`: why the run failed, if it did.
    pub failure: Option<String>,
    /// The files whose last line was cut off, relative to the run directory.
    pub cut_off: Vec<&'static str>,
}

impl Run {
    /// Reads the run directory `dir`.
    ///
    /// # Errors
    /// [`ReportError::NotARun`] if none of a run's files exists, [`ReportError::Read`] if one
    /// cannot be read and [`ReportError::Damaged`] if the content of one is invalid.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        Self::of(dir)
    }

    /// Like [`Run::read`], for files in any location.
    ///
    /// # Errors
    /// As for [`Run::read`].
    pub fn of<F: Files + ?Sized>(files: &F) -> Result<Self, ReportError> {
        let mut run = Self::read_small(files)?;
        let mut found = run.has_small();
        let mut keep = |file: &'static str, there: bool, cut: bool| {
            found |= there;
            if cut {
                run.cut_off.push(file);
            }
        };
        let search: JsonLines<SearchEpoch> = read_lines(files, SEARCH_METRICS, |_, _| Ok(()))?;
        keep(SEARCH_METRICS, search.there, search.cut_off);
        let architecture: JsonLines<ArchEpoch> = read_lines(files, ARCH, ArchEpoch::check)?;
        keep(ARCH, architecture.there, architecture.cut_off);
        let training: JsonLines<TrainEpoch> = read_lines(files, NETWORK_METRICS, |_, _| Ok(()))?;
        keep(NETWORK_METRICS, training.there, training.cut_off);

        run.search = by_epoch(search.records, |record| record.epoch);
        run.architecture = by_epoch(architecture.records, |record| record.epoch);
        run.training = by_epoch(training.records, |record| record.epoch);
        if found {
            Ok(run)
        } else {
            Err(ReportError::NotARun { path: files.path("") })
        }
    }

    /// Like [`Run::read`], without the files that have one line per epoch.
    fn read_small<F: Files + ?Sized>(files: &F) -> Result<Self, ReportError> {
        let mut run = Self {
            name: files.name(),
            ..Self::default()
        };
        run.directory = Some(files.path("")).filter(|_| !run.name.is_empty());
        run.config = read_text(files, CONFIG)?;
        run.environment = read_json(files, ENVIRONMENT, |environment: &Environment| {
            environment.dataset_images.as_ref().map_or(Ok(()), DatasetImages::check)
        })?;
        run.genotype = read_json(files, GENOTYPE, GenotypeFile::check)?;
        run.costs = read_json(files, COST, Costs::check)?;
        run.gap = read_json(files, GAP, |_| Ok(()))?;
        run.evaluation = read_json(files, EVALUATION, Evaluation::check)?;
        run.edge_gaps = read_json(files, EDGE_GAPS, EdgeGaps::check)?;
        if let Some(evaluation) = &mut run.evaluation {
            evaluation.mistakes.truncate(MOST_PICTURES);
            for mistake in &mut evaluation.mistakes {
                let file = mistake_file(mistake.index);
                mistake.picture = read_png(files, &file, MOST_PICTURE_BYTES)?;
            }
        }
        run.summary = read_json(files, SUMMARY, |_| Ok(()))?;

        // A run of an earlier version whose stages were repeated separately may still have a
        // failure that has been overcome.
        if run.summary.is_none() {
            run.failure = read_text(files, FAILURE)?.map(|reason| reason.trim().to_owned());
        }
        Ok(run)
    }

    /// Whether the genotype was given: a searched one has a weight p.
    pub fn is_given(&self) -> bool {
        let of_file = self.genotype.as_ref().map(|genotype| genotype.p_least.is_none());
        let of_summary = || Some(!self.summary.as_ref()?.is_searched());
        of_file.or_else(of_summary).unwrap_or(false)
    }

    /// Whether one of the small files that identify a run directory exists.
    fn has_small(&self) -> bool {
        let settings = self.config.is_some() || self.environment.is_some();
        settings || self.genotype.is_some() || self.gap.is_some() || self.evaluation.is_some() || self.summary.is_some()
    }

    /// All settings in `config.toml` by key, for example `search.epochs`; strings without quotes.
    /// Empty if the file is missing or not TOML.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let table = self.config.as_deref().and_then(|text| text.parse::<Table>().ok());
        let mut settings = BTreeMap::new();
        flatten("", table.unwrap_or_default(), &mut settings);
        settings
    }

    /// The stages of the run in order, with their progress and what is missing.
    pub fn stages(&self) -> [StageProgress; 4] {
        stage::of(self)
    }
}

fn flatten(prefix: &str, table: Table, settings: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, settings),
            Value::String(word) => {
                settings.insert(format!("{prefix}{key}"), word);
            }
            other => {
                settings.insert(format!("{prefix}{key}"), other.to_string());
            }
        }
    }
}

/// Keeps epochs in increasing order: if a resumed run repeated epochs, the later record counts.
fn by_epoch<R>(records: Vec<R>, epoch: impl Fn(&R) -> usize) -> Vec<R> {
    let mut kept: Vec<R> = Vec::with_capacity(records.len());
    for record in records {
        while kept.last().is_some_and(|last| epoch(last) >= epoch(&record)) {
            kept.pop();
        }
        kept.push(record);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::by_epoch;

    #[test]
    fn repeated_epochs_keep_the_later_record() {
        let records = vec![(1, 'a'), (2, 'a'), (3, 'a'), (2, 'b'), (3, 'b'), (4, 'b')];
        assert_eq!(
            by_epoch(records, |record| record.0),
            [(1, 'a'), (2, 'b'), (3, 'b'), (4, 'b')]
        );
    }
}
