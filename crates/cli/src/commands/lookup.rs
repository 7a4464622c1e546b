//! `da2s lookup`: how an architecture of NAS-Bench-201 stands in a table of accuracies.

use std::path::Path;

use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Benchmark;
use da2s_records::{Folder, files};
use serde_json::{Value, json};

use crate::args::LookupArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Name of the space in `genotype.json`.
const SPACE: &str = "nas-bench-201";

/// Looks the architecture up, and prints its accuracy, rank and distance to the best in every column.
///
/// # Errors
/// If the table cannot be read, or what is asked for is no architecture or not in it.
pub fn execute(arguments: &LookupArguments) -> Result<(), Failure> {
    let arch = architecture(&arguments.what)?;
    let standings = Benchmark::read(&arguments.benchmark)?.look_up(arch)?;
    if arguments.json {
        let document = json!({ "architecture": arch.to_string(), "columns": standings });
        return terminal::print(&format!("{document:#}\n"));
    }
    terminal::print(&table::of_standings(arch, &standings))
}

/// What is asked for: the text of an architecture, or a run directory.
fn architecture(what: &str) -> Result<Arch201, Failure> {
    let path = Path::new(what);
    if what.starts_with('|') {
        return Ok(what.parse()?);
    }
    let problem = |problem: String| {
        Failure::new(
            Code::RunDirectory,
            format!("{} cannot be looked up: {problem}", path.display()),
        )
    };
    if !path.exists() {
        return Err(problem(
            "it is no run directory, and no architecture, which would begin with `|`".to_owned(),
        ));
    }
    let bytes = Folder::open(path).and_then(|folder| folder.read(files::GENOTYPE, files::MOST_WHOLE_BYTES));
    let bytes = bytes.map_err(|error| problem(format!("genotype.json cannot be read: {}", error.source)))?;
    let bytes = bytes.ok_or_else(|| problem("genotype.json is missing".to_owned()))?;
    let genotype: Value =
        serde_json::from_slice(&bytes).map_err(|error| problem(format!("genotype.json is damaged: {error}")))?;
    match (genotype["space"].as_str(), genotype["genotype"].as_str()) {
        (Some(SPACE), Some(text)) => Ok(text.parse()?),
        (Some(SPACE), None) => Err(problem("genotype.json is damaged: it has no genotype".to_owned())),
        (space, _) => Err(problem(format!(
            "its space is {}, and only {SPACE} has such tables",
            space.unwrap_or("not known")
        ))),
    }
}
