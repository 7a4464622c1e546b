//! `da2s config`: the configuration that the arguments come to.

use crate::args::SettingArguments;
use crate::failure::Failure;
use crate::terminal;

/// Prints every setting, as a run would write it to its `config.toml`.
///
/// # Errors
/// If the arguments cannot be.
pub fn execute(arguments: &SettingArguments) -> Result<(), Failure> {
    terminal::print_document(&arguments.resolve()?.to_toml()?)
}
