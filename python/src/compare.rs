//! Combines runs into a comparison, like `da2s compare`: means, paired tests, CSV, JSON, Markdown
//! and a page.

use std::path::PathBuf;

use da2s_report::comparison::{ComparedRun, Comparison, RunOutcome, Setup};
use pyo3::prelude::*;

use crate::errors::not_reported;

/// A run: method, varied settings, seed, directory relative to that of the comparison, and the
/// reason if it failed.
#[derive(FromPyObject)]
pub struct Planned(String, Vec<(String, String)>, u64, String, Option<String>);

/// Compares the runs in `out`, writes the comparison there, and returns the path of its page and
/// its content as JSON.
#[pyfunction]
pub fn compare(
    py: Python<'_>,
    out: PathBuf,
    dataset: String,
    baseline: String,
    last_file: String,
    runs: Vec<Planned>,
) -> PyResult<(PathBuf, String)> {
    let entry = |Planned(method, settings, seed, directory, failure): Planned| ComparedRun {
        outcome: match failure {
            Some(reason) => RunOutcome::Failed(reason),
            None => RunOutcome::read(&out.join(&directory), &last_file),
        },
        setup: Setup { method, settings },
        seed,
        directory,
    };
    let name = out
        .file_name()
        .unwrap_or(out.as_os_str())
        .to_string_lossy()
        .into_owned();
    py.detach(|| {
        let entries = runs.into_iter().map(entry).collect();
        let comparison = Comparison::new(name, dataset, baseline, entries, &[]);
        let page = da2s_report::write_comparison(&out, &comparison)?;
        Ok((page, comparison.json()))
    })
    .map_err(|error| not_reported(py, &error))
}
