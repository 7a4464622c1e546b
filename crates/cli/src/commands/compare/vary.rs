//! The settings that a comparison varies, as `KEY=VALUE,…`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A varied setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Varied {
    /// Its key, including its tables.
    pub key: String,
    /// Its values, as written after `KEY=`.
    pub values: Vec<String>,
}

impl Varied {
    /// Parses `KEY=VALUE,…`; commas in brackets or quotes belong to a value.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (key, values) = text
            .split_once('=')
            .ok_or_else(|| format!("--vary {text}: expected KEY=VALUE,VALUE, such as target.edges=1,2"))?;
        let key = key.trim().to_owned();
        match key.as_str() {
            "search.method" => return Err("--vary search.method: use --methods".to_owned()),
            "run.seed" => return Err("--vary run.seed: use --seeds".to_owned()),
            _ => {}
        }
        let values = split(values);
        if values.iter().any(String::is_empty) {
            return Err(format!("--vary {text}: a value is empty"));
        }
        match first_twice(values.iter()) {
            Some(value) => Err(format!("--vary {text}: {value} is given twice")),
            None => Ok(Self { key, values }),
        }
    }
}

/// Splits at the commas outside brackets and quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quote) = (0usize, None);
    for character in text.chars() {
        match (character, quote) {
            (',', None) if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth = depth.saturating_sub(1),
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// Every combination of values, the last setting changing fastest.
pub(super) fn combinations(vary: &[Varied]) -> Vec<Vec<(String, String)>> {
    vary.iter().fold(vec![Vec::new()], |combinations, varied| {
        let with = |combination: &Vec<(String, String)>| {
            let combination = combination.clone();
            varied.values.iter().map(move |value| {
                let mut combination = combination.clone();
                combination.push((varied.key.clone(), value.clone()));
                combination
            })
        };
        combinations.iter().flat_map(with).collect()
    })
}

/// The first word that occurs twice.
pub(super) fn first_twice<'a>(words: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    words.into_iter().find(|word| !seen.insert(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_outside_of_brackets_and_quotes() {
        assert_eq!(split("'a,b',[1,[2,3]], x"), ["'a,b'", "[1,[2,3]]", "x"]);
    }
}
