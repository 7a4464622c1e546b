//! Checks a TOML document, as the user wrote it, against a table of settings.

use toml::Value;

use crate::table::{FieldKind, Table, join};

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A key that does not exist.
    #[error("unknown key {key}{}", advice(suggestions, known))]
    UnknownKey {
        /// The key, including its tables.
        key: String,
        /// Keys that may have been meant, best match first.
        suggestions: Vec<String>,
        /// The keys that exist in its table.
        known: Vec<String>,
    },
    /// A value that is not allowed, on its own or together with others.
    #[error("{key} = {value}: expected {expected}")]
    Refused {
        /// The key, including its tables.
        key: String,
        /// The value, as TOML.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A setting that has no effect with the other settings.
    #[error("{key} has no effect {place}; leave it unset")]
    Useless {
        /// The key, including its tables.
        key: String,
        /// Where it has no effect, such as `in the space darts`.
        place: String,
    },
}

impl Problem {
    /// `key` has the value `value`, but `expected` is required.
    pub fn refused(key: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Refused {
            key: key.into(),
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// `key` is set, but has no effect `place`.
    pub fn useless(key: impl Into<String>, place: impl Into<String>) -> Self {
        Self::Useless {
            key: key.into(),
            place: place.into(),
        }
    }

    /// The same problem for a key in the table `table`.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        match &mut self {
            Self::UnknownKey { key, .. } | Self::Refused { key, .. } | Self::Useless { key, .. } => {
                *key = join(table, key)
            }
        }
        self
    }

    /// The key that has the problem.
    pub fn key(&self) -> &str {
        match self {
            Self::UnknownKey { key, .. } | Self::Refused { key, .. } | Self::Useless { key, .. } => key,
        }
    }
}

fn advice(suggestions: &[String], known: &[String]) -> String {
    if suggestions.is_empty() {
        format!(": expected one of {}", known.join(", "))
    } else {
        format!(": did you mean {}?", suggestions.join(" or "))
    }
}

/// A value as TOML, but without hundreds of zeros in a number.
fn written(value: &Value) -> String {
    match value {
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{} = {}", bare_or_quoted(key), written(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// A key as TOML.
fn bare_or_quoted(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

impl Table {
    /// Everything that is wrong in a document of these settings. A key may be absent; a key that is
    /// present must exist and have an allowed value.
    pub fn check(&self, document: &toml::Table) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_within("", document, self, &mut problems);
        problems
    }

    fn check_within(&self, prefix: &str, document: &toml::Table, whole: &Self, problems: &mut Vec<Problem>) {
        for (name, value) in document {
            let key = join(prefix, name);
            let field = self.fields().into_iter().find(|field| field.name == name);
            let problem = match (field.map(|field| field.kind), value) {
                (Some(FieldKind::Table(inner)), Value::Table(document)) => {
                    inner.check_within(&key, document, whole, problems);
                    continue;
                }
                (Some(FieldKind::Table(inner)), value) => {
                    let expected = format!("a table of {}", inner.names().join(", "));
                    Problem::refused(key, value, expected)
                }
                (Some(FieldKind::Value(allowed)), value) => match allowed.check(value) {
                    Ok(()) => continue,
                    Err(expected) => Problem::refused(key, written(value), expected),
                },
                (None, _) => Problem::UnknownKey {
                    suggestions: whole.similar(&key),
                    known: self.names(),
                    key,
                },
            };
            problems.push(problem);
        }
    }

    /// Known keys similar to `key`, best match first: misspelled, or correct but in another table.
    fn similar(&self, key: &str) -> Vec<String> {
        // Nobody means a key this long, and the time of a comparison grows with its length.
        const LONGEST: usize = 200;
        const MOST: usize = 2;
        const ALIKE: f64 = 0.8;
        if key.len() > LONGEST {
            return Vec::new();
        }
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let score = |known: &str| {
            let whole = strsim::normalized_damerau_levenshtein(known, key);
            if last(known) == last(key) {
                whole.max(ALIKE)
            } else {
                whole
            }
        };
        let mut scored: Vec<(f64, String)> = self
            .entries()
            .into_iter()
            .map(|entry| (score(&entry.key), entry.key))
            .filter(|(score, _)| *score >= ALIKE)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(MOST).map(|(_, known)| known).collect()
    }
}
