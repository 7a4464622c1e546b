//! `da2s config`: the resolved configuration for the arguments, or a description of all settings.

use da2s::config::{Config, Planned, reference, schema};
use da2s::memory::{Bytes, available};

use crate::args::ConfigArguments;
use crate::failure::Failure;
use crate::terminal;

/// The beginning of the reference.
const HEAD: &str = "\
# Settings

*Every setting, its default and its allowed values. `da2s config --reference` writes this page.*

`da2s config`, with the arguments of a run, prints the settings of that run. `--config FILE` and `--set KEY=VALUE` change them, in the order defaults < recipe < file < flags. In a
file the part before the last dot is the table: `[search.regulariser]`, below it `lambda = 0.5`. A setting with a short name also has a flag and a keyword argument in
Python: `search_epochs` is `--search-epochs 10` and `search_epochs=10`. The defaults here are those of the embedded digits;
the folder `crates/da2s/recipes/` has what the other recipes change. *Unset* means that the setting has no value. Settings must also fit each other; if they do not, the error says
what is allowed.

An editor with a language server for TOML completes and checks a file whose first line is `#:schema settings.schema.json`, with
`crates/da2s/recipes/settings.schema.json` beside it; `da2s config --schema` writes that file.

";

/// Prints every setting, as in the `config.toml` of a run; or the memory that a run needs; or the
/// reference; or the JSON schema.
///
/// # Errors
/// If the arguments are invalid.
pub fn execute(arguments: &ConfigArguments) -> Result<(), Failure> {
    if arguments.memory {
        return terminal::print(&memory(&arguments.settings.resolve()?)?);
    }
    terminal::print_document(&if arguments.reference {
        format!("{HEAD}{}", reference()?)
    } else if arguments.schema {
        schema()?
    } else {
        arguments.settings.resolve()?.to_toml()?
    })
}

/// A table of the needed and the available memory.
fn memory(config: &Config) -> Result<String, Failure> {
    let threads = match config.run.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let planned = Planned::new(config, threads)?;
    let mut text = format!("{:<14}{:>14}{:>20}\n", "memory", "search step", "training step, most");
    let rows = planned.search.rows().into_iter().zip(planned.train.rows());
    for ((name, search), (_, train)) in rows.filter(|((name, _), _)| *name != "images") {
        text += &format!(
            "{name:<14}{:>14}{:>20}\n",
            Bytes(search).to_string(),
            Bytes(train).to_string()
        );
    }
    let (search, train) = (planned.search.total(), planned.train.total());
    text += &format!(
        "{:<14}{:>14}{:>20}\n",
        "all",
        Bytes(search).to_string(),
        Bytes(train).to_string()
    );
    text += "without the images in memory; on the CPU with the fused engine";
    text += &available().map_or_else(String::new, |available| format!("; {available}"));
    Ok(text + "\n")
}
