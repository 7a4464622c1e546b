//! Values of arguments as people write them.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use toml::Value;

/// One of `names`, as what it names.
pub(super) fn named<const N: usize, T: Clone + Send + Sync + 'static>(
    names: [&'static str; N],
    find: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names).try_map(move |name| find(&name).ok_or(format!("nothing is called {name}")))
}

/// A whole number, or one in thousands, millions or billions: `600M`, `3.5M`.
pub(super) fn count(text: &str) -> Result<i64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        Some((at, 'G')) => (&text[..at], 1e9),
        Some(_) | None => (text, 1.0),
    };
    let number = digits.parse::<f64>().map(|number| number * unit);
    match number {
        Ok(number) if (1.0..=1e15).contains(&number) => Ok(number.round() as i64),
        Ok(_) | Err(_) => Err("expected a number from 1, as 600M, 3.5M, 20k or 1200".to_owned()),
    }
}

/// `2`, or `1,2,1,3`.
pub(super) fn edges(text: &str) -> Result<Value, String> {
    let count = |part: &str| part.trim().parse::<i64>().map(Value::Integer);
    let counts: Result<Vec<Value>, _> = text.split(',').map(count).collect();
    match counts.as_deref() {
        Ok([one]) => Ok(one.clone()),
        Ok(counts) => Ok(Value::Array(counts.to_vec())),
        Err(_) => Err("expected a number, or one a node, as 1,2,1,3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        assert_eq!(
            (count("600M"), count("3.5M"), count("20k"), count("7")),
            (Ok(600_000_000), Ok(3_500_000), Ok(20_000), Ok(7))
        );
        assert!(
            ["", "M", "0", "-5", "nan", "infM", "1e99", "5X"]
                .iter()
                .all(|text| count(text).is_err())
        );
    }

    #[test]
    fn edges_are_one_number_or_a_list() {
        assert_eq!(edges("2").unwrap(), Value::Integer(2));
        assert_eq!(
            edges("1, 2").unwrap(),
            Value::Array(vec![Value::Integer(1), Value::Integer(2)])
        );
        assert!(edges("").is_err() && edges("1,").is_err() && edges("[1]").is_err());
    }
}
