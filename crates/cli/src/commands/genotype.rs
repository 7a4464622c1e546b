//! `da2s genotype`: prints a genotype in the form of another tool. Also parses given genotypes for
//! the other commands.

use std::io;
use std::path::Path;

use da2s::Error;
use da2s::run::{file_and_name, read_genotype};
use da2s::space::Genotype;
use da2s_records::Folder;
use da2s_records::files::{GENOTYPE, MOST_WHOLE_BYTES};

use crate::args::{GenotypeArguments, GivenGenotype};
use crate::failure::Failure;
use crate::terminal;

/// Prints the genotype, and warns if the form loses part of it.
///
/// # Errors
/// If it cannot be read, or the form cannot express it.
pub fn execute(arguments: &GenotypeArguments) -> Result<(), Failure> {
    let genotype = given(&arguments.what)?;
    let form = arguments.form.unwrap_or_else(|| genotype.own_form());
    let text = genotype.to_form(form)?;
    if Genotype::parse(&text).ok().as_ref() != Some(&genotype) {
        terminal::tell(&format!(
            "da2s: warning: the form {} does not keep the order of a node's entries: weights that were trained with the original genotype \
             do not match the genotype that is printed here",
            form.name()
        ));
    }
    terminal::print(&format!("{text}\n"))
}

/// Reads a genotype: that of a run directory, one in a file (`FILE` or `FILE:NAME`), or `what` as
/// the text of a genotype.
///
/// # Errors
/// If there is no genotype, or more than one.
pub(super) fn given(what: &str) -> Result<Genotype, Failure> {
    let path = Path::new(what);
    if path.is_dir() {
        of_run(path)
    } else if is_path(what) {
        read(path)
    } else {
        parse(what)
    }
}

/// Whether `what` is the name of a file, or can only be meant as one: every genotype contains
/// brackets or bars, and a name is one word or has an ending.
fn is_path(what: &str) -> bool {
    let path = Path::new(what);
    if path.exists() || file_and_name(path).is_some() {
        return true;
    }
    let is_number = what.chars().all(|c| c.is_ascii_digit());
    let is_text = what.contains(|c: char| c.is_control() || "([{|'\"".contains(c));
    let is_name = !what.contains(char::is_whitespace) || path.extension().is_some_and(|ending| !ending.is_empty());
    !is_number && !is_text && is_name
}

impl GivenGenotype {
    /// The given genotype, in any form.
    ///
    /// # Errors
    /// If it is invalid, or its file cannot be read.
    pub fn read(&self) -> Result<Option<Genotype>, Failure> {
        match (&self.genotype, &self.genotype_file) {
            (Some(text), _) => of_text(text).map(Some),
            (None, Some(path)) => read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Like [`of_file`], for the given file, if any.
    pub(super) fn named(&self, failure: Failure) -> Failure {
        match &self.genotype_file {
            Some(path) => of_file(path, failure),
            None => failure,
        }
    }
}

/// If `failure` is about a genotype, adds `path` to it: the file that contains this genotype.
pub(super) fn of_file(path: &Path, failure: Failure) -> Failure {
    match failure {
        Failure::Run(Error::Genotype { path: None, error }) => Failure::Run(Error::Genotype {
            path: Some(path.to_owned()),
            error,
        }),
        other => other,
    }
}

/// The genotype given by `--genotype`.
pub(super) fn of_text(text: &str) -> Result<Genotype, Failure> {
    if is_path(text) {
        return Err(Failure::usage(format!(
            "--genotype takes the text of a genotype, but {text:.200} looks like a file; use --genotype-file"
        )));
    }
    parse(text)
}

/// Parses the genotype in `text`.
fn parse(text: &str) -> Result<Genotype, Failure> {
    Genotype::parse(text).map_err(|error| Error::Genotype { path: None, error }.into())
}

/// Reads the genotype in a file, or `FILE:NAME`.
pub(super) fn read(path: &Path) -> Result<Genotype, Failure> {
    read_genotype(path).map_err(Failure::from)
}

/// Reads the genotype of the run in `path`.
fn of_run(path: &Path) -> Result<Genotype, Failure> {
    let folder = Folder::open(path)?;
    let file = folder.file(GENOTYPE);
    let missing = || {
        let reason = "there is no such file: the folder is not a run, or its search is not discretized yet";
        Error::io("read", &file, io::Error::new(io::ErrorKind::NotFound, reason))
    };
    let bytes = folder.read(GENOTYPE, MOST_WHOLE_BYTES)?.ok_or_else(missing)?;
    let no_text = |_| {
        Error::io(
            "read",
            &file,
            io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"),
        )
    };
    let text = String::from_utf8(bytes).map_err(no_text)?;
    Genotype::parse(&text).map_err(|error| {
        Error::Genotype {
            path: Some(file),
            error,
        }
        .into()
    })
}
