//! Which settings of a request differ from those of the run that it resumes.
//!
//! Contract: a setting that cannot change the results may differ.

use toml::{Table, Value};

use crate::config::Config;

/// Describes a setting that differs but must not.
pub fn difference(stored: &Config, asked: &Config) -> Option<String> {
    let mut asked = asked.clone();
    if asked.network.training.epochs != stored.network.training.epochs {
        // Nobody asked for the changes of the length, so the length itself is reported.
        asked
            .network
            .training
            .earlier_epochs
            .clone_from(&stored.network.training.earlier_epochs);
    }
    // Both were read from TOML, so both can be converted back.
    let (stored, asked) = (Table::try_from(stored).ok()?, Table::try_from(&asked).ok()?);
    first_difference(&stored, &asked, "")
}

/// Whether the setting `key` may change when a run resumes: settings for where the run is computed,
/// where its images are, and how it handles NaN. Another engine or device rounds differently, so
/// identical bits are guaranteed only if these two stay the same.
fn may_change(key: &str) -> bool {
    let entries = Config::TABLE.entries();
    entries.iter().any(|entry| entry.key == key && entry.field.may_change)
}

fn first_difference(stored: &Table, asked: &Table, prefix: &str) -> Option<String> {
    let names = stored
        .keys()
        .chain(asked.keys().filter(|name| !stored.contains_key(*name)));
    names.into_iter().find_map(|name| {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let (old, new) = (stored.get(name), asked.get(name));
        match (old, new) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => first_difference(old, new, &key),
            _ if old == new || may_change(&key) => None,
            // The run contains the number computed for "auto".
            (Some(Value::Float(_)), Some(Value::String(word))) if word == "auto" => None,
            _ => {
                let say = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
                let (old, new) = (say(old), say(new));
                Some(format!("it has {key} = {old}, but {new} was requested"))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, resolve};

    fn config(assignments: &[&str]) -> Config {
        let layers: Vec<Layer> = assignments
            .iter()
            .map(|text| Layer::assignment("set", text).unwrap())
            .collect();
        resolve(&layers).unwrap()
    }

    #[test]
    fn only_what_changes_the_result_is_a_difference() {
        let stored = config(&["search.alpha_rate=0.02"]);
        assert_eq!(difference(&stored, &stored), None);
        let elsewhere = config(&[
            "search.alpha_rate=auto",
            "run.threads=1",
            "run.engine=plain",
            "data.dir=x",
        ]);
        assert_eq!(difference(&stored, &elsewhere), None);
        let other = difference(&stored, &config(&["search.alpha_rate=0.02", "search.epochs=9"])).unwrap();
        assert!(
            other.starts_with("it has search.epochs = 30, but 9 was requested"),
            "{other}"
        );
        let mut paced = stored.clone();
        paced.network.training.change_epochs(3, 9);
        let longer = difference(&paced, &config(&["search.alpha_rate=0.02", "network.epochs=12"])).unwrap();
        assert!(longer.starts_with("it has network.epochs = 9, but 12"), "{longer}");
        let limited = difference(&config(&[]), &config(&["data.limit=9"])).unwrap();
        assert!(limited.starts_with("it has data.limit = absent, but 9"), "{limited}");
    }
}
