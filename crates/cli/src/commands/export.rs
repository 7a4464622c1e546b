//! `da2s export`: the trained network of a run in the files of other tools.

use da2s::export::{ExportOptions, export};
use da2s::parallel::Group;
use da2s::run::{RunDirectory, trained};

use super::job::context;
use crate::args::ExportArguments;
use crate::exit::Failure;

/// Writes the network, and prints where.
///
/// # Errors
/// If there is no trained network, the format takes no such option, or the files cannot be written.
pub fn execute(arguments: &ExportArguments) -> Result<(), Failure> {
    let format = arguments.format;
    if arguments.fold_batch_norms && !format.folds() {
        return Err(Failure::NotFolded { format });
    }
    let options = ExportOptions {
        fold_batch_norms: arguments.fold_batch_norms,
    };
    let directory = RunDirectory::read(&arguments.run)?;
    let mut config = directory.config()?;
    // Weights are written from the host, wherever they were trained.
    config.run.device = "cpu".to_owned();
    let trained = trained(&context(&directory, &config, false, &Group::alone()))?;
    let default = || directory.path().join("export").join(format.default_name());
    let out = arguments.out.clone().unwrap_or_else(default);
    export(&trained, format, options, &out)?;
    super::print(&format!("{}\n", out.display()))
}
