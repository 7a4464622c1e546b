//! Values that are NaN or infinite: found in the step where they arise, with the tensor in which they are seen first.
//!
//! Contract: nothing moves by a gradient that is not finite, and no checkpoint holds such a number.

use std::fmt;

use crate::error::Error;
use crate::observer::Stage;

/// A tensor with a number that is none.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// Which tensor or loss.
    pub what: String,
    /// What stands in it.
    pub value: f64,
}

/// Where that was.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// What.
    pub found: NotFinite,
    /// The stage.
    pub stage: Stage,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step, from 1.
    pub step: usize,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            found: NotFinite { what, value },
            stage,
            epoch,
            step,
        } = self;
        write!(
            f,
            "{what} became {value} in epoch {epoch}, step {step} of {}",
            stage.activity()
        )
    }
}

impl NotFinite {
    /// The same at its place: stage, epoch and step from 1; and how often the stage had gone back before.
    pub fn at(self, stage: Stage, epoch: usize, step: usize, rollbacks: u32) -> Error {
        Error::NotFinite {
            rollbacks,
            at: Divergence {
                found: self,
                stage,
                epoch,
                step,
            },
        }
    }

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
        let place = Divergence {
            found,
            stage: Stage::Search,
            epoch: 2,
            step: 7,
        };
        assert_eq!(place.to_string(), "x became -inf in epoch 2, step 7 of the search");
    }
}
