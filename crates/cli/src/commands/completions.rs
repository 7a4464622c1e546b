//! `da2s completions`: what a shell needs to complete these commands, their flags and values.

use clap::CommandFactory;

use super::print;
use crate::args::{Arguments, CompletionsArguments};
use crate::exit::Failure;

pub fn execute(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "da2s", &mut script);
    print(&String::from_utf8_lossy(&script))
}
