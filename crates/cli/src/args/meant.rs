//! The flags that an unknown flag may mean: those that contain its words, such as
//! `--search-epochs` for `--epoch`. The parser itself only suggests flags with a similar spelling.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};
use da2s::config::Config;

use super::Arguments;

/// A word of at least this length matches longer words that begin with it: `out` matches `output`.
const SHORTEST: usize = 3;

/// Returns `error`, which is about the arguments `words`. If it is about an unknown flag, and other
/// flags contain its words, they are added as suggestions.
pub(super) fn with_meant(words: &[OsString], mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let mut arguments = Arguments::command();
    arguments.build();
    let meant = meant(command_in(words, &mut arguments), flag);
    if error.kind() == ErrorKind::UnknownArgument && !meant.is_empty() {
        let usage = command_in(words, &mut arguments).render_usage();
        error.insert(ContextKind::SuggestedArg, ContextValue::Strings(meant));
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    error
}

/// The command that `words` begin with.
fn command_in<'a>(words: &[OsString], all: &'a mut Command) -> &'a mut Command {
    let mut command = all;
    for word in words.iter().skip(1) {
        if command.find_subcommand(word).is_none() {
            break;
        }
        command = command.find_subcommand_mut(word).expect("it was just found");
    }
    command
}

/// The flags of `command` that contain all words of `flag`; if there are none and the command has
/// `--set`, the settings that do.
fn meant(command: &Command, flag: &str) -> Vec<String> {
    let asked: Vec<&str> = words_of(flag).collect();
    let has_all = |name: &str| {
        asked
            .iter()
            .all(|asked| words_of(name).any(|word| are_alike(asked, word)))
    };
    let visible = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let flags: Vec<&str> = visible.filter_map(|argument| argument.get_long()).collect();
    let meant: Vec<String> = flags
        .iter()
        .filter(|name| has_all(name))
        .map(|name| format!("--{name}"))
        .collect();
    if !meant.is_empty() || !flags.contains(&"set") {
        return meant;
    }
    let settings = Config::TABLE.entries().into_iter();
    settings
        .filter(|entry| has_all(entry.field.name))
        .map(|entry| format!("--set {}=VALUE", entry.key))
        .collect()
}

fn words_of(name: &str) -> impl Iterator<Item = &str> {
    name.split(['-', '_']).filter(|word| !word.is_empty())
}

/// Whether the words are equal, or the longer one begins with the shorter one.
fn are_alike(one: &str, other: &str) -> bool {
    let shorter = one.len().min(other.len());
    one == other || shorter >= SHORTEST && (one.starts_with(other) || other.starts_with(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn told(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::try_parse_from(&words).unwrap_err();
        with_meant(&words, error).to_string()
    }

    #[test]
    fn flags_and_settings_with_the_words_of_an_unknown_flag_are_suggested() {
        for (line, tip) in [
            (
                "da2s run digits --epoch 3",
                "'--search-epochs', '--extra-epochs', '--tuning-epochs', '--train-epochs'",
            ),
            ("da2s run --size 8", "'--image-size', '--max-size'"),
            ("da2s run --output a", "'--out'"),
            (
                "da2s run --batch_size 8",
                "'--set search.batch_size=VALUE', '--set network.batch_size=VALUE'",
            ),
            ("da2s data check --data", "'--dataset'"),
            // Misspelled: the parser's own suggestion.
            ("da2s run --depht 3", "'--depth'"),
        ] {
            let told = told(line);
            assert!(told.contains(tip), "{told}");
        }
        let told = told("da2s run digits --epoch 3");
        assert!(told.contains("\n\nUsage: da2s run [OPTIONS] [DATASET]\n"), "{told}");
        assert!(!told.contains("--depth"), "{told}");
    }

    #[test]
    fn nothing_is_suggested_if_no_flag_has_the_words() {
        for line in ["da2s run --qqq", "da2s lookup --learning-rate 3", "da2s runn"] {
            let told = told(line);
            assert!(!told.contains("similar argument"), "{told}");
        }
    }
}
