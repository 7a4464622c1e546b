//! Puts the page into the run directory, whole or not at all: written to a file beside it, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{ReportError, Run, render};

/// Name of the report inside its run directory.
pub const REPORT_FILE: &str = "report.html";

/// Reads the run in `run_dir`, writes its report there and returns the report's path.
///
/// # Errors
/// [`ReportError`] when the directory is not a run's, a file in it is damaged, or the page cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let page = render(&Run::read(run_dir)?);
    let path = run_dir.join(REPORT_FILE);
    let partial = run_dir.join(format!(".{REPORT_FILE}.{}", std::process::id()));
    let written = write_whole(&partial, page.as_bytes()).and_then(|()| fs::rename(&partial, &path));
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
