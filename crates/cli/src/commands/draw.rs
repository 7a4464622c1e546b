//! `da2s draw`: the cells and curves of a run as pictures.

use da2s_report::drawing::DrawingFormat;

use crate::args::DrawArguments;
use crate::failure::Failure;
use crate::terminal;

/// Writes the pictures, and prints their paths.
///
/// # Errors
/// If the directory is not a run or has nothing to draw, a file in it is damaged, or a picture
/// cannot be written.
pub fn execute(arguments: &DrawArguments) -> Result<(), Failure> {
    let asked = |format: &DrawingFormat| arguments.format.iter().any(|name| name == format.name());
    let formats: Vec<DrawingFormat> = DrawingFormat::ALL.iter().copied().filter(asked).collect();
    let paths = da2s_report::write_drawings(&arguments.run, &formats, arguments.out.as_deref())?;
    paths.iter().try_for_each(|path| terminal::print_path(path))
}
