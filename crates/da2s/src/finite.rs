//! Detects NaN and infinity in the step where they occur, and reports the first tensor that
//! contains them.
//!
//! Contract: no update uses a gradient that is not finite, and no checkpoint contains such a value.

/// A tensor that contains NaN or infinity.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// Name of the tensor or loss.
    pub what: String,
    /// The value.
    pub value: f64,
}

impl NotFinite {
    /// Checks `values`, whose name is `what`.
    ///
    /// # Errors
    /// The first that is not finite.
    pub fn check(what: impl FnOnce() -> String, values: &[f32]) -> Result<(), Self> {
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(&value) => Err(Self {
                what: what(),
                value: f64::from(value),
            }),
        }
    }
}

/// An output of a network that is NaN or infinite, and so indicates no class.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("an output of the network is {value}: its weights are damaged, or diverged in training")]
pub struct OutputNotFinite {
    /// The output.
    pub value: f32,
}

/// Returns an error if an output of a network is NaN or infinite.
pub(crate) fn finite_outputs(outputs: &[f32]) -> Result<(), OutputNotFinite> {
    match outputs.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(OutputNotFinite { value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_reported() {
        let check = |values: &[f32]| NotFinite::check(|| "x".to_owned(), values);
        assert_eq!(check(&[0.0, f32::MAX, f32::MIN_POSITIVE]), Ok(()));
        let found = check(&[1.0, f32::NEG_INFINITY, f32::NAN]).unwrap_err();
        assert_eq!((found.what.as_str(), found.value), ("x", f64::from(f32::NEG_INFINITY)));
    }
}
