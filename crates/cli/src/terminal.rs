//! The standard output and the standard error: the only way to either.
//!
//! Contract: no text reaches a terminal with a character that controls it, whoever's name, value or
//! reason is in it. A text of several lines is cleaned line by line; a name that is put into one
//! goes through [`escaped`] first, or it could add a line of its own.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

pub use da2s_records::escaped;
use da2s_records::one_line;

use crate::exit::Code;
use crate::failure::Failure;

/// Writes a result to the standard output. A reader that has gone away has read enough.
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

/// Writes a text that another program may read: to a terminal as [`print`] does, elsewhere as it
/// is.
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

/// Writes a path and the end of a line, which another program may read: to a terminal escaped,
/// elsewhere as it is.
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

/// Writes one line to the standard error. Where that is closed there is nobody to tell.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(text));
}
