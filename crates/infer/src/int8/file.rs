//! The file of an int8 network: safetensors, with a description that has the precision `int8`.
//!
//! Contract: the metadata entry `da2s` is the JSON of a [`Deployed`](crate::Deployed) with the
//! precision `int8` and a checksum. Each convolution has `NAME.weight` (int8), `NAME.scale`
//! (float32, per output) and `NAME.bias` (int32). NAME is the name of the layer, or of the batch
//! norm if there is no other layer. The classifier has the same three, but a float32 bias.
//! `activations.scale` and `activations.zero_point` have an entry for each tensor with a
//! quantisation of its own, in the order of the steps.

use da2s_engine::{CheckedStage, ConvolutionStep, NetworkPlan, Operation, Steps};
use da2s_records::schema::Preprocessing;
use da2s_records::{StoredTensor, WeightsFileError, signed_file};
use safetensors::Dtype;

use super::network::{Int8Classifier, Int8Convolution, Int8Network, Quantisation};
use super::quantise::check_products;
use crate::error::NetworkError;
use crate::network::{DESCRIPTION, Deployed, Precision, image_shape};
use crate::tensors::Tensors;

const CLASSIFIER: &str = "classifier";
const ACTIVATION_SCALES: &str = "activations.scale";
const ZERO_POINTS: &str = "activations.zero_point";

/// The name of a convolution in the file.
fn name(step: &ConvolutionStep) -> String {
    match (&step.weights, &step.norm) {
        (Some(weights), _) => weights.trim_end_matches(".weight").to_owned(),
        (None, Some((norm, _))) => norm.clone(),
        (None, None) => String::new(),
    }
}

/// The tensors with a quantisation of their own.
fn own(like: &[usize]) -> impl Iterator<Item = usize> {
    let own = like.iter().enumerate().filter(|(tensor, like)| tensor == *like);
    own.map(|(tensor, _)| tensor)
}

/// The bytes of a file.
///
/// # Errors
/// If two layers have the same name.
pub fn to_bytes(network: &Int8Network) -> Result<Vec<u8>, WeightsFileError> {
    let deployed = Deployed {
        plan: network.plan.clone(),
        preprocessing: network.preprocessing.clone(),
        precision: Precision::Int8,
    };
    let description = serde_json::to_string(&deployed).map_err(|error| WeightsFileError::Format(error.to_string()))?;
    let mut tensors = Vec::new();
    let mut store = |name: String, kind, shape: &[usize], bytes: Vec<u8>| {
        tensors.push(StoredTensor {
            name,
            kind,
            shape: shape.to_vec(),
            bytes,
        });
    };
    for (_, step, weights, _) in network.each_step() {
        let (Operation::Convolution(step), Some(own)) = (&step.operation, weights) else {
            continue;
        };
        let name = name(step);
        store(
            format!("{name}.weight"),
            Dtype::I8,
            &step.weight_shape(),
            int8(&own.weights),
        );
        store(
            format!("{name}.scale"),
            Dtype::F32,
            &[step.outputs],
            float32(&own.scales),
        );
        let bias = own.bias.iter().flat_map(|value| value.to_le_bytes()).collect();
        store(format!("{name}.bias"), Dtype::I32, &[step.outputs], bias);
    }
    let Int8Classifier { weights, scales, bias } = &network.classifier;
    let classes = bias.len();
    let matrix = [classes, weights.len() / classes];
    store(format!("{CLASSIFIER}.weight"), Dtype::I8, &matrix, int8(weights));
    store(format!("{CLASSIFIER}.scale"), Dtype::F32, &[classes], float32(scales));
    store(format!("{CLASSIFIER}.bias"), Dtype::F32, &[classes], float32(bias));
    let quantised: Vec<Quantisation> = own(&network.steps.quantised_like())
        .map(|tensor| network.tensors[tensor])
        .collect();
    let scales: Vec<f32> = quantised.iter().map(|one| one.scale).collect();
    let zero_points: Vec<u8> = quantised.iter().map(|one| one.zero_point).collect();
    store(
        ACTIVATION_SCALES.to_owned(),
        Dtype::F32,
        &[scales.len()],
        float32(&scales),
    );
    store(ZERO_POINTS.to_owned(), Dtype::U8, &[scales.len()], zero_points);
    signed_file(&tensors, DESCRIPTION, &description)
}

/// Reads a network from the tensors of a file; `checked` is the result of checking its plan.
pub(crate) fn read(
    plan: NetworkPlan,
    checked: &[CheckedStage],
    preprocessing: Preprocessing,
    file: &mut Tensors<'_>,
) -> Result<Int8Network, NetworkError> {
    let steps = Steps::new(&plan, checked, image_shape(&preprocessing));
    steps.check_integer()?;
    check_products(&steps)?;
    let mut convolutions = Vec::with_capacity(steps.steps.len());
    for step in &steps.steps {
        let Operation::Convolution(step) = &step.operation else {
            convolutions.push(None);
            continue;
        };
        let name = name(step);
        convolutions.push(Some(Int8Convolution {
            weights: file.int8(&format!("{name}.weight"), &step.weight_shape())?,
            scales: file.scales(&format!("{name}.scale"), step.outputs)?,
            bias: file.int32(&format!("{name}.bias"), &[step.outputs])?,
        }));
    }
    let classes = preprocessing.classes.len();
    let features = steps.shape(steps.output).channels;
    let classifier = Int8Classifier {
        weights: file.int8(&format!("{CLASSIFIER}.weight"), &[classes, features])?,
        scales: file.scales(&format!("{CLASSIFIER}.scale"), classes)?,
        bias: file.floats(&format!("{CLASSIFIER}.bias"), &[classes])?.into_owned(),
    };
    let like = steps.quantised_like();
    let count = own(&like).count();
    let scales = file.scales(ACTIVATION_SCALES, count)?;
    let zero_points = file.uint8(ZERO_POINTS, &[count])?;
    let mut tensors = vec![None; steps.tensors()];
    for ((tensor, scale), zero_point) in own(&like).zip(scales).zip(zero_points) {
        tensors[tensor] = Some(Quantisation { scale, zero_point });
    }
    // Each tensor has its own quantisation, or shares that of a tensor which has its own.
    let missing = || NetworkError::Missing {
        name: ACTIVATION_SCALES.to_owned(),
    };
    let tensors = like.iter().map(|&like| tensors[like].ok_or_else(missing));
    let tensors = tensors.collect::<Result<_, _>>()?;
    Ok(Int8Network {
        plan,
        preprocessing,
        steps,
        tensors,
        convolutions,
        classifier,
    })
}

fn int8(values: &[i8]) -> Vec<u8> {
    values.iter().map(|value| value.to_le_bytes()[0]).collect()
}

fn float32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
