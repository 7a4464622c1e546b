//! Writes pages, tables and pictures, each file completely or not at all: into a run directory,
//! which may be untrusted, or into a folder that the user chose.

use std::fs;
use std::path::{Path, PathBuf};

use da2s_records::files::{DRAWINGS, FRONT, REPORT, SUSPECTS};
use da2s_records::schema::{Front, Suspects};
use da2s_records::{Folder, write_output};

use crate::comparison::{Comparison, comparison_page};
use crate::drawing::{DrawingFormat, drawings};
use crate::front::{front_csv, front_page};
use crate::page::{MOST_RUNS, side_by_side, suspects_page};
use crate::run::Files;
use crate::{ReportError, Run, render};

/// Names of the files of a comparison inside its directory.
pub(crate) const COMPARISON_FILES: [&str; 4] = ["compare.csv", "compare.json", "compare.md", "compare.html"];

/// Reads the run in `run_dir`, writes its report there and returns the path of the report.
///
/// # Errors
/// [`ReportError`] if the directory is not a run's, a file in it is damaged, or the page cannot be
/// written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let page = render(&Run::read(run_dir)?);
    publish(&Folder::open(run_dir)?, REPORT, page)
}

/// Reads the runs in `run_dirs` and writes one page to `file`: the report of a single run, or
/// several runs side by side.
///
/// # Errors
/// [`ReportError`] if a directory is not a run's, a file in it is damaged, there are more runs than
/// a page can show, or the page cannot be written.
pub fn write_page(run_dirs: &[PathBuf], file: &Path) -> Result<(), ReportError> {
    if run_dirs.len() > MOST_RUNS {
        return Err(ReportError::TooManyRuns {
            runs: run_dirs.len(),
            most: MOST_RUNS,
        });
    }
    let mut runs: Vec<Run> = run_dirs.iter().map(|dir| Run::read(dir)).collect::<Result<_, _>>()?;
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for (run, dir) in runs.iter_mut().zip(run_dirs) {
        // Runs with the same name in different folders are distinguished by their paths.
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = dir.display().to_string();
        }
    }
    let page = match &runs[..] {
        [run] => render(run),
        runs => side_by_side(runs),
    };
    Ok(write_output(file, page.as_bytes())?)
}

/// Writes the page of `suspects` to `file`, by default [`SUSPECTS`] in the directory of their run,
/// and returns its path.
///
/// # Errors
/// [`ReportError`] if it cannot be written.
pub fn write_suspects(run_dir: &Path, suspects: &Suspects, file: Option<&Path>) -> Result<PathBuf, ReportError> {
    let page = suspects_page(&run_dir.name(), suspects);
    match file {
        Some(file) => {
            write_output(file, page.as_bytes())?;
            Ok(file.to_owned())
        }
        None => publish(&Folder::open(run_dir)?, SUSPECTS, page),
    }
}

/// Draws the run in `run_dir` in each of `formats`, writes the pictures into `folder`, by default
/// [`DRAWINGS`] in the run's directory, and returns their paths.
///
/// # Errors
/// [`ReportError`] if the directory is not a run's, a file in it is damaged, there is nothing to
/// draw, or a picture cannot be written.
pub fn write_drawings(
    run_dir: &Path,
    formats: &[DrawingFormat],
    folder: Option<&Path>,
) -> Result<Vec<PathBuf>, ReportError> {
    let run = Run::read(run_dir)?;
    let mut pictures = Vec::new();
    for format in formats {
        pictures.extend(drawings(&run, *format)?);
    }
    if pictures.is_empty() {
        return Err(ReportError::NothingToDraw {
            path: run_dir.to_owned(),
        });
    }
    let folder = match folder {
        Some(folder) => created(folder)?,
        None => Folder::open(run_dir)?.within(DRAWINGS)?,
    };
    pictures
        .iter()
        .map(|picture| publish(&folder, &picture.name, &picture.bytes))
        .collect()
}

/// Writes `comparison` into `dir`, as each of `COMPARISON_FILES`, and returns the path of the page.
///
/// # Errors
/// [`ReportError::Write`] if one of them cannot be written.
pub fn write_comparison(dir: &Path, comparison: &Comparison) -> Result<PathBuf, ReportError> {
    let [csv, json, markdown, page] = COMPARISON_FILES;
    let folder = Folder::open(dir)?;
    publish(&folder, csv, comparison.csv())?;
    publish(&folder, json, comparison.json())?;
    publish(&folder, markdown, comparison.markdown())?;
    publish(&folder, page, comparison_page(comparison))
}

/// Writes `front` into the run in `run_dir`, below [`FRONT`], as `front.json`, `front.csv` and
/// `front.html`, and returns the path of the page.
///
/// # Errors
/// [`ReportError::Write`] if one of them cannot be written.
pub fn write_front(run_dir: &Path, front: &Front) -> Result<PathBuf, ReportError> {
    let folder = Folder::open(run_dir)?.within(FRONT)?;
    publish(&folder, "front.csv", front_csv(front))?;
    let json = serde_json::to_string_pretty(front).map_err(|error| ReportError::Write {
        path: folder.file("front.json"),
        source: error.into(),
    })?;
    publish(&folder, "front.json", json + "\n")?;
    publish(&folder, "front.html", front_page(front))
}

/// The folder `path`, which the user named; created if it does not exist.
pub(crate) fn created(path: &Path) -> Result<Folder, ReportError> {
    fs::create_dir_all(path).map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })?;
    Ok(Folder::open(path)?)
}

/// Writes the file `name` in `folder` and returns its path.
pub(crate) fn publish(folder: &Folder, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf, ReportError> {
    folder.publish(name, bytes.as_ref())?;
    Ok(folder.file(name))
}
