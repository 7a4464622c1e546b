//! Numbers that are none: found in the step where they arise, with the tensor in which they are seen first.
//!
//! Contract: nothing moves by a gradient that is not finite, and no checkpoint holds such a number.

use std::fmt;

use burn::tensor::Tensor;

use crate::backbone::{Backbone, Named, Statistics, Weights, host};
use crate::error::Error;
use crate::supernet::ArchParams;

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
    /// `the search` or `the training`.
    pub stage: &'static str,
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
        write!(f, "{what} became {value} in epoch {epoch}, step {step} of {stage}")
    }
}

impl NotFinite {
    /// The same at its place: `the search` or `the training`, epoch and step from 1; and how often that had gone back before.
    pub fn at(self, stage: &'static str, epoch: usize, step: usize, rollbacks: u32) -> Error {
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

    /// The gradient, one flat tensor a part, from which the others were spoilt: the one nearest to the loss.
    pub(crate) fn in_gradients(backbone: &Backbone, gradients: &[Option<Tensor<1>>]) -> Option<Self> {
        let parts = backbone.parts().iter().zip(gradients).rev();
        let mut named = parts
            .filter_map(|(part, gradient)| Some(part.name_weights(&host(gradient.as_ref()?))))
            .flatten();
        named.find_map(|named| first("the gradient of ", &named))
    }

    /// Why a loss, called `what`, is `value`: α and β, the weights, the statistics of the first batch norm in the order of the
    /// forward pass whose input is not finite, or the loss itself.
    pub(crate) fn in_forward(
        (what, value): (&str, f64),
        arch: Option<&ArchParams>,
        weights: &Weights,
        statistics: &Statistics,
        backbone: &Backbone,
    ) -> Self {
        let of_arch = arch.and_then(|arch| Self::in_arch(arch).err());
        let found = of_arch
            .or_else(|| weights.named(backbone).iter().find_map(|named| first("", named)))
            .or_else(|| statistics.named(backbone).iter().find_map(|named| first("", named)));
        found.unwrap_or_else(|| Self {
            what: what.to_owned(),
            value,
        })
    }

    /// An error if a weight or a running statistic is not finite.
    pub(crate) fn in_values(weights: &Weights, statistics: &Statistics, backbone: &Backbone) -> Result<(), Self> {
        let mut tensors = weights.parts().iter().chain(statistics.tensors());
        if tensors.all(|tensor| host(tensor).iter().all(|value| value.is_finite())) {
            return Ok(());
        }
        let loss = ("a weight or a statistic", f64::NAN);
        Err(Self::in_forward(loss, None, weights, statistics, backbone))
    }

    /// An error if α or β is not finite.
    pub(crate) fn in_arch(arch: &ArchParams) -> Result<(), Self> {
        for (kind, arch) in arch.kinds().iter() {
            Self::check(|| format!("α of the {} cells", kind.name()), &host(&arch.alpha))?;
            Self::check(|| format!("β of the {} cells", kind.name()), &host(&arch.beta))?;
        }
        Ok(())
    }
}

fn first(prefix: &str, named: &Named) -> Option<NotFinite> {
    NotFinite::check(|| format!("{prefix}{}", named.name), &named.data).err()
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
            stage: "the search",
            epoch: 2,
            step: 7,
        };
        assert_eq!(place.to_string(), "x became -inf in epoch 2, step 7 of the search");
    }
}
