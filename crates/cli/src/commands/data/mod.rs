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
use crate::table::columns_with;
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

/// The table of data sets, and for each its files, how to get them, and its source.
fn list() -> String {
    let heading = ["name", "data set", "training + test", "classes", "size"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let mut details = String::new();
    for format in Format::readable() {
        let facts = format.facts();
        let size = facts.shape.map_or("any".to_owned(), size);
        let cells = [format.name(), facts.title, facts.images, facts.classes, &size];
        rows.push(cells.map(str::to_owned).to_vec());
        let get = fetch::source(format).map_or_else(String::new, |_| format!("da2s data fetch {format}"));
        // Writing to a String cannot fail.
        let _ = writeln!(details, "\n{format}");
        for (name, text) in [("files", facts.folder), ("get", &get), ("source", facts.source)] {
            for (line, part) in text.split("; ").filter(|part| !part.is_empty()).enumerate() {
                let name = if line == 0 { name } else { "" };
                let _ = writeln!(details, "  {name:<8}{part}");
            }
        }
    }
    columns_with(&rows, |_| true) + &details
}

fn size(shape: ImageShape) -> String {
    let colour = if shape.channels == 1 { "grey" } else { "colour" };
    format!("{}×{}, {colour}", shape.height, shape.width)
}
