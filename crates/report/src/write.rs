//! Puts pages and tables into their directory, whole or not at all: written to a file beside them, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::comparison::{Comparison, comparison_page};
use crate::{ReportError, Run, render};

/// Name of the report inside its run directory.
pub const REPORT_FILE: &str = "report.html";

/// Names of the files of a comparison inside its directory.
pub const COMPARISON_FILES: [&str; 4] = ["compare.csv", "compare.json", "compare.md", "compare.html"];

/// Reads the run in `run_dir`, writes its report there and returns the report's path.
///
/// # Errors
/// [`ReportError`] when the directory is not a run's, a file in it is damaged, or the page cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, ReportError> {
    publish(run_dir, REPORT_FILE, render(&Run::read(run_dir)?))
}

/// Writes `comparison` into `dir`, as each of [`COMPARISON_FILES`], and returns the path of the page.
///
/// # Errors
/// [`ReportError::Write`] when one cannot be written.
pub fn write_comparison(dir: &Path, comparison: &Comparison) -> Result<PathBuf, ReportError> {
    let [csv, json, markdown, page] = COMPARISON_FILES;
    publish(dir, csv, comparison.csv())?;
    publish(dir, json, comparison.json())?;
    publish(dir, markdown, comparison.markdown())?;
    publish(dir, page, comparison_page(comparison))
}

/// Writes the file `name` in `dir` and returns its path.
pub(crate) fn publish(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf, ReportError> {
    let path = dir.join(name);
    let partial = dir.join(format!(".{name}.{}", std::process::id()));
    let written = write_whole(&partial, bytes.as_ref()).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| {
        // The error that matters is the first one; the partial file may not even exist.
        let _ = fs::remove_file(&partial);
        ReportError::Write {
            path: path.clone(),
            source,
        }
    })?;
    Ok(path)
}

/// Writes and flushes to the disk, so that the rename never publishes an empty file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
