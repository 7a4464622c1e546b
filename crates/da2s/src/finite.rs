//! Values that are NaN or infinite: found in the step where they arise, with the tensor in which they are seen first.
//!
//! Contract: nothing moves by a gradient that is not finite, and no checkpoint holds such a number.

/// A tensor with a number that is none.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// Which tensor or loss.
    pub what: String,
    /// What stands in it.
    pub value: f64,
}

impl NotFinite {
    /// An error if there is one in `values`, which are called `what`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_none_is_told() {
        let check = |values: &[f32]| NotFinite::check(|| "x".to_owned(), values);
        assert_eq!(check(&[0.0, f32::MAX, f32::MIN_POSITIVE]), Ok(()));
        let found = check(&[1.0, f32::NEG_INFINITY, f32::NAN]).unwrap_err();
        assert_eq!((found.what.as_str(), found.value), ("x", f64::from(f32::NEG_INFINITY)));
    }
}
