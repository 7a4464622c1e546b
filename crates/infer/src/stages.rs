//! The stages of a float32 network, read from a file and run by the engine's kernels.
//!
//! Contract: every stage is a kernel of the engine with the running statistics; the memory of a
//! stage's output is used again when no later stage reads it. Calls at the same time have kernels
//! of their own: a thread that waits inside a call may begin another one, so no call holds a lock
//! while it computes.

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
    /// What earlier calls have left for later ones, all for one batch size.
    ready: Mutex<Vec<Ready>>,
}

/// The kernels for a batch size, and memory for the outputs of stages.
#[derive(Debug)]
struct Ready {
    batch: usize,
    kernels: Vec<CellKernel>,
    free: Vec<Vec<f32>>,
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
            ready: Mutex::new(Vec::new()),
        })
    }

    /// The logits of `batch` images, which are one after another and have their channels innermost.
    pub(crate) fn logits(&self, image: &[f32], batch: usize) -> Vec<Vec<f32>> {
        let left = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = left().pop().filter(|ready| ready.batch == batch);
        let Ready {
            mut kernels, mut free, ..
        } = ready.unwrap_or_else(|| self.prepare(batch));
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.stages.len());
        for (index, (stage, kernel)) in self.stages.iter().zip(&mut kernels).enumerate() {
            let source = |source: &Option<usize>| match *source {
                None => image,
                Some(earlier) => outputs[earlier].as_slice(),
            };
            let inputs: Vec<&[f32]> = stage.sources.iter().map(source).collect();
            let mut output = free.pop().unwrap_or_default();
            output.clear();
            output.resize(kernel.output_len(), 0.0);
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
                if !output.is_empty() && !later.iter().any(|stage| stage.sources.contains(&Some(earlier))) {
                    free.push(std::mem::take(output));
                }
            }
        }
        let last = outputs.pop().unwrap_or_default();
        let classified = |one: &[f32]| classify(&self.classifier, self.last_relu, one);
        let logits = last.chunks(last.len() / batch).map(classified).collect();
        free.push(last);
        free.extend(outputs.into_iter().filter(|output| !output.is_empty()));
        let mut left = left();
        left.retain(|other| other.batch == batch);
        left.push(Ready { batch, kernels, free });
        logits
    }

    fn prepare(&self, batch: usize) -> Ready {
        let kernel = |stage: &LoadedStage| {
            let mut kernel = CellKernel::new(&stage.cell, &stage.sizes, batch, &self.workspace);
            kernel.prepare_once(&stage.weights, (&stage.mean, &stage.variance));
            kernel
        };
        Ready {
            batch,
            kernels: self.stages.iter().map(kernel).collect(),
            free: Vec::new(),
        }
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
