//! `da2s data`: lists the data sets, checks a folder, finds doubtful labels, and downloads a data
//! set.

mod check;
mod download;
mod fetch;
mod suspects;

use std::fmt::Write as _;

use da2s::data::{Format, ImageShape};

use crate::args::DataVerb;
use crate::failure::Failure;
use crate::terminal;

/// Executes the subcommand.
///
/// # Errors
/// Any failure.
pub fn execute(verb: &DataVerb) -> Result<(), Failure> {
    match verb {
        DataVerb::List => terminal::print(&list()),
        DataVerb::Check(arguments) => check::execute(arguments),
        DataVerb::Suspects(arguments) => suspects::execute(arguments),
        DataVerb::Fetch(arguments) => fetch::execute(arguments),
    }
}

/// The table of data sets.
fn list() -> String {
    let mut text = format!("{:<10}{:<18}{:<11}size\n", "name", "images", "classes");
    for format in Format::readable() {
        let facts = format.facts();
        let size = facts.shape.map_or("any".to_owned(), size);
        let get = match fetch::source(format) {
            Some(_) => format!("; da2s data fetch {format}"),
            None => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<10}{:<18}{:<11}{size}\n{:10}{}\n{:10}folder: {}{get}\n{:10}source: {}",
            format.name(),
            facts.images,
            facts.classes,
            "",
            facts.title,
            "",
            facts.folder,
            "",
            facts.source
        );
    }
    text
}

fn size(shape: ImageShape) -> String {
    let colour = if shape.channels == 1 { "grey" } else { "colour" };
    format!("{}×{}, {colour}", shape.height, shape.width)
}
