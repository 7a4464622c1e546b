//! Gradients of the mixture at each layer, and their alignment.
//!
//! Reference: Movahedi et al., Λ-DARTS, ICLR 2023, and its code. g_l is the gradient of the loss in
//! the mixture's weights at cell l, u_l = g_l / ‖g_l‖, and over the cells of a kind
//!
//! ```text
//! Λ   = 1/C Σ_{l<m} u_l·u_m,   C the number of pairs
//! δ_l = ∂Λ/∂g_l = 1/C (I − u_l u_lᵀ) Σ_m u_m / ‖g_l‖
//! ∇_w Λ ≈ (∇_w L(p_l + ε δ_l) − ∇_w L(p_l − ε δ_l)) / 2ε,   ε = 0.01 / ‖δ‖
//! ```
//!
//! Contract: L is the loss of the weights on their batch; only the first pass updates the running
//! statistics. ε is that of DARTS's second order; with the 1e-4 of the authors' code the difference
//! is mostly 32-bit rounding error on small networks. A kind with fewer than two cells, or without
//! a gradient, is not part of Λ.

use burn::tensor::{Gradients, Tensor, TensorData};

use super::bilevel::{Bilevel, Under};
use super::moment::{Draw, When};
use super::state::SearchState;
use crate::arch::{ArchParams, Mixtures};
use crate::device::host;
use crate::evaluate::DeviceBatch;
use crate::finite::NotFinite;
use crate::space::CellKind;

/// Added to the mixture at each stage of the backbone.
pub(super) type Shifts = Vec<Option<Tensor<1>>>;

/// δ at each stage.
pub(super) type Directions = Vec<Option<Vec<f64>>>;

/// The step of the finite difference, times ‖δ‖.
const STEP: f64 = 0.01;

impl Bilevel<'_> {
    /// Zeros on the autodiff graph. Their gradients are those of the mixture at each layer.
    pub(super) fn layers(&self, mixtures: &Mixtures) -> Shifts {
        let zeros = |kind| {
            let count = mixtures.kind(kind).weights.dims()[0];
            Tensor::zeros([count], self.device).autodiff().require_grad()
        };
        let stages = self.backbone.stages().iter();
        stages.map(|stage| stage.kind.map(zeros)).collect()
    }

    /// δ of each layer, from the gradients of `layers`, which are taken from `gradients`; empty if
    /// Λ is not defined.
    pub(super) fn directions(&self, layers: &[Option<Tensor<1>>], gradients: &mut Gradients) -> Directions {
        let of_layers = layers
            .iter()
            .map(|layer| layer.as_ref().and_then(|layer| layer.grad_remove(gradients)));
        let of_layers = self.averaged(of_layers.collect());
        let values = |layer: Option<Tensor<1>>| layer.map(|layer| host(&layer).into_iter().map(f64::from).collect());
        let of_layers: Directions = of_layers.into_iter().map(values).collect();
        let mut found = vec![None; of_layers.len()];
        for kind in CellKind::ALL {
            let stages = self.backbone.stages().iter().enumerate();
            let own: Vec<usize> = stages
                .filter(|(index, stage)| {
                    stage.kind == Some(kind) && of_layers[*index].as_deref().is_some_and(|g| norm(g) > 0.0)
                })
                .map(|(index, _)| index)
                .collect();
            let slopes: Vec<&[f64]> = own.iter().filter_map(|&index| of_layers[index].as_deref()).collect();
            for (index, direction) in own.into_iter().zip(directions(&slopes)) {
                found[index] = Some(direction);
            }
        }
        found
    }

    /// `own` − λ ∇_w Λ, one tensor per part of the weights.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub(super) fn with_alignment(
        &self,
        state: &SearchState,
        own: Vec<Option<Tensor<1>>>,
        lambda: f64,
        (arch, directions): (&ArchParams, &[Option<Vec<f64>>]),
        batch: &DeviceBatch,
        draw: Draw,
    ) -> Result<Vec<Option<Tensor<1>>>, NotFinite> {
        let Some(slopes) = self.alignment(state, (arch, directions), batch, draw)? else {
            return Ok(own);
        };
        let joined = own.into_iter().zip(slopes).map(|(own, slope)| match (own, slope) {
            (Some(own), Some(slope)) => Some(own - slope * lambda),
            (own, _) => own,
        });
        Ok(joined.collect())
    }

    /// ∇_w Λ, one tensor per part of the weights; `None` if there is nothing to align.
    fn alignment(
        &self,
        state: &SearchState,
        (arch, directions): (&ArchParams, &[Option<Vec<f64>>]),
        batch: &DeviceBatch,
        draw: Draw,
    ) -> Result<Option<Vec<Option<Tensor<1>>>>, NotFinite> {
        let mixtures = &self.mixtures(arch, When::Training(draw));
        let length = directions
            .iter()
            .flatten()
            .map(|direction| norm(direction).powi(2))
            .sum::<f64>()
            .sqrt();
        if length == 0.0 || !length.is_finite() {
            return Ok(None);
        }
        let epsilon = STEP / length;
        let at = |sign: f64| {
            let shift = |direction: &Option<Vec<f64>>| {
                direction.as_ref().map(|direction| {
                    let values: Vec<f32> = direction.iter().map(|value| (sign * epsilon * value) as f32).collect();
                    Tensor::from_data(TensorData::new(values, [direction.len()]), self.device).autodiff()
                })
            };
            let shifts: Shifts = directions.iter().map(shift).collect();
            let under = Under {
                mixtures,
                shifts: Some(&shifts),
            };
            let weights = state.weights.on_graph(true);
            let (loss, _) = self.loss_under(&mut state.clone(), &weights, arch, under, batch, draw)?;
            Ok(weights.gradients(loss.backward()))
        };
        let (above, below) = (at(1.0)?, at(-1.0)?);
        let differences = above.into_iter().zip(below).map(|pair| match pair {
            (Some(above), Some(below)) => Some((above - below) * (0.5 / epsilon)),
            _ => None,
        });
        Ok(Some(differences.collect()))
    }
}

/// δ_l for the gradients `slopes`, none of which is zero.
fn directions(slopes: &[&[f64]]) -> Vec<Vec<f64>> {
    let count = slopes.len();
    if count < 2 {
        return Vec::new();
    }
    let pairs = (count * (count - 1) / 2) as f64;
    let unit = |slope: &&[f64]| -> Vec<f64> { slope.iter().map(|value| value / norm(slope)).collect() };
    let units: Vec<Vec<f64>> = slopes.iter().map(unit).collect();
    let sum: Vec<f64> = (0..slopes[0].len())
        .map(|at| units.iter().map(|unit| unit[at]).sum())
        .collect();
    let of = |(unit, slope): (&Vec<f64>, &&[f64])| {
        let along: f64 = unit.iter().zip(&sum).map(|(u, s)| u * s).sum();
        let scale = 1.0 / (pairs * norm(slope));
        unit.iter().zip(&sum).map(|(u, s)| scale * (s - along * u)).collect()
    };
    units.iter().zip(slopes).map(of).collect()
}

/// The mean cosine over all pairs of `slopes`.
#[cfg(test)]
fn mean_cosine(slopes: &[&[f64]]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (at, a) in slopes.iter().enumerate() {
        for b in &slopes[..at] {
            sum += dot(a, b) / (norm(a) * norm(b));
            pairs += 1.0;
        }
    }
    sum / pairs
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Weights;
    use crate::data::{DataOptions, Format, open};
    use crate::resumable::Resumable;
    use crate::search::{Method, Moment, Search, SearchSetup};
    use burn::tensor::Device;
    use da2s_engine::Engine;

    #[test]
    fn directions_are_the_slopes_of_the_mean_cosine() {
        let slopes: Vec<Vec<f64>> = (0..3)
            .map(|layer| (0..5).map(|at| ((layer * 5 + at) as f64 * 1.7).sin()).collect())
            .collect();
        let views = |slopes: &[Vec<f64>]| mean_cosine(&slopes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let found = directions(&slopes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for layer in 0..3 {
            for at in 0..5 {
                let moved = |by: f64| {
                    let mut slopes = slopes.clone();
                    slopes[layer][at] += by;
                    views(&slopes)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((found[layer][at] - slope).abs() < 1e-6, "{} {slope}", found[layer][at]);
            }
        }
        assert!(directions(&[&[1.0, 2.0]]).is_empty());
    }

    /// Along its own gradient, Λ increases as predicted.
    #[test]
    fn the_weights_move_toward_layers_that_agree() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.cells, setup.search.batch_size) = (2, 5, 32);
        setup.search.method = Method::LambdaDarts;
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
        let state = search.start();
        let stepper = search.stepper(&state);
        let batch = DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &search.device);
        let draw = Draw::new(1, Moment::of_epoch(1, 2, 0));
        let arch = state.arch.untracked();
        let mixtures = stepper.mixtures(&arch, When::Training(draw));
        let slopes_at = |weights: &Weights| {
            let (weights, layers) = (weights.on_graph(true), stepper.layers(&mixtures));
            let under = Under {
                mixtures: &mixtures,
                shifts: Some(&layers),
            };
            let loss = stepper.loss_under(&mut state.clone(), &weights, &arch, under, &batch, draw);
            (layers, loss.unwrap().0.backward())
        };
        let lambda = |weights: &Weights| {
            let (layers, mut gradients) = slopes_at(weights);
            let of = |kind: CellKind| {
                let stages = search.backbone.stages().iter().zip(&layers);
                let own = stages.filter(|(stage, _)| stage.kind == Some(kind));
                own.filter_map(|(_, layer)| layer.clone()).collect::<Vec<_>>()
            };
            let sum: f64 = CellKind::ALL
                .map(of)
                .iter()
                .map(|layers| {
                    let slopes: Vec<Vec<f64>> = layers
                        .iter()
                        .map(|layer| {
                            host(&layer.grad_remove(&mut gradients).unwrap())
                                .into_iter()
                                .map(f64::from)
                                .collect()
                        })
                        .collect();
                    mean_cosine(&slopes.iter().map(Vec::as_slice).collect::<Vec<_>>())
                })
                .sum();
            sum
        };
        let (layers, mut gradients) = slopes_at(&state.weights);
        let directions = stepper.directions(&layers, &mut gradients);
        let slope = stepper
            .alignment(&state, (&arch, &directions[..]), &batch, draw)
            .unwrap()
            .unwrap();
        let square: f64 = slope
            .iter()
            .flatten()
            .map(|part| host(part).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>())
            .sum();
        let by = 1e-3 / square.sqrt();
        let moved = |sign: f64| {
            let parts = state
                .weights
                .parts()
                .iter()
                .zip(&slope)
                .map(|(part, slope)| match slope {
                    Some(slope) => part.clone() + slope.clone() * (sign * by),
                    None => part.clone(),
                });
            lambda(&Weights::from_parts(parts.collect()))
        };
        let ratio = (moved(1.0) - moved(-1.0)) / (2.0 * by * square);
        assert!((0.6..1.6).contains(&ratio), "{ratio}");
    }
}
