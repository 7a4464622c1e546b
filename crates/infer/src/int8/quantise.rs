//! From a trained float32 network to int8, with images to calibrate it.

use da2s_engine::deployed::StepWeights;
use da2s_engine::{NetworkPlan, NotInteger, Operation, PlanError, Steps};
use da2s_records::Named;
use da2s_records::schema::Preprocessing;

use super::calibrate::{RangeSetting, calibrated};
use super::network::{Int8Classifier, Int8Convolution, Int8Network, Quantisation};
use super::run::check_memory;
use crate::error::NetworkError;
use crate::fold::{ByName, Missing, weights};
use crate::network::image_shape;
use crate::plain::FloatSteps;

/// Why a network cannot be quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantiseError {
    /// A plan that cannot be run.
    #[error("its plan cannot be run: {0}")]
    Plan(#[from] PlanError),
    /// A block without integer kernels.
    #[error(transparent)]
    NotInteger(#[from] NotInteger),
    /// A tensor that is missing or too short.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A value that is NaN or infinite.
    #[error("a value inside the network is NaN or infinite: the weights are damaged, or the training diverged")]
    NotFinite,
    /// A network that is too large.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No images.
    #[error("calibrating a network takes at least one image")]
    NoImages,
    /// `stop` returned true.
    #[error("stopped while the network was being calibrated")]
    Stopped,
}

/// Maximum number of products of a byte and a weight in one sum. They sum to at most 2³⁰, so that
/// the bias, of at most 2²⁹, still fits in 32 bits.
const MOST_PRODUCTS: usize = (1 << 30) / (255 * 127);
/// Largest bias; the rest is for the products.
const MOST_BIAS: f64 = (1u32 << 29) as f64;

/// The network of `plan` with these `tensors` in int8, calibrated on `images`, each the result of
/// preprocessing. `stop` is asked now and then.
///
/// # Errors
/// If the network cannot be quantised, or `stop` returns true.
pub fn quantise(
    plan: &NetworkPlan,
    preprocessing: &Preprocessing,
    tensors: &[Named],
    images: &[Vec<f32>],
    setting: RangeSetting,
    stop: &dyn Fn() -> bool,
) -> Result<Int8Network, QuantiseError> {
    if images.is_empty() {
        return Err(QuantiseError::NoImages);
    }
    let shape = image_shape(preprocessing);
    let classes = preprocessing.classes.len();
    let stages = plan.check(shape.channels, shape.size, classes)?;
    let steps = Steps::new(plan, &stages, shape);
    steps.check_integer()?;
    check_products(&steps)?;
    check_memory(&steps)?;
    let by_name = ByName::new(tensors);
    let weights = steps
        .steps
        .iter()
        .map(|step| weights(step, 0..step.shape.channels, &by_name));
    let weights = weights.collect::<Result<Vec<StepWeights>, _>>()?;
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    // Conversion to int8 would turn NaN into an ordinary number.
    let all_finite = |weights: &StepWeights| match weights {
        StepWeights::Convolution(weights, bias) => finite(weights) && finite(bias),
        StepWeights::Squeeze(weights) => finite(weights),
        StepWeights::None => true,
    };
    if !weights.iter().all(all_finite) {
        return Err(QuantiseError::NotFinite);
    }
    let like = steps.quantised_like();
    let wanted: Vec<bool> = (0..steps.tensors()).map(|tensor| like.contains(&tensor)).collect();
    let found = calibrated(&FloatSteps::new(&steps, &weights), images, &wanted, setting, stop)?;
    let quantised: Vec<Quantisation> = like.iter().map(|&like| found[like]).collect();
    let convolutions = steps.steps.iter().zip(&weights).map(|(step, weights)| match weights {
        StepWeights::Convolution(weights, bias) => Some(convolution((weights, bias), quantised[step.inputs[0]].scale)),
        _ => None,
    });
    let convolutions = convolutions.collect();
    let features = steps.shape(steps.output).channels;
    let matrix = by_name.get("classifier.weight", classes * features)?;
    let bias = by_name.get("classifier.bias", classes)?;
    if !finite(matrix) || !finite(bias) {
        return Err(QuantiseError::NotFinite);
    }
    let (weights, scales) = per_output(matrix, features, |_, scale| scale);
    let classifier = Int8Classifier {
        weights,
        scales,
        bias: bias.to_vec(),
    };
    Ok(Int8Network {
        plan: plan.clone(),
        preprocessing: preprocessing.clone(),
        steps,
        tensors: quantised,
        convolutions,
        classifier,
    })
}

/// No sum of a layer may exceed 32 bits.
pub(super) fn check_products(steps: &Steps) -> Result<(), NetworkError> {
    for step in &steps.steps {
        if let Operation::Convolution(one) = &step.operation
            && one.per_output() > MOST_PRODUCTS
        {
            let name = step.place.clone();
            return Err(NetworkError::Overflow { name });
        }
    }
    Ok(())
}

fn convolution((weights, bias): (&[f32], &[f32]), input_scale: f32) -> Int8Convolution {
    let length = weights.len() / bias.len();
    // If the weights of an output are tiny and its bias is not, their scale is enlarged so that the
    // bias fits in 32 bits.
    let at_least = |output: usize, scale: f32| {
        let least = f64::from(bias[output].abs()) / (f64::from(input_scale) * MOST_BIAS);
        scale.max(least as f32)
    };
    let (rounded, scales) = per_output(weights, length, at_least);
    let bias = bias.iter().zip(&scales);
    let bias = bias.map(|(&bias, &scale)| {
        let unit = f64::from(input_scale) * f64::from(scale);
        // Saturates.
        (f64::from(bias) / unit).round_ties_even() as i32
    });
    Int8Convolution {
        bias: bias.collect(),
        weights: rounded,
        scales,
    }
}

/// Symmetric int8 with a scale per row of `length` weights: the largest is ±127 (Krishnamoorthi
/// 2018, section 2.2). `adjust` may enlarge the scale.
fn per_output(weights: &[f32], length: usize, adjust: impl Fn(usize, f32) -> f32) -> (Vec<i8>, Vec<f32>) {
    let mut scales = Vec::with_capacity(weights.len() / length);
    let mut quantised = Vec::with_capacity(weights.len());
    for (output, row) in weights.chunks(length).enumerate() {
        let most = row.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        let scale = adjust(output, most / 127.0);
        // A row of zeros.
        let scale = if scale < f32::MIN_POSITIVE { 1.0 } else { scale };
        quantised.extend(row.iter().map(|weight| (weight / scale).round_ties_even() as i8));
        scales.push(scale);
    }
    (quantised, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_has_the_scale_of_its_largest_weight() {
        let weights = [0.5, -1.27, 0.0, 0.0, 1e-12, -1e-12];
        let found = convolution((&weights, &[0.25, -3.0, 7.0]), 0.1);
        assert_eq!(found.weights[..4], [50, -127, 0, 0]);
        assert_eq!(found.scales[0], 1.27 / 127.0);
        assert_eq!(found.bias[0], 250);
        for (output, bias) in [-3.0, 7.0].into_iter().enumerate() {
            let unit = f64::from(found.scales[output + 1]) * f64::from(0.1f32);
            assert!(
                (f64::from(found.bias[output + 1]) * unit - bias).abs() < 1e-5,
                "{found:?}"
            );
        }
    }
}
