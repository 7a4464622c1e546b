//! Between sweeps: from sums over the batch to the coefficients of batch norms, forward and
//! backward.
//!
//! The formulas are those of [`da2s_kernels::norm`].

use da2s_kernels::{norm, table};
use da2s_plan::NORM_EPSILON;

use super::compiled::{Chain, ChainOperation, Compiled, Unit};
use super::image::Coefficients;

/// Statistics of the batch norms of a call.
#[derive(Debug)]
pub enum Statistics<'a> {
    /// Computed from the batch and written here, one value per channel of the plan's norms; the
    /// variance is the unbiased one. Channels of choices that are not computed are set to 0.
    Batch {
        /// Means.
        mean: &'a mut [f32],
        /// Unbiased variances.
        variance: &'a mut [f32],
    },
    /// Given by the caller.
    Running {
        /// Means.
        mean: &'a [f32],
        /// Variances.
        variance: &'a [f32],
    },
}

/// Moments of all images, at the positions given by [`Compiled::sums`].
pub(super) struct Moments<'a> {
    pub means: &'a [f32],
    pub deviations: &'a [f32],
    pub compiled: &'a Compiled,
}

/// Scale and shift of a norm; 1 and 0 if there is none.
fn affine(stage: &Chain, weights: &[f32], channel: usize) -> (f64, f64) {
    match stage.norm.and_then(|norm| norm.affine) {
        Some((gamma, beta)) => (f64::from(weights[gamma + channel]), f64::from(weights[beta + channel])),
        None => (1.0, 0.0),
    }
}

/// Sets the coefficients of a stage. `weight` is the unit's mixture weight in its last stage,
/// otherwise 1.
pub(super) fn prepare(
    stage: &Chain,
    weight: f32,
    weights: &[f32],
    statistics: &mut Statistics,
    moments: Option<&Moments>,
    coefficients: &mut Coefficients,
) {
    let channels = stage.output.channels;
    let at = stage.table..stage.table + table::length(channels);
    let (mut mean, mut variance) = (vec![0.0; channels], vec![1.0 - NORM_EPSILON; channels]);
    if let Some(norm) = stage.norm {
        let range = norm.statistics..norm.statistics + channels;
        match (statistics, moments) {
            (
                Statistics::Running {
                    mean: given,
                    variance: spread,
                },
                _,
            ) => {
                for (to, from) in [(&mut mean, *given), (&mut variance, *spread)] {
                    to.iter_mut()
                        .zip(&from[range.clone()])
                        .for_each(|(to, &from)| *to = f64::from(from));
                }
            }
            (
                Statistics::Batch {
                    mean: to_mean,
                    variance: to_variance,
                },
                Some(moments),
            ) => {
                let pixels = stage.output.pixels();
                let all = moments.compiled.sums(stage.moments, channels);
                let (means, deviations) = (&moments.means[all.clone()], &moments.deviations[all]);
                norm::merge(means, deviations, pixels, &mut mean, &mut variance);
                let count = (moments.compiled.batch * pixels) as f64;
                let unbiased = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
                for (channel, at) in range.enumerate() {
                    to_mean[at] = mean[channel] as f32;
                    to_variance[at] = (variance[channel] * unbiased) as f32;
                }
            }
            (Statistics::Batch { .. }, None) => {}
        }
    }
    for channel in 0..channels {
        let inverse = 1.0 / (variance[channel] + NORM_EPSILON).sqrt();
        let (gamma, beta) = affine(stage, weights, channel);
        let scale = f64::from(weight) * gamma * inverse;
        coefficients.scale[at.start + channel] = scale as f32;
        coefficients.shift[at.start + channel] = (f64::from(weight) * beta - scale * mean[channel]) as f32;
        coefficients.center[at.start + channel] = mean[channel] as f32;
        coefficients.inverse[stage.slot + channel] = inverse as f32;
    }
    for tables in [
        &mut coefficients.scale,
        &mut coefficients.shift,
        &mut coefficients.center,
    ] {
        table::repeat(&mut tables[at.clone()], channels);
    }
}

/// Sums S₁ and S₂ of all images, at the positions given by [`Compiled::sums`].
pub(super) struct GradientSums<'a> {
    pub first: &'a [f32],
    pub second: &'a [f32],
    pub compiled: &'a Compiled,
}

/// What the gradient of a stage's norm is computed from.
pub(super) struct Backward<'a> {
    pub stage: &'a Chain,
    /// The weight included in the stage's coefficients.
    pub weight: f32,
    pub weights: &'a [f32],
    pub sums: &'a GradientSums<'a>,
    /// Whether the statistics were those of the batch.
    pub from_batch: bool,
    pub coefficients: &'a Coefficients,
}

/// Sets the tables a, b, d of a stage, and the gradients of its scale, shift and bias if they are
/// requested. Returns the gradient of the mixture weight.
pub(super) fn prepare_backward(from: Backward, tables: &mut [Vec<f32>; 3], gradients: Option<&mut [f32]>) -> f64 {
    let Backward {
        stage,
        weight,
        weights,
        sums,
        from_batch,
        coefficients,
    } = from;
    let channels = stage.output.channels;
    let at = stage.table..stage.table + table::length(channels);
    let mut totals = [vec![0.0f64; channels], vec![0.0f64; channels]];
    for (total, all) in totals.iter_mut().zip([sums.first, sums.second]) {
        for image in all[sums.compiled.sums(stage.slot, channels)].chunks_exact(channels) {
            total
                .iter_mut()
                .zip(image)
                .for_each(|(total, &value)| *total += f64::from(value));
        }
    }
    let count = (sums.compiled.batch * stage.output.pixels()) as f64;
    let weight = f64::from(weight);
    let mut of_mixture = 0.0;
    let mut gradients = gradients;
    for channel in 0..channels {
        let (first, second) = (totals[0][channel], totals[1][channel]);
        let (gamma, beta) = affine(stage, weights, channel);
        let inverse = f64::from(coefficients.inverse[stage.slot + channel]);
        let center = f64::from(coefficients.center[at.start + channel]);
        let a = weight * gamma * inverse;
        // S₂ is centred on the mean. This also holds for given statistics: the normalised value is
        // (z − μ)/σ in both cases.
        of_mixture += gamma * inverse * second + beta * first;
        let (b, d) = if from_batch && stage.norm.is_some() {
            let b = -a * inverse * inverse * second / count;
            (b, -a * first / count - b * center)
        } else {
            (0.0, 0.0)
        };
        for (table, value) in tables.iter_mut().zip([a, b, d]) {
            table[at.start + channel] = value as f32;
        }
        if let Some(gradients) = gradients.as_deref_mut() {
            if let Some((gamma, beta)) = stage.norm.and_then(|norm| norm.affine) {
                gradients[gamma + channel] = (weight * inverse * second) as f32;
                gradients[beta + channel] = (weight * first) as f32;
            }
            if let ChainOperation::Dense { bias: Some(bias), .. } = stage.operation {
                // Batch statistics cancel a bias.
                gradients[bias + channel] = if from_batch && stage.norm.is_some() {
                    0.0
                } else {
                    (a * first) as f32
                };
            }
        }
    }
    for table in tables {
        table::repeat(&mut table[at.clone()], channels);
    }
    of_mixture
}

/// The weight included in a stage's coefficients.
pub(super) fn carried(unit: &Unit, stage: usize, mixture: Option<&[f32]>) -> f32 {
    match (unit.choice, mixture) {
        (Some(choice), Some(mixture)) if stage + 1 == unit.stages.len() => mixture[choice],
        (Some(_) | None, _) => 1.0,
    }
}
