//! `da2s man`: a manual page for each command, generated from the same declarations as `--help`.

use std::fs;

use clap::CommandFactory;
use da2s::Error;

use crate::args::{Arguments, ManArguments};
use crate::failure::Failure;

pub fn execute(arguments: &ManArguments) -> Result<(), Failure> {
    let folder = &arguments.out;
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(|error| Error::io("write to", folder, error))?;
    Ok(())
}
