//! The command da2s: arguments in, exit code out. What it does is in `commands`, a file a verb.

#![forbid(unsafe_code)]

mod args;
mod clock;
mod commands;
mod dashboard;
mod exit;
mod interrupt;
mod progress;
mod table;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match std::panic::catch_unwind(|| commands::execute(&arguments)) {
        Ok(Ok(())) => exit::Code::Done.into(),
        Ok(Err(failure)) => failure.tell(),
        // The panic's own message has been written by then.
        Err(_) => exit::Failure::Internal.tell(),
    }
}
