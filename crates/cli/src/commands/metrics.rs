//! `da2s metrics`: the numbers of runs for other programs: CSV, Parquet, or event files for TensorBoard.

use std::path::{Path, PathBuf};

use da2s_report::metrics::{TableFormat, names, write_tables};
use da2s_report::tensorboard::{EventWriter, FOLDER};

use crate::args::{MetricsArguments, MetricsFormat};
use crate::exit::Failure;

/// Writes the files, and prints their paths.
///
/// # Errors
/// If a directory holds no run, a file in it is damaged, or nothing can be written.
pub fn execute(arguments: &MetricsArguments) -> Result<(), Failure> {
    let runs = &arguments.runs;
    let files = match arguments.format {
        MetricsFormat::Csv => write_tables(runs, TableFormat::Csv, &folder(arguments, "")?)?,
        MetricsFormat::Parquet => write_tables(runs, TableFormat::Parquet, &folder(arguments, "")?)?,
        MetricsFormat::Tensorboard => events(runs, &folder(arguments, FOLDER)?)?,
    };
    let paths: String = files.iter().map(|path| format!("{}\n", path.display())).collect();
    super::print(&paths)
}

/// Where the files go: `--out`, or for one run its own directory.
fn folder(arguments: &MetricsArguments, inside: &str) -> Result<PathBuf, Failure> {
    match (&arguments.out, arguments.runs.as_slice()) {
        (Some(out), _) => Ok(out.clone()),
        (None, [run]) => Ok(run.join(inside)),
        (None, _) => Err(Failure::Arguments(
            "several runs have no folder in common: say with --out DIR where their numbers go".to_owned(),
        )),
    }
}

/// Event files: of one run in `out`, of several in a folder each, as TensorBoard tells runs apart.
fn events(runs: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = names(runs);
    let folders = runs.iter().zip(&names).map(|(run, name)| match runs {
        [_] => (run, out.to_owned()),
        _ => (run, out.join(name)),
    });
    folders
        .map(|(run, folder)| Ok(EventWriter::new(run, &folder).update()?))
        .collect()
}
