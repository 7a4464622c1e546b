//! A time as people write it: `30m`, `8h`, `1h30m`, `90 s`, `1.5 hours`.
//!
//! Contract: every number has a unit, since readers disagree on what 30 alone is; the units go from
//! days to seconds and may be spelled out.

use std::time::Duration;

/// A text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time with its unit, from 1s to 365d, such as 30m, 8h, 1h30m or 90s")]
pub struct TimeError;

/// The longest time: a year.
const LONGEST_S: f64 = 365.0 * 86_400.0;
/// The units, with their length in seconds and all their names.
const UNITS: [(f64, &[&str]); 4] = [
    (86_400.0, &["d", "day", "days"]),
    (3600.0, &["h", "hr", "hrs", "hour", "hours"]),
    (60.0, &["m", "min", "mins", "minute", "minutes"]),
    (1.0, &["s", "sec", "secs", "second", "seconds"]),
];

/// Parses a time of at least a second.
///
/// # Errors
/// If the text does not have the expected form.
pub fn parse_time(text: &str) -> Result<Duration, TimeError> {
    seconds(text).map(Duration::from_secs_f64).ok_or(TimeError)
}

fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut all_s, mut smallest) = (text.trim(), 0.0, f64::INFINITY);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(number);
        let after = after.trim_start();
        let unit = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let unit = unit.to_lowercase();
        let (length_s, _) = UNITS.iter().find(|(_, names)| names.contains(&unit.as_str()))?;
        if *length_s >= smallest {
            return None;
        }
        smallest = *length_s;
        all_s += length_s * number.parse::<f64>().ok()?;
        rest = after.trim_start();
    }
    (1.0..=LONGEST_S).contains(&all_s).then_some(all_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_usual_forms() {
        for (text, expected) in [
            ("30m", 1800),
            ("30 min", 1800),
            ("8h", 28_800),
            ("1.5h", 5400),
            ("1h30m", 5400),
            ("1 h 30 min", 5400),
            ("2 hours", 7200),
            ("90s", 90),
            ("90 S", 90),
            ("1d", 86_400),
            ("1day12hours", 129_600),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in [
            "", "30", "m", "30x", "0m", "0.1s", "-5m", "1e3s", "30m1h", "5m5m", "1:30", "h30", "9999d", "nan h",
            "1..5h", "30m 5",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
