//! `da2s completions`: shell completions for the commands, their flags and values.

use clap::CommandFactory;

use crate::args::{Arguments, CompletionsArguments};
use crate::failure::Failure;
use crate::terminal;

pub fn execute(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "da2s", &mut script);
    terminal::print_document(&String::from_utf8_lossy(&script))
}
