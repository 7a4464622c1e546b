//! Reads the four kinds of file in a run directory: text, JSON, JSON lines, PNG. A missing file is
//! not an error.

use serde::de::DeserializeOwned;

use super::files::Files;
use crate::ReportError;

/// The records of a `.jsonl` file.
pub(super) struct JsonLines<R> {
    /// Whether the file exists.
    pub(super) there: bool,
    /// Its complete lines.
    pub(super) records: Vec<R>,
    /// Whether the last line was incomplete and ignored.
    pub(super) cut_off: bool,
}

/// A text file; bytes that are not UTF-8 are an error.
pub(crate) fn read_text<F: Files + ?Sized>(files: &F, file: &str) -> Result<Option<String>, ReportError> {
    let Some(bytes) = files.bytes(file)? else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            Err(ReportError::Damaged {
                path: files.path(file),
                line,
                reason: "not UTF-8 text".to_owned(),
            })
        }
    }
}

/// A JSON file, which `check` accepts or refuses with a reason.
pub(crate) fn read_json<R: DeserializeOwned, F: Files + ?Sized>(
    files: &F,
    file: &str,
    check: impl Fn(&R) -> Result<(), String>,
) -> Result<Option<R>, ReportError> {
    let Some(bytes) = files.bytes(file)? else {
        return Ok(None);
    };
    let damaged = |line, reason| ReportError::Damaged {
        path: files.path(file),
        line,
        reason,
    };
    let record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.line().max(1), reason(&error)))?;
    check(&record).map_err(|reason| damaged(1, reason))?;
    Ok(Some(record))
}

/// A file with one JSON object per line; `check` also receives the first record, to compare later
/// ones with it.
///
/// If the last line has no line break and does not parse, it was left by an interrupted write and
/// is ignored.
pub(super) fn read_lines<R: DeserializeOwned, F: Files + ?Sized>(
    files: &F,
    file: &str,
    check: impl Fn(&R, Option<&R>) -> Result<(), String>,
) -> Result<JsonLines<R>, ReportError> {
    let mut lines = JsonLines {
        there: false,
        records: Vec::new(),
        cut_off: false,
    };
    let Some(bytes) = files.bytes(file)? else {
        return Ok(lines);
    };
    lines.there = true;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let damaged = |reason| ReportError::Damaged {
            path: files.path(file),
            line: index + 1,
            reason,
        };
        match serde_json::from_slice(line) {
            Ok(record) => {
                check(&record, lines.records.first()).map_err(damaged)?;
                lines.records.push(record);
            }
            Err(_) if !line.ends_with(b"\n") => lines.cut_off = true,
            Err(error) => return Err(damaged(reason(&error))),
        }
    }
    Ok(lines)
}

/// A PNG file of at most `most` bytes, recognised by its signature.
pub(super) fn read_png<F: Files + ?Sized>(files: &F, file: &str, most: usize) -> Result<Option<Vec<u8>>, ReportError> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let Some(bytes) = files.bytes(file)? else {
        return Ok(None);
    };
    let reason = match bytes.len() {
        _ if !bytes.starts_with(SIGNATURE) => "not a PNG file".to_owned(),
        length if length > most => format!("{length} bytes, more than the {most} allowed for a picture"),
        _ => return Ok(Some(bytes)),
    };
    Err(ReportError::Damaged {
        path: files.path(file),
        line: 1,
        reason,
    })
}

/// serde_json's message with only the column: the caller knows the line in the file.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} (column {})", error.column()),
        None => message,
    }
}
