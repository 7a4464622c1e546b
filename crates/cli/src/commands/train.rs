//! `da2s train`: the final network of a run's genotype, or of one in a file.

use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::discretize::Genotype;

use super::job::Job;
use crate::args::TrainArguments;
use crate::exit::Failure;

/// Trains, and prints where the run is.
///
/// # Errors
/// Whatever is in the way.
pub fn execute(arguments: &TrainArguments) -> Result<(), Failure> {
    let given = arguments.genotype_file.as_deref().map(read_genotype).transpose()?;
    let mut job = Job::open(&arguments.stage, arguments.resume)?;
    job.show(arguments.live)?;
    if let Some(genotype) = &given {
        job.discretize(Some(genotype))?;
    }
    job.train()?;
    super::print(&format!("{}\n", job.end().display()))
}

/// The genotype in a file: the text of DARTS, or a run's `genotype.json`, which has that text in `genotype`.
fn read_genotype(path: &Path) -> Result<Genotype, Failure> {
    let file = fs::read_to_string(path).map_err(|source| Failure::GenotypeFile {
        path: path.to_owned(),
        source,
    })?;
    let text = match serde_json::from_str::<serde_json::Value>(&file) {
        Ok(json) => json.get("genotype").and_then(|text| text.as_str()).map(str::to_owned),
        Err(_) => None,
    };
    Genotype::parse(text.as_deref().unwrap_or(&file)).map_err(|error| {
        Error::Genotype {
            path: Some(path.to_owned()),
            error,
        }
        .into()
    })
}
