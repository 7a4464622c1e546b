//! The tables of a comparison.

use std::path::Path;

use da2s_report::Comparison;
use da2s_report::comparison::RunOutcome;

use super::columns;
use crate::terminal::escaped;

/// The tables of a comparison: means, tests, and unfinished runs.
pub fn of_comparison(comparison: &Comparison, page: &Path) -> String {
    let mut text = columns(&comparison.means(), 1);
    let tests = comparison.differences();
    if tests.len() > 1 {
        text += &format!("\n{}", columns(&tests, 3));
    }
    if let Some(verdict) = comparison.verdict() {
        text += &format!("\n{}\n", escaped(&verdict));
    }
    let rest = comparison.runs.iter().filter_map(|run| match &run.outcome {
        RunOutcome::Finished { .. } => None,
        RunOutcome::Failed(reason) => Some(format!("{} failed: {}\n", run.directory, escaped(reason))),
        RunOutcome::Unfinished(progress) => Some(format!("{} is not finished: {}\n", run.directory, escaped(progress))),
    });
    let rest: String = rest.collect();
    if !rest.is_empty() {
        text += &format!("\n{rest}");
    }
    text + &format!("\n{}\n", page.display())
}
