//! `da2s report`: writes the report of a run, or one page for several runs.

use std::path::Path;

use crate::args::ReportArguments;
use crate::failure::Failure;
use crate::terminal;

/// Default file name for several runs.
const SIDE_BY_SIDE: &str = "side-by-side.html";

/// Writes the page, and prints its path.
///
/// # Errors
/// If a directory is not a run, a file in it is damaged, or the page cannot be written.
pub fn execute(arguments: &ReportArguments) -> Result<(), Failure> {
    let page = match (&arguments.out, &arguments.runs[..]) {
        (None, [run]) => da2s_report::write_report(run)?,
        (out, runs) => {
            let file = out.as_deref().unwrap_or(Path::new(SIDE_BY_SIDE));
            da2s_report::write_page(runs, file)?;
            file.to_owned()
        }
    };
    terminal::print_path(&page)
}
