//! A comparison as files for other programs: CSV with one line per run, JSON with everything,
//! Markdown with the tables.

use serde_json::{Value, json};

use super::measure::PERCENTILE;
use super::{Comparison, RunOutcome};
use crate::data_link::CsvTable;

/// Explains the means, below every table of a comparison.
const NOTE_ON_MEANS: &str = "Mean ± sample standard deviation over the seeds. Super-network and discretized: accuracy in percent \
    on held-out training images, without retraining; gap: their difference in points; retrained: the final network on the \
    test images.";

/// Explains the accuracies and ranks that were looked up.
const NOTE_ON_BENCHMARK: &str = "Columns whose names come from a table of accuracies: the accuracies and ranks of the \
    architectures found, as listed in the table of accuracies.";

/// Explains the percentile.
const NOTE_ON_PERCENTILE: &str = "Percentile: the share of the random genotypes whose networks, retrained alike, are worse on the \
    test images; one that is as good counts half.";

/// Explains the tests and their limits.
pub(super) const NOTE_ON_TESTS: &str = "Pairs have the same seed; both tests are two-sided: Student’s t and Wilcoxon’s signed \
    ranks (exact, pairs without a difference left out). “Holm” is the p-value in the column before it, corrected by Holm’s method for \
    all tests of the measure. With few pairs, only large differences are significant, and Wilcoxon’s p is at least 2 / 2ⁿ for n pairs.";

impl Comparison {
    /// One line per run: its setup, its outcome, and its results in full precision.
    pub fn csv(&self) -> String {
        let settings = self.runs.first().map_or(&[][..], |run| &run.setup.settings[..]);
        let mut heading = vec!["method", "seed"];
        heading.extend(settings.iter().map(|(key, _)| key.as_str()));
        heading.extend(["state", "reason", "directory"]);
        heading.extend(self.measures.iter().map(|measure| measure.key.as_str()));
        heading.push("genotype");
        let mut table = CsvTable::new(heading);
        for run in &self.runs {
            let (state, reason) = run.state();
            let mut row = vec![run.setup.method.clone(), run.seed.to_string()];
            row.extend(settings.iter().map(|(key, _)| {
                let own = run.setup.settings.iter().find(|(own, _)| own == key);
                own.map_or(String::new(), |(_, value)| value.clone())
            }));
            row.extend([state.to_owned(), reason.to_owned(), run.directory.clone()]);
            row.extend(self.measures.iter().map(|measure| {
                let value = run.value(&measure.key);
                value.map_or(String::new(), |value| value.to_string())
            }));
            row.push(match &run.outcome {
                RunOutcome::Finished { genotype, .. } => genotype.clone().unwrap_or_default(),
                RunOutcome::Failed(_) | RunOutcome::Unfinished(_) => String::new(),
            });
            table.row(row);
        }
        table.into_csv()
    }

    /// Everything: runs, means and spreads, tests.
    pub fn json(&self) -> String {
        let measures: Vec<Value> = self
            .measures
            .iter()
            .map(|measure| json!({ "key": measure.key, "title": measure.title }))
            .collect();
        let runs: Vec<Value> = self.runs.iter().map(run).collect();
        let document = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "name": self.name,
            "dataset": self.dataset,
            "baseline": self.baseline,
            "measures": measures,
            "runs": runs,
            "groups": self.groups,
            "tests": self.tests,
            "verdict": self.verdict(),
        });
        format!("{document:#}\n")
    }

    /// Means and tests as tables, and the runs that are not finished.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", self.name, table(&self.means(), 1));
        for note in self.notes_on_means() {
            text.push_str(&format!("\n{note}\n"));
        }
        if !self.tests.is_empty() {
            text.push_str(&format!("\n{}\n\n{NOTE_ON_TESTS}\n", table(&self.differences(), 3)));
        }
        if let Some(verdict) = self.verdict() {
            text.push_str(&format!("\n{}\n", escaped(&verdict)));
        }
        let mut rest = self.runs.iter().filter(|run| !run.is_finished()).peekable();
        if rest.peek().is_some() {
            text.push('\n');
        }
        for run in rest {
            let (state, reason) = run.state();
            text.push_str(&format!("- {} {state}: {}\n", escaped(&run.directory), escaped(reason)));
        }
        text
    }

    /// The notes below the table of means.
    pub(super) fn notes_on_means(&self) -> Vec<&'static str> {
        let looked_up = self
            .measures
            .iter()
            .any(|measure| measure.key.starts_with("benchmark:"));
        let percentile = self.measures.iter().any(|measure| measure.key == PERCENTILE);
        let needed = [
            (NOTE_ON_MEANS, true),
            (NOTE_ON_PERCENTILE, percentile),
            (NOTE_ON_BENCHMARK, looked_up),
        ];
        needed
            .into_iter()
            .filter_map(|(note, needed)| needed.then_some(note))
            .collect()
    }
}

fn run(entry: &super::ComparedRun) -> Value {
    let (state, reason) = entry.state();
    let mut object = json!({
        "setup": entry.setup,
        "seed": entry.seed,
        "directory": entry.directory,
        "state": state,
    });
    match &entry.outcome {
        RunOutcome::Finished { genotype, values } => {
            object["genotype"] = json!(genotype);
            object["values"] = json!(values);
        }
        RunOutcome::Failed(_) | RunOutcome::Unfinished(_) => object["reason"] = json!(reason),
    }
    object
}

/// A table whose first `words` columns contain text and the others numbers.
fn table(rows: &[Vec<String>], words: usize) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let (heading, rows) = rows
        .split_first()
        .map_or((&[][..], rows), |(heading, rows)| (&heading[..], rows));
    let rules: Vec<String> = (0..heading.len())
        .map(|column| {
            if column < words {
                "---".to_owned()
            } else {
                "---:".to_owned()
            }
        })
        .collect();
    let lines = [line(heading), line(&rules)]
        .into_iter()
        .chain(rows.iter().map(|row| line(row)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Text escaped so that Markdown shows it unchanged.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '_' | '`' | '<' | '[' | '\\' => escaped.extend(['\\', character]),
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
