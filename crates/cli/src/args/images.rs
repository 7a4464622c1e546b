//! The images of a run as its first argument: the name of a data set, or a path.
//!
//! Contract: the name of a data set means that data set, even if a file has the same name
//! (`./digits` is the file); anything else is a path if it exists or looks like one. The data set
//! in a folder is determined from its content.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command};
use da2s::data::Format;

/// The images that a command works on.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A data set by its name.
    DataSet(Format),
    /// A folder, or a table of labels.
    At(PathBuf),
}

/// Reads [`ImageSource`].
#[derive(Clone, Copy, Debug)]
pub struct ImageSourceParser;

impl TypedValueParser for ImageSourceParser {
    type Value = ImageSource;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<ImageSource, clap::Error> {
        let named = value.to_str().and_then(Format::from_name);
        if let Some(format) = named.filter(|format| *format != Format::Arrays) {
            return Ok(ImageSource::DataSet(format));
        }
        let path = Path::new(value);
        if path.exists() || path.components().count() > 1 || path.extension().is_some() {
            return Ok(ImageSource::At(path.to_owned()));
        }
        let names: Vec<&str> = Format::readable().map(Format::name).collect();
        // clap suggests a similar name, but never `images`: whoever mistypes the name of a folder
        // does not mean that word.
        let meant = names.iter().filter(|name| **name != Format::Images.name());
        let similar = PossibleValuesParser::new(meant)
            .parse_ref(command, argument, value)
            .err();
        let similar = match similar
            .as_ref()
            .and_then(|error| error.get(ContextKind::SuggestedValue))
        {
            Some(name) => format!("; did you mean {name}?"),
            None => String::new(),
        };
        let message = format!(
            "{} is neither a file, a folder nor a data set ({}){similar}",
            value.to_string_lossy().escape_debug(),
            names.join(", ")
        );
        Err(command.clone().error(ErrorKind::InvalidValue, message))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            Format::readable().map(|format| PossibleValue::new(format.name())),
        ))
    }
}
