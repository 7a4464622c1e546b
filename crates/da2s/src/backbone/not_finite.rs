//! Finds the tensor of a backbone that is not finite: errors name the cause, not the loss in which
//! it shows.

use burn::tensor::Tensor;
use da2s_records::Named;

use super::{Backbone, Statistics, Weights};
use crate::arch::ArchParams;
use crate::device::host;
use crate::finite::NotFinite;

impl NotFinite {
    /// The gradient to report if several are not finite: the one closest to the loss, which spread
    /// to the others. `gradients` has one flat tensor per part.
    pub(crate) fn in_gradients(backbone: &Backbone, gradients: &[Option<Tensor<1>>]) -> Option<Self> {
        let parts = backbone.parts().iter().zip(gradients).rev();
        let mut named = parts
            .filter_map(|(part, gradient)| Some(part.name_weights(&host(gradient.as_ref()?))))
            .flatten();
        named.find_map(|named| first("the gradient of ", &named))
    }

    /// What made a loss, called `what`, become `value`, which is not finite: α and β, the weights,
    /// the first batch norm of the forward pass with such an input, or the loss itself.
    pub(crate) fn in_forward(
        (what, value): (&str, f64),
        arch: Option<&ArchParams>,
        weights: &Weights,
        statistics: &Statistics,
        backbone: &Backbone,
    ) -> Self {
        let of_arch = arch.and_then(|arch| arch.check_finite().err());
        let found = of_arch
            .or_else(|| weights.named(backbone).iter().find_map(|named| first("", named)))
            .or_else(|| statistics.named(backbone).iter().find_map(|named| first("", named)));
        found.unwrap_or_else(|| Self {
            what: what.to_owned(),
            value,
        })
    }

    /// Returns an error if a weight or a running statistic is not finite.
    pub(crate) fn in_values(weights: &Weights, statistics: &Statistics, backbone: &Backbone) -> Result<(), Self> {
        let mut tensors = weights.parts().iter().chain(statistics.tensors());
        if tensors.all(|tensor| host(tensor).iter().all(|value| value.is_finite())) {
            return Ok(());
        }
        let loss = ("a weight or a statistic", f64::NAN);
        Err(Self::in_forward(loss, None, weights, statistics, backbone))
    }
}

fn first(prefix: &str, named: &Named) -> Option<NotFinite> {
    NotFinite::check(|| format!("{prefix}{}", named.name), &named.data).err()
}
