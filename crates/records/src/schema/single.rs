//! Writes numbers in single precision, as computed, with the fewest digits that identify them.
//!
//! JSON has no NaN and no infinity: both become `null`.

use serde::ser::{Serialize, Serializer};

fn single(number: f64) -> f32 {
    number as f32
}

fn singles(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().copied().map(single).collect()
}

fn optional(numbers: &[Option<f64>]) -> Vec<Option<f32>> {
    numbers.iter().map(|number| number.map(single)).collect()
}

pub(crate) fn option<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    number.map(single).serialize(to)
}

pub(crate) fn row<S: Serializer>(row: &[f64], to: S) -> Result<S::Ok, S::Error> {
    singles(row).serialize(to)
}

pub(crate) fn rows<S: Serializer>(rows: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(rows.iter().map(|row| singles(row)))
}

pub(crate) fn options<S: Serializer>(row: &[Option<f64>], to: S) -> Result<S::Ok, S::Error> {
    optional(row).serialize(to)
}

pub(crate) fn option_rows<S: Serializer>(rows: &[Vec<Option<f64>>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(rows.iter().map(|row| optional(row)))
}
