//! A float32 network, read from a file and compiled for the engine.

use da2s_engine::deployed::DeployedNetwork;
use da2s_engine::{CheckedStage, NetworkPlan, Steps};
use da2s_records::schema::Preprocessing;

use crate::error::NetworkError;
use crate::fold::{ByName, weights};
use crate::network::image_shape;
use crate::tensors::Tensors;

/// A compiled network and its classifier.
#[derive(Debug)]
pub(crate) struct FloatNetwork {
    network: DeployedNetwork,
    classifier: Classifier,
}

/// The classifier of a network.
#[derive(Debug)]
pub(crate) struct Classifier {
    /// `[classes, features]`.
    pub(crate) matrix: Vec<f32>,
    /// One per class.
    pub(crate) bias: Vec<f32>,
}

impl FloatNetwork {
    /// Takes the weights of `plan`, whose stages were `checked`, from a file.
    pub(crate) fn read(
        plan: &NetworkPlan,
        checked: &[CheckedStage],
        preprocessing: &Preprocessing,
        file: &mut Tensors<'_>,
    ) -> Result<Self, NetworkError> {
        let mut tensors = Vec::new();
        for (stage, CheckedStage { cell, .. }) in plan.stages.iter().zip(checked) {
            let named = |name: &str| format!("{}{name}", stage.prefix);
            // A plan's sizes are trusted only as far as the file contains the tensors.
            for weight in &cell.weights {
                let name = named(&weight.name);
                tensors.push((name.clone(), file.floats(&name, &weight.shape)?));
            }
            for norm in &cell.norms {
                let name = named(&norm.name);
                let mut part = |part: &str| {
                    let name = format!("{name}.{part}");
                    let data = file.floats(&name, &[norm.channels])?;
                    tensors.push((name, data.clone()));
                    Ok::<_, NetworkError>(data)
                };
                part("running_mean")?;
                if part("running_var")?.iter().any(|&variance| variance < 0.0) {
                    return Err(NetworkError::Variance { name });
                }
            }
        }
        let steps = Steps::new(plan, checked, image_shape(preprocessing));
        let by_name = ByName::of_file(tensors);
        let of_step = |at: usize, outputs| Ok::<_, NetworkError>(weights(&steps.steps[at], outputs, &by_name)?);
        let (classes, features) = (preprocessing.classes.len(), steps.shape(steps.output).channels);
        Ok(Self {
            network: DeployedNetwork::new(&steps, of_step)?,
            classifier: Classifier {
                matrix: file.floats("classifier.weight", &[classes, features])?.into_owned(),
                bias: file.floats("classifier.bias", &[classes])?.into_owned(),
            },
        })
    }

    /// The logits of images, each channels × rows × columns.
    pub(crate) fn logits(&self, images: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let features = self.network.features(images);
        let means = features.chunks(self.network.feature_count());
        means.map(|means| self.classifier.logits(means)).collect()
    }
}

impl Classifier {
    /// The logits of an image whose global means are `features`.
    pub(crate) fn logits(&self, features: &[f32]) -> Vec<f32> {
        let rows = self.matrix.chunks(features.len()).zip(&self.bias);
        rows.map(|(row, bias)| product(row, features) + bias).collect()
    }
}

/// The sum of products, in eight sums kept in a vector.
fn product(row: &[f32], features: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let ((rows, row_rest), (parts, rest)) = (row.as_chunks::<8>(), features.as_chunks::<8>());
    for (row, part) in rows.iter().zip(parts) {
        for ((sum, weight), value) in sums.iter_mut().zip(row).zip(part) {
            *sum += weight * value;
        }
    }
    let rest: f32 = row_rest.iter().zip(rest).map(|(weight, value)| weight * value).sum();
    sums.iter().sum::<f32>() + rest
}
