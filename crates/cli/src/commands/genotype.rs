//! `da2s genotype`: a genotype in the form of another tool; and reading one that is given, for the other verbs.

use std::io;
use std::path::Path;

use da2s::Error;
use da2s::discretize::Genotype;
use da2s_records::files::{GENOTYPE, MOST_WHOLE_BYTES};
use da2s_records::{Folder, read_input};

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
        of_run(path)?
    } else if path.is_file() {
        read(path)?
    } else {
        parse(what)?
    };
    let form = arguments.form.unwrap_or_else(|| genotype.own_form());
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
    of_bytes(read_input(path, MOST_WHOLE_BYTES)?, path)
}

/// The genotype of the run in `path`.
fn of_run(path: &Path) -> Result<Genotype, Failure> {
    let folder = Folder::open(path)?;
    let file = folder.file(GENOTYPE);
    let missing = || Error::io("read", &file, io::ErrorKind::NotFound.into());
    let bytes = folder.read(GENOTYPE, MOST_WHOLE_BYTES)?.ok_or_else(missing)?;
    of_bytes(bytes, &file)
}

fn of_bytes(bytes: Vec<u8>, path: &Path) -> Result<Genotype, Failure> {
    let no_text = || {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not a text in UTF-8");
        Error::io("read", path, source)
    };
    let text = String::from_utf8(bytes).map_err(|_| no_text())?;
    Genotype::parse(&text).map_err(|error| {
        Error::Genotype {
            path: Some(path.to_owned()),
            error,
        }
        .into()
    })
}
