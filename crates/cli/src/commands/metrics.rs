//! `da2s metrics`: the numbers of runs for other programs: CSV, Parquet, or event files for
//! TensorBoard.

use std::path::PathBuf;

use da2s_report::metrics::{TableFormat, names, write_tables};
use da2s_report::tensorboard::{EventWriter, FOLDER};

use crate::args::{MetricsArguments, MetricsFormat};
use crate::failure::Failure;
use crate::terminal;

/// Writes the files, and prints their paths.
///
/// # Errors
/// If a directory holds no run, a file in it is damaged, or nothing can be written.
pub fn execute(arguments: &MetricsArguments) -> Result<(), Failure> {
    let runs = &arguments.runs;
    let files = match arguments.format {
        MetricsFormat::Csv => write_tables(runs, TableFormat::Csv, &folder(arguments, "")?)?,
        MetricsFormat::Parquet => write_tables(runs, TableFormat::Parquet, &folder(arguments, "")?)?,
        MetricsFormat::Tensorboard => events(arguments)?,
    };
    files.iter().try_for_each(|path| terminal::print_path(path))
}

/// Where the files go: `--out`, or for one run its own directory.
fn folder(arguments: &MetricsArguments, inside: &str) -> Result<PathBuf, Failure> {
    match (&arguments.out, arguments.runs.as_slice()) {
        (Some(out), _) => Ok(out.clone()),
        (None, [run]) => Ok(run.join(inside)),
        (None, _) => Err(Failure::usage(
            "several runs have no folder in common: say with --out DIR where their numbers go",
        )),
    }
}

/// Event files: in `--out` a folder for each run, as TensorBoard tells runs apart.
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
