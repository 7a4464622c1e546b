//! Finds the tensor of a backbone that is not finite. Errors then name this tensor, which is the
//! cause, instead of the loss.

use burn::tensor::Tensor;
use da2s_records::Named;

use super::{Backbone, Statistics, Weights};
use crate::arch::ArchParams;
use crate::device::host;
use crate::finite::NotFinite;

impl NotFinite {
    /// The gradient to report if several are not finite: the first one in the last part, which is
    /// the closest to the loss, since NaN spreads from there to the other parts. `gradients` has
    /// one flat tensor per part.
    pub(crate) fn in_gradients(backbone: &Backbone, gradients: &[Option<Tensor<1>>]) -> Option<Self> {
        let parts = backbone.parts().iter().zip(gradients).rev();
        let mut named = parts
            .filter_map(|(part, gradient)| Some(part.name_weights(&host(gradient.as_ref()?))))
            .flatten();
        named.find_map(|named| first("the gradient of ", &named))
    }

    /// The cause of a loss that is not finite: the first tensor with NaN or infinity among α and β,
    /// the weights, and the statistics of the batch norms (whose input was not finite then). If
    /// there is none, it is the loss itself, with the name `what` and the value `value`.
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
