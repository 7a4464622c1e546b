//! Parses the values of arguments.

use std::fmt::Display;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use da2s::space::EdgeCount;
use da2s_settings::{Allowed, Quantity};
use toml::Value;

/// One of `all`, by its name.
pub(super) fn one_of<T>(all: impl IntoIterator<Item = T>) -> impl TypedValueParser<Value = T>
where
    T: Copy + Display + Send + Sync + 'static,
{
    let all: Vec<T> = all.into_iter().collect();
    PossibleValuesParser::new(all.iter().map(T::to_string)).try_map(move |name| {
        let found = all.iter().copied().find(|one| one.to_string() == name);
        found.ok_or_else(|| format!("nothing has the name {name}"))
    })
}

/// Parses a value as written in an argument: a word without quotes, a list without brackets, an
/// integer with its unit. The library checks whether the setting allows the value.
///
/// # Errors
/// A description of the expected form, if the text does not have it.
pub(super) fn parse(allowed: Allowed, text: &str) -> Result<Value, String> {
    let value = match allowed {
        Allowed::Text | Allowed::Path | Allowed::Words(_) => Some(text.into()),
        Allowed::Flag => text.parse().ok().map(Value::Boolean),
        Allowed::Whole { .. } => return whole(text).map(Value::Integer),
        Allowed::Quantity(quantity) => quantity.parse(text).map(|_| text.into()),
        Allowed::Number(_) => text.parse().ok().map(Value::Float),
        Allowed::Interval(_) => {
            let ends: Option<Vec<Value>> = text
                .split(',')
                .map(|end| end.trim().parse().ok().map(Value::Float))
                .collect();
            ends.map(Value::Array)
        }
        Allowed::List { item, .. } => {
            let items: Result<Vec<Value>, String> = text.split(',').map(|part| parse(*item, part.trim())).collect();
            items.ok().map(Value::Array)
        }
        // `a=1,b=2`.
        Allowed::Named(each) => {
            let entry = |part: &str| {
                let (name, value) = part.split_once('=')?;
                Some((name.trim().to_owned(), parse(*each, value.trim()).ok()?))
            };
            let table: Option<toml::Table> = text.split(',').map(entry).collect();
            table.map(Value::Table)
        }
        // A text counts as a word only if that word is allowed, since any text could be a word.
        Allowed::AnyOf(choices) => choices
            .iter()
            .filter_map(|&choice| Some((choice, parse(choice, text).ok()?)))
            .find(|(choice, value)| !matches!(choice, Allowed::Words(_)) || choice.check(value).is_ok())
            .map(|(_, value)| value),
    };
    value.ok_or_else(|| format!("expected {allowed}"))
}

/// A count with its unit, as [`parse`] reads it.
///
/// # Errors
/// A description of the expected form, if the text does not have it.
pub(super) fn count(text: &str) -> Result<f64, String> {
    let number = whole(text)?;
    match number {
        1.. => Ok(number as f64),
        _ => Err("expected a whole number from 1, such as 1200, 20k, 3.5M or 1G".to_owned()),
    }
}

/// A number of bytes with its unit.
///
/// # Errors
/// A description of the expected form, if the text does not have it.
pub(super) fn bytes(text: &str) -> Result<f64, String> {
    amount(Quantity::Bytes, text)
}

/// A time in milliseconds, or with its unit.
///
/// # Errors
/// A description of the expected form, if the text does not have it.
pub(super) fn milliseconds(text: &str) -> Result<f64, String> {
    amount(Quantity::Milliseconds, text)
}

fn amount(quantity: Quantity, text: &str) -> Result<f64, String> {
    let amount = quantity.parse(text);
    amount.ok_or_else(|| format!("expected {}", quantity.expected()))
}

/// Layers of all stages, or of each: `2`, `2/3/3/2`.
///
/// # Errors
/// A description of the expected form, if the text does not have it.
pub(super) fn depth(text: &str) -> Result<EdgeCount, String> {
    let layers: Result<Vec<usize>, _> = text.split('/').map(|layers| layers.trim().parse()).collect();
    match layers.as_deref() {
        Ok(&[layers]) if layers > 0 => Ok(EdgeCount::Uniform(layers)),
        Ok(layers) if layers.iter().all(|&layers| layers > 0) => Ok(EdgeCount::PerNode(layers.to_vec())),
        _ => Err("expected a number of layers from 1, or one for each stage, such as 2/3/3/2".to_owned()),
    }
}

/// An integer, or a number in thousands, millions or billions: `600M`, `3.5M`.
fn whole(text: &str) -> Result<i64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        Some((at, 'G')) => (&text[..at], 1e9),
        Some(_) | None => {
            let number = text.parse();
            return number.map_err(|_| "expected a whole number, such as 1200, 20k, 3.5M or 1G".to_owned());
        }
    };
    match digits.parse::<f64>().map(|number| number * unit) {
        Ok(number) if number.abs() <= 1e15 => Ok(number.round() as i64),
        Ok(_) | Err(_) => Err("expected a whole number, such as 1200, 20k, 3.5M or 1G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::config::Config;
    use da2s_settings::FieldKind;

    #[test]
    fn whole_numbers_have_units() {
        assert_eq!(
            (whole("600M"), whole("3.5M"), whole("20k"), whole("7"), whole("-7")),
            (Ok(600_000_000), Ok(3_500_000), Ok(20_000), Ok(7), Ok(-7))
        );
        assert!(
            [
                "",
                "M",
                "nan",
                "infM",
                "1e99",
                "5X",
                "1.5",
                "1e3",
                "1e30M",
                "18446744073709551616"
            ]
            .iter()
            .all(|text| whole(text).is_err())
        );
    }

    #[test]
    fn limits_take_units_and_depths_take_one_number_or_one_per_stage() {
        assert_eq!(
            (count("2.5M"), bytes("64KB"), milliseconds("800us")),
            (Ok(2.5e6), Ok(64e3), Ok(0.8))
        );
        assert!(count("0").is_err() && count("-1").is_err() && bytes("64K").is_err() && milliseconds("0").is_err());
        assert_eq!(
            (depth("2"), depth("2/3 / 1")),
            (Ok(EdgeCount::Uniform(2)), Ok(EdgeCount::PerNode(vec![2, 3, 1])))
        );
        assert!(
            ["", "0", "2/", "2/0", "all", "2-3", "-1"]
                .iter()
                .all(|text| depth(text).is_err())
        );
    }

    #[test]
    fn edges_are_one_number_a_list_or_all() {
        let Some(FieldKind::Value(edges)) = Config::TABLE.named("edges").map(|entry| entry.field.kind) else {
            panic!("edges have a flag");
        };
        assert_eq!(parse(edges, "2").unwrap(), Value::Integer(2));
        assert_eq!(
            parse(edges, "1, 2").unwrap(),
            Value::Array(vec![Value::Integer(1), Value::Integer(2)])
        );
        assert_eq!(parse(edges, "all").unwrap(), Value::String("all".to_owned()));
        assert!(["", "1,", "[1]", "most"].iter().all(|text| parse(edges, text).is_err()));
    }
}
