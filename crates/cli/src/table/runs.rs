//! The table of the runs below a folder.

use std::path::Path;

use super::{absent, columns_with, decimals, grouped};
use crate::commands::runs::Row;
use crate::terminal::escaped;

/// The table of the runs in `folder`.
pub fn of_runs(runs: &[Row], folder: &Path) -> String {
    if runs.is_empty() {
        return format!("no runs in {}\n", escaped(&folder.to_string_lossy()));
    }
    let heading = [
        "run",
        "data set",
        "method",
        "seed",
        "state",
        "gap, points",
        "accuracy, %",
        "parameters",
    ];
    let rows = runs.iter().map(|run| {
        let word = |key| run.text(key).unwrap_or_else(absent);
        let percent = |key| decimals(run.value(key), 2);
        vec![
            run.name.clone(),
            word("dataset"),
            word("method"),
            word("seed"),
            run.state(),
            percent("gap"),
            percent("network_accuracy"),
            // Counts are printed without a sign.
            run.value("parameters")
                .map_or_else(absent, |value| grouped(value as u64)),
        ]
    });
    let rows: Vec<Vec<String>> = [heading.map(str::to_owned).to_vec()].into_iter().chain(rows).collect();
    columns_with(&rows, |column| [0, 1, 2, 4].contains(&column))
}
