//! The stages of a float32 network, read from a file and run by the engine's kernels.
//!
//! Contract: every stage is a kernel of the engine with the running statistics; the output of a
//! stage is dropped when no later stage reads it.

use std::sync::{Mutex, PoisonError};

use da2s_engine::cpu::{CellKernel, Forward, Statistics, Workspace};
use da2s_engine::{CellPlan, CheckedStage, NetworkPlan};

use crate::error::NetworkError;
use crate::tensors::Tensors;

/// A stage with its weights and statistics.
#[derive(Debug)]
struct LoadedStage {
    sources: Vec<Option<usize>>,
    cell: CellPlan,
    /// Height and width of each input.
    sizes: Vec<(usize, usize)>,
    weights: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

/// The stages and the classifier.
#[derive(Debug)]
pub(crate) struct Stages {
    stages: Vec<LoadedStage>,
    last_relu: bool,
    /// `[classes, features]`, then `[classes]`.
    classifier: (Vec<f32>, Vec<f32>),
    workspace: Workspace,
    /// The kernels for the last batch size.
    kernels: Mutex<Option<(usize, Vec<CellKernel>)>>,
}

impl Stages {
    /// Takes the weights of `plan`, whose stages were `checked`, from a file.
    pub(crate) fn read(
        plan: &NetworkPlan,
        checked: Vec<CheckedStage>,
        classes: usize,
        file: &mut Tensors<'_>,
    ) -> Result<Self, NetworkError> {
        let mut stages = Vec::with_capacity(checked.len());
        for (stage, CheckedStage { cell, sizes }) in plan.stages.iter().zip(checked) {
            let named = |name: &str| format!("{}{name}", stage.prefix);
            // A plan's sizes are trusted only as far as the file contains the tensors.
            let mut weights = Vec::new();
            for weight in &cell.weights {
                weights.extend(file.floats(&named(&weight.name), &weight.shape)?);
            }
            let (mut mean, mut variance) = (Vec::new(), Vec::new());
            for norm in &cell.norms {
                let mut part = |part: &str| file.floats(&named(&format!("{}.{part}", norm.name)), &[norm.channels]);
                mean.extend(part("running_mean")?);
                let spread = part("running_var")?;
                if spread.iter().any(|&value| value < 0.0) {
                    return Err(NetworkError::Variance {
                        name: named(&norm.name),
                    });
                }
                variance.extend(spread);
            }
            let sources = stage.sources.clone();
            stages.push(LoadedStage {
                sources,
                cell,
                sizes,
                weights,
                mean,
                variance,
            });
        }
        let features = stages.last().map_or(0, |stage| stage.cell.output_channels());
        let matrix = file.floats("classifier.weight", &[classes, features])?;
        let bias = file.floats("classifier.bias", &[classes])?;
        Ok(Self {
            stages,
            last_relu: plan.last_relu,
            classifier: (matrix, bias),
            workspace: Workspace::new(),
            kernels: Mutex::new(None),
        })
    }

    /// The logits of `batch` images, which are one after another and have their channels innermost.
    pub(crate) fn logits(&self, image: &[f32], batch: usize) -> Vec<Vec<f32>> {
        let mut kept = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kernels = match kept.take() {
            Some((size, kernels)) if size == batch => kernels,
            _ => {
                let kernel = |stage: &LoadedStage| {
                    let mut kernel = CellKernel::new(&stage.cell, &stage.sizes, batch, &self.workspace);
                    kernel.pack_once(&stage.weights);
                    kernel
                };
                self.stages.iter().map(kernel).collect()
            }
        };
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.stages.len());
        for (index, (stage, kernel)) in self.stages.iter().zip(&mut kernels).enumerate() {
            let source = |source: &Option<usize>| match *source {
                None => image,
                Some(earlier) => outputs[earlier].as_slice(),
            };
            let inputs: Vec<&[f32]> = stage.sources.iter().map(source).collect();
            let mut output = vec![0.0; kernel.output_len()];
            let call = Forward {
                inputs: &inputs,
                weights: &stage.weights,
                mixture: None,
                active: None,
                drop: None,
                statistics: Statistics::Running {
                    mean: &stage.mean,
                    variance: &stage.variance,
                },
                keep: false,
                mixture_gradient: false,
            };
            kernel.forward(call, &mut output);
            outputs.push(output);
            let later = &self.stages[index + 1..];
            for (earlier, output) in outputs.iter_mut().enumerate().take(index) {
                if !later.iter().any(|stage| stage.sources.contains(&Some(earlier))) {
                    *output = Vec::new();
                }
            }
        }
        *kept = Some((batch, kernels));
        let last = outputs.pop().unwrap_or_default();
        let classified = |one: &[f32]| classify(&self.classifier, self.last_relu, one);
        last.chunks(last.len() / batch).map(classified).collect()
    }
}

/// ReLU if the network has one, the mean over the image, the classifier: `[classes, features]`,
/// then `[classes]`.
pub(crate) fn classify((matrix, bias): &(Vec<f32>, Vec<f32>), last_relu: bool, image: &[f32]) -> Vec<f32> {
    let features = matrix.len() / bias.len();
    let mut mean = vec![0.0f32; features];
    for pixel in image.chunks(features) {
        for (sum, &value) in mean.iter_mut().zip(pixel) {
            *sum += if last_relu { value.max(0.0) } else { value };
        }
    }
    let pixels = (image.len() / features) as f32;
    let row = |(row, bias): (&[f32], &f32)| {
        let sum: f32 = row.iter().zip(&mean).map(|(weight, sum)| weight * (sum / pixels)).sum();
        sum + bias
    };
    matrix.chunks(features).zip(bias).map(row).collect()
}
