//! What a setting can allow: whether a value of TOML is such, and how a sentence says what was expected.
//!
//! Contract: what [`Allowed::holds`] takes, `serde` reads; [`Display`](fmt::Display) follows "expected".

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use toml::Value;

use crate::space::Operation;

/// What a setting allows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Allowed {
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number, both ends included.
    Whole(i64, i64),
    /// A finite number.
    Number(Bound<f64>, Bound<f64>),
    /// A number more than 0, or `"auto"`.
    Rate,
    /// Edges kept: a whole number from 1, a list of them, or `"all"`.
    Edges,
    /// Reduction cells: `"thirds"`, or a list of places.
    Places,
    /// Names of candidates, each once.
    Candidates,
    /// The ends of a range: two numbers more than 0 and at most this, in order.
    Range(f64),
}

use Allowed::{Candidates, Edges, Flag, Number, Places, Range, Rate, Text, Whole, Word};

/// Sizes, epochs and counts beyond this are slips, and would only fail later for lack of memory.
const MANY: i64 = 1_000_000;
pub(super) const COUNT: Allowed = Whole(1, MANY);
pub(super) const COUNT_OR_NONE: Allowed = Whole(0, MANY);
pub(super) const POSITIVE: Allowed = Number(Excluded(0.0), Unbounded);
pub(super) const NOT_NEGATIVE: Allowed = Number(Included(0.0), Unbounded);
pub(super) const SHARE: Allowed = Number(Excluded(0.0), Excluded(1.0));
pub(super) const BELOW_1: Allowed = Number(Included(0.0), Excluded(1.0));
pub(super) const UP_TO_1: Allowed = Number(Included(0.0), Included(1.0));

impl Allowed {
    /// Whether `value` is such.
    pub(super) fn holds(self, value: &Value) -> bool {
        match self {
            Flag => value.is_bool(),
            Text => value.is_str(),
            Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Whole(least, most) => whole(value, least, most),
            Number(least, most) => number(value).is_some_and(|number| within(number, least, most)),
            Rate => value.as_str() == Some("auto") || number(value).is_some_and(|number| number > 0.0),
            Edges if value.as_str() == Some("all") => true,
            Places => match value {
                Value::Array(places) => places.iter().all(|place| whole(place, 0, MANY)),
                other => other.as_str() == Some("thirds"),
            },
            Candidates => {
                let names = value.as_array().map(|names| names.iter().map(Value::as_str));
                let names: Option<Vec<&str>> = names.and_then(Iterator::collect);
                names.is_some_and(|names| {
                    let known = names.iter().all(|name| Operation::from_name(name).is_some());
                    let distinct = names.iter().collect::<BTreeSet<_>>().len() == names.len();
                    known && distinct && names.iter().any(|&name| name != Operation::None.name())
                })
            }
            Edges => match value {
                Value::Array(counts) => !counts.is_empty() && counts.iter().all(|count| whole(count, 1, MANY)),
                other => whole(other, 1, MANY),
            },
            Range(most) => match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => match (number(low), number(high)) {
                    (Some(low), Some(high)) => 0.0 < low && low <= high && high <= most,
                    _ => false,
                },
                _ => false,
            },
        }
    }
}

fn whole(value: &Value, least: i64, most: i64) -> bool {
    value
        .as_integer()
        .is_some_and(|number| (least..=most).contains(&number))
}

/// A finite number; whole ones need no decimal point.
fn number(value: &Value) -> Option<f64> {
    let number = value
        .as_float()
        .or_else(|| value.as_integer().map(|whole| whole as f64))?;
    number.is_finite().then_some(number)
}

fn within(number: f64, least: Bound<f64>, most: Bound<f64>) -> bool {
    use std::ops::RangeBounds;
    (least, most).contains(&number)
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Flag => f.write_str("true or false"),
            Text => f.write_str("a text in quotes"),
            Word(words) => write!(f, "one of {}", words.join(", ")),
            Whole(least, i64::MAX) => write!(f, "a whole number from {least}"),
            Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Number(least, most) => {
                f.write_str("a number")?;
                match least {
                    Included(least) => write!(f, ", at least {least}")?,
                    Excluded(least) => write!(f, ", more than {least}")?,
                    Unbounded => {}
                }
                match most {
                    Included(most) => write!(f, ", at most {most}"),
                    Excluded(most) => write!(f, ", less than {most}"),
                    Unbounded => Ok(()),
                }
            }
            Rate => f.write_str("a number, more than 0, or \"auto\""),
            Edges => f.write_str("a whole number from 1, a list with one a node, as [1, 2, 1, 3], or \"all\""),
            Places => f.write_str("\"thirds\", or a list of cells counted from 0, as [1, 3]"),
            Candidates => {
                let names = Operation::ALL.map(Operation::name).join(", ");
                write!(f, "a list of different operations, not none alone: {names}")
            }
            Range(f64::MAX) => f.write_str("[least, greatest], both more than 0"),
            Range(most) => write!(f, "[least, greatest], both more than 0 and at most {most}"),
        }
    }
}
