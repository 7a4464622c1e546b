//! `da2s export`: writes the trained network of a run in the format of another tool.

use da2s::config::{Layer, Request};
use da2s::export::ExportOptions;
use da2s::run::Job;

use super::session::this_command;
use crate::args::ExportArguments;
use crate::failure::Failure;
use crate::terminal;

/// Writes the network, and prints its path.
///
/// # Errors
/// If there is no trained network, the format does not have a given option, or the files cannot be
/// written.
pub fn execute(arguments: &ExportArguments) -> Result<(), Failure> {
    let format = arguments.format;
    if arguments.fold_batch_norms && !format.is_graph() {
        let reason = format!("--fold-batch-norms is for --format onnx: {format} keeps the layers of DARTS");
        return Err(Failure::usage(reason));
    }
    if arguments.with_preprocessing && !format.is_graph() {
        let reason = format!("--with-preprocessing is for --format onnx: {format} has no graph to include it in");
        return Err(Failure::usage(reason));
    }
    let options = ExportOptions {
        fold_batch_norms: arguments.fold_batch_norms,
        with_preprocessing: arguments.with_preprocessing,
    };
    // Weights are exported from the host, whatever device and kernels trained them.
    let request = Request {
        layers: vec![
            Layer::flag("export", "run.device", "cpu".into())?,
            Layer::flag("export", "run.engine", "auto".into())?,
        ],
        ..Request::default()
    };
    let job = Job::read(&arguments.run, &request, this_command())?;
    let out = job.export(format, options, arguments.out.as_deref())?;
    terminal::print_path(&out)
}
