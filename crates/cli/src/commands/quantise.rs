//! `da2s quantise`: quantises the trained network of a run to int8, measures it on the test images,
//! and writes it for `da2s-infer` and for ONNX.

use da2s::run::Int8Options;

use super::session::Session;
use crate::args::QuantiseArguments;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Quantises, and prints the results and the paths.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &QuantiseArguments) -> Result<(), Failure> {
    let stage = &arguments.stage;
    let mut session = Session::open(&stage.run, stage.quiet, &arguments.request()?)?;
    let quantised = session.quantise(Int8Options {
        images: arguments.images as usize,
        range: arguments.range,
    })?;
    terminal::print(&table::of_quantisation(&quantised))
}
