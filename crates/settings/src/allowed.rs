//! The allowed values of a setting: whether a TOML value is allowed, and a description for
//! messages.
//!
//! Contract: the [`Display`](fmt::Display) text continues a sentence after "expected".

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::{RangeBounds, RangeInclusive};

use toml::Value;

use crate::quantity::Quantity;

/// The allowed values of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// A path.
    Path,
    /// One of these words.
    Words(fn() -> Vec<Word>),
    /// A whole number, both ends included.
    Whole {
        /// The smallest value.
        least: i64,
        /// The largest value.
        most: i64,
    },
    /// A finite number.
    Number(Range),
    /// An amount: a number, or a text with a unit.
    Quantity(Quantity),
    /// Two numbers in this range, the lower and the upper end of an interval.
    Interval(Range),
    /// A list.
    List {
        /// The kind of each item.
        item: &'static Self,
        /// The minimum number of items.
        least: usize,
        /// Whether items must be different.
        distinct: bool,
    },
    /// A table with arbitrary keys, whose values are all of this kind.
    Named(&'static Self),
    /// Whatever one of these allows.
    AnyOf(&'static [Self]),
}

/// A word that a setting allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// Its meaning, if documented.
    pub doc: Option<&'static str>,
}

/// The ends of a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower end.
    pub least: Bound<f64>,
    /// The upper end.
    pub most: Bound<f64>,
    /// Whether the number is used as an `f32`, in which 0.99999999 is 1 and 1e300 is infinite. It
    /// must then be in the range after rounding, too.
    pub in_f32: bool,
}

/// Sizes, epochs and counts above this are mistakes, which otherwise would only fail later for lack
/// of memory.
const MANY: i64 = 1_000_000;
/// A count from 1.
pub const COUNT: Allowed = whole(1..=MANY);
/// A count from 0.
pub const COUNT_OR_0: Allowed = whole(0..=MANY);
/// A whole number from 1.
pub const FROM_1: Allowed = whole(1..=i64::MAX);
/// More than 0.
pub const POSITIVE: Allowed = number(Excluded(0.0), Unbounded);
/// At least 0.
pub const NOT_NEGATIVE: Allowed = at_least(0.0);
/// Between 0 and 1, both excluded.
pub const SHARE: Allowed = number(Excluded(0.0), Excluded(1.0));
/// At least 0 and less than 1.
pub const BELOW_1: Allowed = number(Included(0.0), Excluded(1.0));
/// From 0 to 1, both included.
pub const UP_TO_1: Allowed = up_to(1.0);

/// A whole number in `range`.
pub const fn whole(range: RangeInclusive<i64>) -> Allowed {
    Allowed::Whole {
        least: *range.start(),
        most: *range.end(),
    }
}

/// A number that is at least `least`.
pub const fn at_least(least: f64) -> Allowed {
    number(Included(least), Unbounded)
}

/// A number from 0 to `most`, both included.
pub const fn up_to(most: f64) -> Allowed {
    number(Included(0.0), Included(most))
}

/// A number that is more than 0 and at most `most`.
pub const fn positive_up_to(most: f64) -> Allowed {
    number(Excluded(0.0), Included(most))
}

/// Two numbers, more than 0 and at most `most`: the lower and the upper end of an interval.
pub const fn interval(most: Bound<f64>) -> Allowed {
    Allowed::Interval(Range {
        least: Excluded(0.0),
        most,
        in_f32: false,
    })
}

const fn number(least: Bound<f64>, most: Bound<f64>) -> Allowed {
    Allowed::Number(Range {
        least,
        most,
        in_f32: false,
    })
}

impl Allowed {
    /// The same for a number that is used as an `f32`.
    ///
    /// # Panics
    /// If this does not allow numbers. In a declaration, this is a compile-time error.
    pub const fn in_f32(self) -> Self {
        match self {
            Self::Number(range) => Self::Number(Range { in_f32: true, ..range }),
            Self::Interval(range) => Self::Interval(Range { in_f32: true, ..range }),
            _ => panic!("only numbers can be limited to 32 bits"),
        }
    }

    /// Checks whether `value` is allowed.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn check(self, value: &Value) -> Result<(), String> {
        if self.holds(value) {
            Ok(())
        } else {
            Err(self.refusal_in_f32(value).unwrap_or_else(|| self.to_string()))
        }
    }

    /// What is expected of a number that is allowed in 64 bits but not in 32.
    fn refusal_in_f32(self, value: &Value) -> Option<String> {
        match self {
            Self::Number(range) => {
                let number = number_of(value).filter(|&number| range.holds(number))?;
                range.refusal_in_f32(number)
            }
            Self::AnyOf(choices) => choices.iter().find_map(|choice| choice.refusal_in_f32(value)),
            _ => None,
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Flag => value.is_bool(),
            Self::Text | Self::Path => value.is_str(),
            Self::Words(words) => value
                .as_str()
                .is_some_and(|given| words().iter().any(|word| word.name == given)),
            Self::Whole { least, most } => value
                .as_integer()
                .is_some_and(|number| (least..=most).contains(&number)),
            Self::Number(range) => number_of(value).is_some_and(|number| range.holds_in_its_bits(number)),
            Self::Quantity(quantity) => quantity.holds(value),
            Self::Interval(range) => match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => match (number_of(low), number_of(high)) {
                    (Some(low), Some(high)) => {
                        low <= high && [low, high].into_iter().all(|end| range.holds_in_its_bits(end))
                    }
                    _ => false,
                },
                _ => false,
            },
            Self::List { item, least, distinct } => value.as_array().is_some_and(|items| {
                let different = || items.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() == items.len();
                items.len() >= least && items.iter().all(|value| item.holds(value)) && (!distinct || different())
            }),
            Self::Named(each) => value
                .as_table()
                .is_some_and(|table| table.values().all(|value| each.holds(value))),
            Self::AnyOf(choices) => choices.iter().any(|choice| choice.holds(value)),
        }
    }
}

/// A finite number; a whole number needs no decimal point.
fn number_of(value: &Value) -> Option<f64> {
    let number = value
        .as_float()
        .or_else(|| value.as_integer().map(|whole| whole as f64))?;
    number.is_finite().then_some(number)
}

impl Range {
    /// Every finite number.
    pub const ALL: Self = Self {
        least: Unbounded,
        most: Unbounded,
        in_f32: false,
    };

    fn holds(self, number: f64) -> bool {
        (self.least, self.most).contains(&number)
    }

    fn holds_in_its_bits(self, number: f64) -> bool {
        self.holds(number) && self.refusal_in_f32(number).is_none()
    }

    /// What is expected of a number that is in the range, but not after rounding to 32 bits.
    fn refusal_in_f32(self, number: f64) -> Option<String> {
        let single = number as f32;
        if !self.in_f32 || (single.is_finite() && self.holds(single.into())) {
            return None;
        }
        let (least, most) = self.ends_in_f32();
        Some(match self.most {
            _ if single.is_infinite() => format!("at most {:e}, the largest 32-bit number", f32::MAX),
            Excluded(end) if number > 0.0 && single >= end as f32 => {
                format!("less than {end} as a 32-bit number: at most {most}")
            }
            _ => format!("a 32-bit number from {least:e} to {most:e}"),
        })
    }

    /// The smallest and the largest `f32` in the range.
    pub(crate) fn ends_in_f32(self) -> (f32, f32) {
        let least = match self.least {
            Included(least) => least as f32,
            Excluded(least) => (least as f32).next_up(),
            Unbounded => f32::MIN,
        };
        let most = match self.most {
            Included(most) => most as f32,
            Excluded(most) => (most as f32).next_down(),
            Unbounded => f32::MAX,
        };
        (least, most)
    }
}

impl fmt::Display for Range {
    /// "more than 0 and at most 1"; nothing if every number is allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = match self.least {
            Included(least) => Some(format!("at least {}", short(least))),
            Excluded(least) => Some(format!("more than {}", short(least))),
            Unbounded => None,
        };
        let most = match self.most {
            Included(most) => Some(format!("at most {}", short(most))),
            Excluded(most) => Some(format!("less than {}", short(most))),
            Unbounded => None,
        };
        let ends: Vec<String> = [least, most].into_iter().flatten().collect();
        f.write_str(&ends.join(" and "))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flag => f.write_str("true or false"),
            Self::Text => f.write_str("a string in quotes"),
            Self::Path => f.write_str("a path in quotes"),
            Self::Words(words) => match words().as_slice() {
                [word] => write!(f, "{:?}", word.name),
                words => write!(f, "one of {}", names(words)),
            },
            Self::Whole { least, most: i64::MAX } => write!(f, "a whole number from {least}"),
            Self::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::Number(range) if range == Range::ALL => f.write_str("a number"),
            Self::Number(range) => write!(f, "a number, {range}"),
            Self::Quantity(quantity) => f.write_str(quantity.expected()),
            Self::Interval(range) => write!(f, "[minimum, maximum], both {range}"),
            Self::List { item, least, distinct } => {
                f.write_str("a list of ")?;
                match least {
                    0 => {}
                    1 => f.write_str("one or more ")?,
                    least => write!(f, "at least {least} ")?,
                }
                if distinct {
                    f.write_str("different ")?;
                }
                match *item {
                    Self::Words(words) => write!(f, "words out of {}", names(&words())),
                    Self::Whole { least, .. } => write!(f, "whole numbers from {least}"),
                    item => write!(f, "values, each {item}"),
                }
            }
            Self::Named(each) => write!(f, "a table of names, each with {each}"),
            Self::AnyOf(choices) => {
                for (index, choice) in choices.iter().enumerate() {
                    let joint = match index {
                        0 => "",
                        _ if index + 1 == choices.len() => ", or ",
                        _ => ", ",
                    };
                    write!(f, "{joint}{choice}")?;
                }
                Ok(())
            }
        }
    }
}

/// A number without redundant zeros.
fn short(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-4 {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

fn names(words: &[Word]) -> String {
    let names: Vec<&str> = words.iter().map(|word| word.name).collect();
    names.join(", ")
}
