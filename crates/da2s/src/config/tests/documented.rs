//! `docs/settings.md` against the rules and the defaults: every key and no other, with its default and the words that it allows.

use std::collections::BTreeMap;
use std::fs;

use toml::Value;

use super::{Config, Layer, rules};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");

/// Every key of the page with the cells behind it: default, what is allowed, what it is. A row may be of several keys.
fn documented() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(PAGE).unwrap();
    let mut found = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let behind: Vec<String> = cells[1..].iter().map(|&cell| cell.to_owned()).collect();
        found.extend(quoted(cells[0]).map(|key| (key.to_owned(), behind.clone())));
    }
    found
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_page_has_every_key_and_no_other() {
    let mut named: Vec<String> = documented().into_iter().map(|(key, _)| key).collect();
    let mut ruled: Vec<String> = rules::all_keys().collect();
    named.sort();
    ruled.sort();
    assert_eq!(named, ruled);
}

#[test]
fn its_defaults_are_those_of_the_settings() {
    let defaults = Layer::of(&Config::default()).unwrap();
    for (key, cells) in documented() {
        // A default in backticks is TOML; without, the key is unset.
        let default: Option<Value> = quoted(&cells[0]).next().map(|text| text.parse().unwrap());
        assert_eq!(defaults.get(&key), default.as_ref(), "{key}");
    }
}

#[test]
fn its_words_are_those_of_the_rules() {
    let documented: BTreeMap<String, Vec<String>> = documented().into_iter().collect();
    for (key, words) in rules::all_words() {
        let named: Vec<&str> = quoted(&documented[&key][1]).collect();
        assert_eq!(named, words, "{key}");
    }
}
