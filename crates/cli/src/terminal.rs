//! The standard output and the standard error. All output goes through this module.
//!
//! Contract: no text reaches a terminal with control characters, wherever its names, values or
//! reasons come from. A text of several lines is cleaned line by line; a name inserted into one
//! must go through [`escaped`] first, or it could add a line.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

pub use da2s_records::escaped;
use da2s_records::one_line;

use crate::exit::Code;
use crate::failure::Failure;

/// Writes a result to the standard output. A closed pipe is not an error.
///
/// # Errors
/// If it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => shown.extend([&escaped(line), "\n"]),
            None => shown.push_str(&escaped(line)),
        }
    }
    write(shown.as_bytes())
}

/// Writes a text that another program may read: to a terminal like [`print`], otherwise unchanged.
///
/// # Errors
/// If it cannot be written.
pub fn print_document(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        print(text)
    } else {
        write(text.as_bytes())
    }
}

/// Writes a path and a line break, for another program to read: escaped on a terminal, otherwise
/// unchanged.
///
/// # Errors
/// If it cannot be written.
pub fn print_path(path: &Path) -> Result<(), Failure> {
    let name = path.as_os_str();
    let line = if io::stdout().is_terminal() {
        escaped(&name.to_string_lossy()).into_bytes()
    } else {
        name.as_encoded_bytes().to_vec()
    };
    write(&[&line, b"\n".as_slice()].concat())
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Files, format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one line to the standard error. Does nothing if it is closed.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(text));
}
