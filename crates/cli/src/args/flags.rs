//! The flags for settings, generated from the declarations of the settings.
//!
//! Contract: a setting with a short name has a flag of that name, such as `--search-epochs` for
//! `search_epochs`. Its help is the first paragraph of the setting's documentation.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use da2s::config::{ConfigError, Entry, Layer, machine, named};
use da2s::run::devices;
use da2s_settings::{Allowed, FieldKind, Quantity};
use toml::Value;

use super::values::parse;

/// The given flags for settings: any setting, or only those of the machine.
#[derive(Clone, Debug)]
pub struct Flags<const MACHINE_ONLY: bool>(Vec<Flag>);

/// A given flag.
#[derive(Clone, Debug)]
struct Flag {
    key: String,
    value: Value,
}

impl<const MACHINE_ONLY: bool> Flags<MACHINE_ONLY> {
    fn settings() -> Vec<(Entry, &'static str)> {
        if MACHINE_ONLY { machine() } else { named() }
    }

    /// The value given for the setting `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|flag| flag.key == key).map(|flag| &flag.value)
    }

    /// One layer for each given flag.
    ///
    /// # Errors
    /// For the first invalid value.
    pub fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        let layer = |Flag { key, value }: &Flag| {
            let flag = flag_of(key).unwrap_or_default();
            Layer::flag(&flag, key, value.clone())
        };
        self.0.iter().map(layer).collect()
    }
}

/// The command-line flag for the setting `key`, if it has one of its own.
pub fn flag_of(key: &str) -> Option<String> {
    if key == "data.dataset" {
        return Some("DATASET".to_owned());
    }
    let (_, short) = named().into_iter().find(|(entry, _)| entry.key == key)?;
    Some(format!("--{}", long(short)))
}

fn long(short: &str) -> String {
    short.replace('_', "-")
}

fn argument(entry: &Entry, short: &'static str) -> Arg {
    let argument = Arg::new(short)
        .long(long(short))
        .value_name(short.to_uppercase())
        .help(help(entry));
    let FieldKind::Value(allowed) = entry.field.kind else {
        return argument;
    };
    match allowed {
        Allowed::Words(words) => {
            let names: Vec<&str> = words().into_iter().map(|word| word.name).collect();
            argument.value_parser(PossibleValuesParser::new(names).map(Value::String))
        }
        _ => {
            let argument = argument.value_parser(move |text: &str| parse(allowed, text));
            match allowed {
                Allowed::Whole { .. } => argument.value_name("N"),
                Allowed::Number(_) => argument.value_name("NUMBER"),
                Allowed::Path if entry.key.ends_with(".dir") => argument.value_name("DIR"),
                Allowed::Path => argument.value_name("FILE"),
                Allowed::Quantity(Quantity::Bytes) => argument.value_name("BYTES"),
                Allowed::Quantity(Quantity::Milliseconds) => argument.value_name("TIME"),
                Allowed::AnyOf(_) => argument.value_name("N,…"),
                Allowed::List { .. } => argument.value_name("NAME,…"),
                _ => argument,
            }
        }
    }
}

fn help(entry: &Entry) -> String {
    if entry.key == "run.device" {
        return format!("Device; here: {} [default: cpu]", devices().join(", "));
    }
    // Without a full stop, like the help of the other arguments.
    let summary = entry.field.summary().trim_end_matches('.').to_owned();
    match entry.field.kind {
        FieldKind::Value(Allowed::List {
            item: Allowed::Words(words),
            ..
        }) => {
            let names: Vec<&str> = words().into_iter().map(|word| word.name).collect();
            format!("{summary} [possible values: {}]", names.join(", "))
        }
        _ => summary,
    }
}

impl<const MACHINE_ONLY: bool> Args for Flags<MACHINE_ONLY> {
    fn augment_args(command: Command) -> Command {
        let arguments = Self::settings();
        command.args(arguments.iter().map(|(entry, short)| argument(entry, short)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const MACHINE_ONLY: bool> FromArgMatches for Flags<MACHINE_ONLY> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(entry, short): (Entry, &str)| {
            let value = matches.get_one::<Value>(short)?.clone();
            Some(Flag { key: entry.key, value })
        };
        Ok(Self(Self::settings().into_iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
