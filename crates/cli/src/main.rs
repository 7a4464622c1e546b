//! The program da2s: arguments in, exit code out. Each command has a file in `commands`.

#![forbid(unsafe_code)]

mod args;
mod clock;
mod commands;
mod dashboard;
mod exit;
mod failure;
mod hints;
mod interrupt;
mod lifeline;
mod memory;
mod plan;
mod processes;
mod progress;
mod pulse;
mod table;
mod terminal;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    lifeline::hold();
    interrupt::survive_file_limits();
    let arguments = match args::Arguments::read() {
        Ok(arguments) => arguments,
        Err(failure) => return failure.tell(),
    };
    let group = match processes::join() {
        Ok(group) => group,
        Err(failure) => return failure.tell(),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| commands::execute(&arguments, &group)));
    // The message of a panic was already written.
    processes::end(&group, ended.unwrap_or(Err(failure::Failure::internal())))
}
