//! `da2s lookup`: looks up an architecture of NAS-Bench-201 in a table of accuracies.

use std::fmt::Display;
use std::path::Path;

use da2s::run::file_and_name;
use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Benchmark;
use da2s_records::{Folder, files};
use serde_json::{Value, json};

use super::genotype;
use crate::args::LookupArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table;
use crate::terminal;

/// Name of the space in `genotype.json`.
const SPACE: &str = "nas-bench-201";

/// Looks the architecture up, and prints its accuracy, rank and distance to the best in every
/// column.
///
/// # Errors
/// If the table cannot be read, or the argument is not an architecture or not in the table.
pub fn execute(arguments: &LookupArguments) -> Result<(), Failure> {
    let what = arguments.what.as_str();
    let index = what.trim().parse().ok().filter(|_| !Path::new(what).exists());
    let (arch, table) = match index {
        Some(index) => {
            let table = Benchmark::read(&arguments.benchmark)?;
            (table.at_index(index)?, table)
        }
        None => (architecture(what)?, Benchmark::read(&arguments.benchmark)?),
    };
    let standings = table.look_up(arch)?;
    if arguments.json {
        let document = json!({
            "architecture": arch.to_string(),
            "columns": standings,
            "passed_over": table.passed_over(),
        });
        return terminal::print(&format!("{document:#}\n"));
    }
    terminal::print(&table::of_standings(arch, &standings, table.passed_over()))
}

/// Reads the argument: an architecture in any form, a file with one, or a run directory.
fn architecture(what: &str) -> Result<Arch201, Failure> {
    let path = Path::new(what);
    if path.is_dir() {
        return of_run(path);
    }
    if !path.exists() && file_and_name(path).is_none() && !what.contains(['|', '(', '[', '{']) {
        let problem = "it is neither a run directory nor a file nor an architecture";
        return Err(refused(path, Code::RunDirectory, problem));
    }
    let genotype = genotype::given(what)?;
    let other = || {
        refused(
            path,
            Code::Genotype,
            "it is a genotype of DARTS, but only NAS-Bench-201 has such tables",
        )
    };
    Arch201::of(&genotype).ok_or_else(other)
}

fn refused(path: &Path, code: Code, problem: impl Display) -> Failure {
    Failure::new(
        code,
        format!("{:.200} cannot be looked up: {problem}", path.display().to_string()),
    )
}

/// The architecture of the run in `path`.
fn of_run(path: &Path) -> Result<Arch201, Failure> {
    let problem = |problem: String| refused(path, Code::RunDirectory, problem);
    let bytes = Folder::open(path).and_then(|folder| folder.read(files::GENOTYPE, files::MOST_WHOLE_BYTES));
    let bytes = bytes.map_err(|error| problem(format!("genotype.json cannot be read: {}", error.source)))?;
    let bytes = bytes.ok_or_else(|| problem("it is not a run directory: genotype.json is missing".to_owned()))?;
    let genotype: Value =
        serde_json::from_slice(&bytes).map_err(|error| problem(format!("genotype.json is damaged: {error}")))?;
    match (genotype["space"].as_str(), genotype["genotype"].as_str()) {
        (Some(SPACE), Some(text)) => Ok(text.parse()?),
        (Some(SPACE), None) => Err(problem("genotype.json is damaged: it has no genotype".to_owned())),
        (space, _) => Err(problem(format!(
            "its space is {}, but only {SPACE} has such tables",
            space.unwrap_or("unknown")
        ))),
    }
}
