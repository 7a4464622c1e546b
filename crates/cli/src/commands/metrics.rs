//! `da2s metrics`: exports the numbers of runs for other programs, as CSV, Parquet, or TensorBoard
//! event files.

use std::path::PathBuf;

use da2s_report::metrics::{TableFormat, names, write_tables};
use da2s_report::tensorboard::{EventWriter, FOLDER};

use crate::args::{MetricsArguments, MetricsFormat};
use crate::failure::Failure;
use crate::terminal;

/// Writes the files, and prints their paths.
///
/// # Errors
/// If a directory is not a run, a file in it is damaged, or an output file cannot be written.
pub fn execute(arguments: &MetricsArguments) -> Result<(), Failure> {
    let runs = &arguments.runs;
    let files = match arguments.format {
        MetricsFormat::Csv => write_tables(runs, TableFormat::Csv, &folder(arguments, "")?)?,
        MetricsFormat::Parquet => write_tables(runs, TableFormat::Parquet, &folder(arguments, "")?)?,
        MetricsFormat::Tensorboard => events(arguments)?,
    };
    files.iter().try_for_each(|path| terminal::print_path(path))
}

/// The folder for the files: `--out`, or for a single run its own directory.
fn folder(arguments: &MetricsArguments, inside: &str) -> Result<PathBuf, Failure> {
    match (&arguments.out, arguments.runs.as_slice()) {
        (Some(out), _) => Ok(out.clone()),
        (None, [run]) => Ok(run.join(inside)),
        (None, _) => Err(Failure::usage(
            "several runs need a folder for their files: give --out DIR",
        )),
    }
}

/// Event files: one folder per run in `--out`, since TensorBoard identifies runs by folder.
fn events(arguments: &MetricsArguments) -> Result<Vec<PathBuf>, Failure> {
    let (runs, out) = (&arguments.runs, folder(arguments, FOLDER)?);
    let folders = runs.iter().zip(names(runs)).map(|(run, name)| match arguments.out {
        Some(_) => (run, out.join(name)),
        None => (run, out.clone()),
    });
    folders
        .map(|(run, folder)| Ok(EventWriter::new(run, &folder).update()?))
        .collect()
}
