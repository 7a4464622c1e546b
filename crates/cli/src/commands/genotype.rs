//! `da2s genotype`: a genotype in the form of another tool; and reading one that is given, for the other verbs.

use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::discretize::{Genotype, GenotypeForm};
use da2s_records::files;

use crate::args::{GenotypeArguments, GivenGenotype};
use crate::failure::Failure;
use crate::terminal;

/// Prints the genotype.
///
/// # Errors
/// If it cannot be read, or the form cannot say it.
pub fn execute(arguments: &GenotypeArguments) -> Result<(), Failure> {
    let what = arguments.what.as_str();
    let path = Path::new(what);
    let genotype = if path.is_dir() {
        read(&path.join(files::GENOTYPE))?
    } else if path.is_file() {
        read(path)?
    } else {
        parse(what)?
    };
    let form = match arguments.form {
        Some(form) => form,
        None if genotype.cells.reduction.is_none() => GenotypeForm::NasBench201,
        None => GenotypeForm::Darts,
    };
    terminal::print(&format!("{}\n", genotype.to_form(form)?))
}

impl GivenGenotype {
    /// The genotype that was given, in any form.
    ///
    /// # Errors
    /// If it is none, or its file cannot be read.
    pub fn read(&self) -> Result<Option<Genotype>, Failure> {
        match (&self.genotype, &self.genotype_file) {
            (Some(text), _) => parse(text).map(Some),
            (None, Some(path)) => read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// As [`of_file`], of the file that was given, if one was.
    pub(super) fn named(&self, failure: Failure) -> Failure {
        match &self.genotype_file {
            Some(path) => of_file(path, failure),
            None => failure,
        }
    }
}

/// The failure of a stage that was handed the genotype in the file `path`: where it blames a genotype, it names the file.
pub(super) fn of_file(path: &Path, failure: Failure) -> Failure {
    match failure {
        Failure::Run(Error::Genotype { path: None, error }) => Failure::Run(Error::Genotype {
            path: Some(path.to_owned()),
            error,
        }),
        other => other,
    }
}

/// The genotype that `text` says.
pub(super) fn parse(text: &str) -> Result<Genotype, Failure> {
    Genotype::parse(text).map_err(|error| Error::Genotype { path: None, error }.into())
}

/// The genotype in a file: a text in any form, or a run's `genotype.json`.
pub(super) fn read(path: &Path) -> Result<Genotype, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    Genotype::parse(&text).map_err(|error| {
        Error::Genotype {
            path: Some(path.to_owned()),
            error,
        }
        .into()
    })
}
