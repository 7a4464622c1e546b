//! Parses the command line. If a command on an existing run does not accept a setting, the error
//! lists the settings that it does accept; the parser would only call the argument unexpected.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use da2s::config::named;

use super::meant::with_meant;
use super::{Arguments, flag_of};
use crate::failure::Failure;

/// Flags for settings, in addition to those for a single setting.
const SETTINGS: [&str; 4] = ["--set", "--config", "--recipe", "--epochs"];

impl Arguments {
    /// Parses the arguments of this process; exits if the parser handles them completely, as with
    /// `--help`.
    ///
    /// # Errors
    /// For a setting that a command on an existing run does not accept.
    pub fn read() -> Result<Self, Failure> {
        let words: Vec<OsString> = std::env::args_os().collect();
        Self::try_parse_from(&words).map_err(|error| match refusal(&words, &error) {
            Some(reason) => Failure::usage(reason),
            None => with_meant(&words, error).exit(),
        })
    }
}

/// The message instead of `error` for the arguments `words`, if the error is about a setting that a
/// command on an existing run does not accept.
fn refusal(words: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let settings = named();
    let is_setting = settings
        .iter()
        .any(|(entry, _)| flag_of(&entry.key).as_ref() == Some(flag));
    if error.kind() != ErrorKind::UnknownArgument || !(is_setting || SETTINGS.contains(&flag.as_str())) {
        return None;
    }
    let arguments = Arguments::command();
    let command = arguments.find_subcommand(words.get(1)?)?;
    if !command
        .get_positionals()
        .any(|run| ["run", "runs"].contains(&run.get_id().as_str()))
    {
        return None;
    }
    let taken = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && settings.iter().any(|(_, short)| argument.get_id() == short));
    let taken: Vec<String> = taken
        .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
        .collect();
    let taken = match taken.split_last() {
        None => "no settings".to_owned(),
        Some((only, [])) => format!("only {only}"),
        Some((last, others)) => format!("only {} and {last}", others.join(", ")),
    };
    Some(format!(
        "{flag} cannot be given here: a run keeps its settings, and `da2s {}` takes {taken}; for other settings create a run with \
         `da2s run --config RUN/config.toml --set KEY=VALUE`",
        command.get_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Option<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        refusal(&words, &Arguments::try_parse_from(&words).unwrap_err())
    }

    #[test]
    fn a_command_on_a_run_names_the_settings_that_it_takes() {
        let train = told(&["da2s", "train", "RUN", "--set", "network.epochs=9"]).unwrap();
        assert!(train.contains("`da2s train` takes only --threads, --device"), "{train}");
        assert!(train.contains("--data-dir and --epochs; for other settings"), "{train}");
        let evaluate = told(&["da2s", "evaluate", "--epochs=9", "RUN"]).unwrap();
        assert!(evaluate.contains("--engine and --data-dir;"), "{evaluate}");
        assert!(!evaluate.contains("--on-nan"), "{evaluate}");
        let export = told(&["da2s", "export", "RUN", "--seed", "3"]).unwrap();
        assert!(export.contains("`da2s export` takes no settings"), "{export}");
    }

    #[test]
    fn other_errors_come_from_the_parser() {
        for words in [
            &["da2s", "train", "RUN", "--sett", "a=1"][..],
            &["da2s", "train"],
            &["da2s", "lookup", "--set", "a=1"],
            &["da2s", "run", "--epochs", "3"],
        ] {
            assert_eq!(told(words), None, "{words:?}");
        }
    }
}
