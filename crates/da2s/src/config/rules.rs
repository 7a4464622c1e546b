//! What every setting allows, in one table: a new setting needs a row here, and a test says so if it has none.
//!
//! Contract: the table is checked against TOML as it was written, before it becomes a [`Config`](super::Config), so
//! that every error knows its place. A document that passes has no unknown key and no value that `serde` refuses.

use std::ops::Bound::{Excluded, Included};

use toml::{Table, Value};

use super::allowed::Allowed::{self, Candidates, Edges, Flag, Number, Places, Range, Rate, Text, Whole, Word};
use super::allowed::{BELOW_1, COUNT, COUNT_OR_NONE, NOT_NEGATIVE, POSITIVE, SHARE, UP_TO_1};
use super::error::{ConfigError, Place};
use crate::search::Method;

type Rows = &'static [(&'static str, Allowed)];

/// Every table of the configuration with its keys.
const TABLES: &[(&str, Rows)] = &[
    (
        "data",
        &[
            (
                "dataset",
                Word(&["digits", "cifar10", "cifar100", "mnist", "fashion", "images", "arrays"]),
            ),
            ("dir", Text),
            ("image_size", Whole(1, 4096)),
            ("channels", Whole(1, 3)),
            ("limit", Whole(1, i64::MAX)),
            ("test_limit", Whole(1, i64::MAX)),
            ("centre_crop", Number(Excluded(0.0), Included(1.0))),
            ("memory_limit_bytes", Whole(0, i64::MAX)),
            ("bad_images", Word(&["refuse", "skip"])),
            ("arch_fraction", SHARE),
            ("validation_fraction", BELOW_1),
        ],
    ),
    (
        "space",
        &[
            ("name", Word(&["darts", "nas-bench-201"])),
            ("none", Flag),
            ("operations", Candidates),
            ("nodes", Whole(1, 32)),
        ],
    ),
    (
        "target",
        &[
            ("edges", Edges),
            ("operations", Whole(1, 8)),
            ("max_multiply_adds", Whole(1, i64::MAX)),
            ("max_parameters", Whole(1, i64::MAX)),
        ],
    ),
    ("target.normal", TARGET),
    ("target.reduction", TARGET),
    (
        "search",
        &[
            ("method", Word(Method::NAMES)),
            ("epochs", COUNT),
            ("warmup_epochs", COUNT_OR_NONE),
            ("batch_size", COUNT),
            ("skeleton", Word(&["cifar", "imagenet"])),
            ("channels", Whole(1, 4096)),
            ("cells", Whole(1, 1000)),
            ("reduction_cells", Places),
            ("partial_channels", Whole(1, 64)),
            ("one_level", Flag),
            ("second_order", Flag),
            ("learning_rate", POSITIVE),
            ("learning_rate_min", NOT_NEGATIVE),
            ("momentum", BELOW_1),
            ("weight_decay", NOT_NEGATIVE),
            ("gradient_clip", POSITIVE),
            ("alpha_rate", Rate),
            ("beta_rate", Rate),
            ("arch_every", COUNT),
            ("arch_optimizer", Word(&["adam", "sgd"])),
            ("arch_momentum", BELOW_1),
            ("arch_beta_1", BELOW_1),
            ("arch_beta_2", BELOW_1),
            ("arch_weight_decay", NOT_NEGATIVE),
            ("monitor_images", Whole(0, i64::MAX)),
            ("zero_one_weight", NOT_NEGATIVE),
            ("temperature_first", POSITIVE),
            ("temperature_last", POSITIVE),
            ("limit_weight", NOT_NEGATIVE),
            ("extra_epochs", Number(Included(0.0), Included(10.0))),
            ("schedule", Word(&["published", "adaptive"])),
        ],
    ),
    (
        "search.hardening",
        &[
            ("decided_at", Number(Excluded(0.0), Included(1.0))),
            ("exponent", POSITIVE),
        ],
    ),
    (
        "search.regulariser",
        &[
            ("lambda", NOT_NEGATIVE),
            ("lambda_beta", NOT_NEGATIVE),
            ("cardinality_weight", NOT_NEGATIVE),
        ],
    ),
    ("search.regulariser.lambda_c", SCHEDULE),
    ("search.regulariser.lambda_alpha", SCHEDULE),
    ("search.augmentation", AUGMENTATION),
    ("search.augmentation.random_resized_crop", CROP),
    ("search.augmentation.color_jitter", JITTER),
    ("discretize", &[("edge_images", Whole(0, i64::MAX))]),
    (
        "network",
        &[
            ("skeleton", Word(&["cifar", "imagenet"])),
            ("channels", Whole(2, 4096)),
            ("cells", Whole(1, 1000)),
            ("reduction_cells", Places),
            ("auxiliary", Flag),
            ("auxiliary_weight", NOT_NEGATIVE),
            ("drop_path", BELOW_1),
            ("label_smoothing", BELOW_1),
            ("epochs", COUNT),
            ("batch_size", COUNT),
            ("learning_rate", POSITIVE),
            ("decay", Word(&["cosine", "linear", "exponential"])),
            ("warmup_epochs", COUNT_OR_NONE),
            ("momentum", BELOW_1),
            ("weight_decay", NOT_NEGATIVE),
            ("gradient_clip", POSITIVE),
        ],
    ),
    ("network.augmentation", AUGMENTATION),
    ("network.augmentation.random_resized_crop", CROP),
    ("network.augmentation.color_jitter", JITTER),
    (
        "run",
        &[
            ("seed", Whole(0, i64::MAX)),
            ("threads", Whole(0, 4096)),
            ("device", Text),
            ("engine", Word(&["auto", "plain", "avx512", "avx2", "neon", "portable"])),
            ("on_nan", Word(&["stop", "rollback"])),
        ],
    ),
];

const TARGET: Rows = &[("edges", Edges), ("operations", Whole(1, 8))];
const SCHEDULE: Rows = &[
    ("curve", Word(&["const", "linear", "log", "exp", "sigmoid", "step"])),
    ("delayed", Flag),
];
const AUGMENTATION: Rows = &[
    ("crop_padding", Whole(0, 4096)),
    ("flip", Flag),
    ("cutout", Whole(0, 4096)),
];
const CROP: Rows = &[("scale", Range(1.0)), ("ratio", Range(f64::MAX))];
const JITTER: Rows = &[
    ("brightness", UP_TO_1),
    ("contrast", UP_TO_1),
    ("saturation", UP_TO_1),
    ("hue", Number(Included(0.0), Included(0.5))),
];

/// Checks every key and value of `table`; `place` tells where a key was written.
///
/// # Errors
/// [`ConfigError::UnknownKey`] or [`ConfigError::Value`], for the first in the order of lines.
pub(super) fn check(table: &Table, place: &dyn Fn(&str) -> Place) -> Result<(), ConfigError> {
    let mut errors = Vec::new();
    collect(table, "", place, &mut errors);
    match errors.into_iter().min_by_key(|(line, _)| *line) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

fn collect(table: &Table, prefix: &str, place: &dyn Fn(&str) -> Place, errors: &mut Vec<(Option<usize>, ConfigError)>) {
    for (name, value) in table {
        let key = join(prefix, name);
        let place_here = place(&key);
        let line = place_here.line;
        let error = match (allowed(&key), is_table(&key), value) {
            (Some(allowed), _, value) if allowed.holds(value) => continue,
            (Some(allowed), _, value) => wrong(place_here, key, value, allowed.to_string()),
            (None, true, Value::Table(inner)) => {
                collect(inner, &key, place, errors);
                continue;
            }
            (None, true, value) => {
                let expected = format!("a table of {}", keys_of(&key).join(", "));
                wrong(place_here, key, value, expected)
            }
            (None, false, _) => ConfigError::UnknownKey {
                place: Box::new(place_here),
                suggestions: similar(&key),
                known: keys_of(prefix),
                key,
            },
        };
        errors.push((line, error));
    }
}

fn wrong(place: Place, key: String, value: &Value, expected: String) -> ConfigError {
    ConfigError::Value {
        place: Box::new(place),
        key,
        value: value.to_string(),
        expected,
    }
}

/// The key `name` of the table `prefix`; the document itself has the prefix "".
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

fn allowed(key: &str) -> Option<Allowed> {
    let (table, name) = key.rsplit_once('.')?;
    let (_, rows) = TABLES.iter().find(|(other, _)| *other == table)?;
    rows.iter()
        .find(|(other, _)| *other == name)
        .map(|(_, allowed)| *allowed)
}

fn is_table(key: &str) -> bool {
    TABLES.iter().any(|(table, _)| *table == key)
}

/// Every key that has a value, with the tables it is in.
pub(super) fn all_keys() -> impl Iterator<Item = String> {
    TABLES
        .iter()
        .flat_map(|(table, rows)| rows.iter().map(move |(name, _)| join(table, name)))
}

/// The keys and tables that `table` has.
pub(super) fn keys_of(table: &str) -> Vec<String> {
    let rows = TABLES
        .iter()
        .find(|(other, _)| *other == table)
        .map_or(&[] as Rows, |(_, rows)| *rows);
    let below = TABLES.iter().filter_map(|(other, _)| match other.rsplit_once('.') {
        Some((parent, name)) => (parent == table).then_some(name),
        None => table.is_empty().then_some(*other),
    });
    rows.iter()
        .map(|(name, _)| *name)
        .chain(below)
        .map(str::to_owned)
        .collect()
}

/// Known keys that look like `key`, best first: written wrongly, or right but in another table.
fn similar(key: &str) -> Vec<String> {
    // Nobody meant a key by so many letters, and to compare them takes as long as they are many.
    const LONGEST: usize = 200;
    if key.len() > LONGEST {
        return Vec::new();
    }
    const MOST: usize = 2;
    const ALIKE: f64 = 0.8;
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(known, key);
        if last(known) == last(key) {
            whole.max(ALIKE)
        } else {
            whole
        }
    };
    let mut scored: Vec<(f64, String)> = all_keys()
        .map(|known| (score(&known), known))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(MOST).map(|(_, known)| known).collect()
}

/// Every key that allows words, with them.
#[cfg(test)]
pub(super) fn all_words() -> impl Iterator<Item = (String, &'static [&'static str])> {
    all_keys().filter_map(|key| match allowed(&key) {
        Some(Word(words)) => Some((key, words)),
        _ => None,
    })
}
