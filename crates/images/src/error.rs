//! Why a file cannot be read as an image.
//!
//! Contract: [`ImageError`] is one sentence that names the file; error texts of decoders are
//! cleaned first.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::file::MOST_FILE_BYTES;
use crate::format::ImageFormat;

/// A file that cannot be used, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ImageError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: ImageProblem,
}

impl ImageError {
    /// An error about the file `path`.
    pub fn new(path: &Path, problem: ImageProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }
}

/// The kinds of problems with a file.
#[derive(Debug)]
pub enum ImageProblem {
    /// Its bytes cannot be read: it is missing, a broken link, not a regular file, or not readable
    /// by this user.
    Unreadable(io::Error),
    /// It does not begin like any known format.
    NotAnImage,
    /// An empty file.
    Empty,
    /// Its format is known, but it is cut short, altered or inconsistent.
    Damaged {
        /// The format that its first bytes indicate.
        format: ImageFormat,
        /// What shows the damage.
        reason: Cow<'static, str>,
    },
    /// It may be complete, but its format or variant is not supported.
    Unsupported {
        /// The format or the variant.
        what: Cow<'static, str>,
    },
    /// It exceeds a limit: see `MOST_FILE_BYTES` and [`crate::MOST_DECODED_BYTES`].
    TooLarge {
        /// Its size, in words.
        size: String,
    },
}

impl ImageProblem {
    pub(crate) fn damaged(format: ImageFormat, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Damaged {
            format,
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    pub(crate) fn too_many_pixels(width: u64, height: u64) -> Self {
        Self::TooLarge {
            size: format!("{width}×{height} pixels"),
        }
    }

    /// Converts an error of the decoder of `format`.
    pub(crate) fn from_decoder(format: ImageFormat, error: &image::ImageError) -> Self {
        use image::ImageError as Said;
        match error {
            Said::Unsupported(error) => Self::unsupported(cleaned(&error.to_string())),
            Said::Limits(_) => Self::TooLarge {
                size: format!("this {format} image"),
            },
            Said::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::damaged(format, ENDS_EARLY),
            Said::Decoding(error) => {
                let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
                Self::damaged(format, cleaned(&reason))
            }
            Said::Encoding(_) | Said::Parameter(_) | Said::IoError(_) => {
                Self::damaged(format, cleaned(&error.to_string()))
            }
        }
    }
}

impl From<io::Error> for ImageProblem {
    /// Converts an error of [`crate::read_file`].
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Self::TooLarge {
                size: format!("more than {} MiB", MOST_FILE_BYTES >> 20),
            },
            _ => Self::Unreadable(error),
        }
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(out, "cannot be read: {error}"),
            Self::Empty => write!(out, "the file is empty"),
            Self::NotAnImage => write!(out, "not an image: it begins like no {} file", ImageFormat::names("or")),
            Self::Damaged { format, reason } => write!(out, "damaged {format} image: {reason}"),
            Self::Unsupported { what } => write!(out, "not supported: {what}; convert it to PNG or JPEG"),
            Self::TooLarge { size } => write!(out, "too large: {size}"),
        }
    }
}

impl std::error::Error for ImageProblem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason given for every file that was cut short.
pub(crate) const ENDS_EARLY: &str = "it ends early";

/// A decoder's text as part of a sentence: one line, without surrounding quotes or a full stop.
pub(crate) fn cleaned(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let mut text = words.join(" ");
    // The PNG decoder prints a chunk as a Rust struct.
    while let Some((before, rest)) = text.split_once("ChunkType { type: ") {
        let (chunk, after) = rest.split_once('}').unwrap_or((rest, ""));
        let name = chunk.split(',').next().unwrap_or_default();
        text = format!("{before}{name}{after}");
    }
    text.trim_matches(['"', '.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_decoders_become_part_of_a_sentence() {
        assert_eq!(
            cleaned("\"Found a marker\n with invalid length:1\n\"."),
            "Found a marker with invalid length:1"
        );
        let debug = "while decoding ChunkType { type: IDAT, critical: true, safecopy: false } chunk";
        assert_eq!(cleaned(debug), "while decoding IDAT chunk");
        assert_eq!(cleaned("ChunkType { type: A"), "A");
        let problem = ImageProblem::damaged(ImageFormat::Jpeg, ENDS_EARLY);
        assert_eq!(
            ImageError::new(Path::new("a/b.jpg"), problem).to_string(),
            "a/b.jpg: damaged JPEG image: it ends early"
        );
    }
}
