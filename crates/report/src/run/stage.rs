//! The progress of a run: its stages in order, each complete, partial or missing, and a
//! description.

use super::Run;

/// The progress of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// It is complete.
    Complete,
    /// It stopped midway, or is still in progress.
    Partial,
    /// It has not begun.
    Missing,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageProgress {
    /// Name of the stage.
    pub name: &'static str,
    /// Its progress.
    pub state: StageState,
    /// Its progress in a few words.
    pub progress: String,
    /// What is missing, as a sentence; `None` if complete.
    pub missing: Option<String>,
}

impl StageProgress {
    fn complete(name: &'static str, progress: String) -> Self {
        Self {
            name,
            state: StageState::Complete,
            progress,
            missing: None,
        }
    }

    fn partial(name: &'static str, progress: String, missing: String) -> Self {
        Self {
            name,
            state: StageState::Partial,
            progress,
            missing: Some(missing),
        }
    }

    fn missing(name: &'static str, missing: &str) -> Self {
        Self {
            name,
            state: StageState::Missing,
            progress: "missing".to_owned(),
            missing: Some(missing.to_owned()),
        }
    }
}

/// The stages of `run`.
pub(super) fn of(run: &Run) -> [StageProgress; 4] {
    [search(run), discretization(run), retraining(run), evaluation(run)]
}

fn search(run: &Run) -> StageProgress {
    if run.search.is_empty() && run.is_given() {
        return StageProgress::complete("Search", "none".to_owned());
    }
    let epochs = run.search.last().map(|last| (last.epoch, last.epochs));
    let nothing = "The search has no finished epoch: search/metrics.jsonl is missing or empty.";
    epochs_stage("Search", "search", epochs, nothing)
}

fn discretization(run: &Run) -> StageProgress {
    const NAME: &str = "Discretization";
    match (&run.genotype, &run.gap) {
        (Some(_), Some(_)) => StageProgress::complete(NAME, "genotype and gap".to_owned()),
        (Some(_), None) if run.is_given() => StageProgress::complete(NAME, "given genotype".to_owned()),
        (Some(_), None) => StageProgress::partial(
            NAME,
            "genotype only".to_owned(),
            "The gap was not measured: gap.json is missing.".to_owned(),
        ),
        (None, Some(_)) => StageProgress::partial(
            NAME,
            "gap only".to_owned(),
            "There is no genotype: genotype.json is missing.".to_owned(),
        ),
        (None, None) => StageProgress::missing(
            NAME,
            "The super-network was not discretized: there is no genotype.json.",
        ),
    }
}

fn retraining(run: &Run) -> StageProgress {
    let epochs = run.training.last().map(|last| (last.epoch, last.epochs));
    let nothing = "The final network was not trained: network/metrics.jsonl is missing or empty.";
    epochs_stage("Retraining", "retraining", epochs, nothing)
}

fn evaluation(run: &Run) -> StageProgress {
    const NAME: &str = "Evaluation";
    let accuracy = run.evaluation.as_ref().and_then(|evaluation| evaluation.accuracy);
    match (
        accuracy,
        run.summary.as_ref().and_then(|summary| summary.network_accuracy),
    ) {
        (Some(_), _) => StageProgress::complete(NAME, "test set".to_owned()),
        (None, Some(_)) => StageProgress::partial(
            NAME,
            "accuracy only".to_owned(),
            "There is no confusion matrix: network/evaluation.json is missing.".to_owned(),
        ),
        (None, None) => StageProgress::missing(
            NAME,
            "The final network was not evaluated: network/evaluation.json is missing.",
        ),
    }
}

fn epochs_stage(name: &'static str, noun: &str, epochs: Option<(usize, usize)>, nothing: &str) -> StageProgress {
    match epochs {
        None => StageProgress::missing(name, nothing),
        Some((done, planned)) if done >= planned => StageProgress::complete(name, da2s_records::counted(done, "epoch")),
        Some((done, planned)) => StageProgress::partial(
            name,
            format!("{done} of {planned} epochs"),
            format!("The {noun} stopped after epoch {done} of {planned}."),
        ),
    }
}
