//! Reads a network from a file and runs its forward pass.
//!
//! Contract: every stage is a kernel of the engine with the running statistics; the output of a
//! stage is dropped when no later stage reads it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use da2s_engine::cpu::{CellKernel, Forward, Statistics, Workspace};
use da2s_engine::{CellPlan, CheckedStage, NetworkPlan};
use da2s_records::schema::Preprocessing;
use da2s_records::{is_whole, read_weights};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::error::NetworkError;

/// Key of the description in the file's metadata.
const DESCRIPTION: &str = "da2s";

/// The part of the file's description that a network needs to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// Stages and classifier.
    pub plan: NetworkPlan,
    /// The preprocessing of images.
    pub preprocessing: Preprocessing,
}

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

/// A network that is ready to run.
#[derive(Debug)]
pub struct Network {
    stages: Vec<LoadedStage>,
    last_relu: bool,
    /// `[classes, features]`, then `[classes]`.
    classifier: (Vec<f32>, Vec<f32>),
    preprocessing: Preprocessing,
    workspace: Workspace,
    /// The kernels for the last batch size.
    kernels: Mutex<Option<(usize, Vec<CellKernel>)>>,
}

impl Network {
    /// Reads a network file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a safetensors export of da2s.
    pub fn read(path: &Path) -> Result<Self, NetworkError> {
        let bytes = read_weights(path).map_err(|error| match error.source.kind() {
            std::io::ErrorKind::InvalidData => NetworkError::Format(error.source.to_string()),
            _ => NetworkError::Read {
                path: error.path,
                source: error.source,
            },
        })?;
        Self::from_bytes(&bytes)
    }

    /// Parses the bytes of a network file.
    ///
    /// # Errors
    /// If they are not a safetensors export of da2s.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetworkError> {
        let format = |error: safetensors::SafeTensorError| NetworkError::Format(error.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let text = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(DESCRIPTION));
        let text = text.ok_or_else(|| NetworkError::Description("it has no description".to_owned()))?;
        let Deployed { plan, preprocessing } = serde_json::from_str(text)
            .map_err(|error| NetworkError::Description(format!("its description cannot be read: {error}")))?;
        preprocessing.check().map_err(NetworkError::Preprocessing)?;
        let side = preprocessing.image_size;
        let checked = plan.check(preprocessing.channels, (side, side), preprocessing.classes.len())?;
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        if is_whole(text, &file) == Some(false) {
            return Err(NetworkError::Checksum);
        }
        let mut file = Tensors {
            file,
            taken: HashSet::new(),
        };
        let mut stages = Vec::with_capacity(checked.len());
        for (stage, CheckedStage { cell, sizes }) in plan.stages.iter().zip(checked) {
            let named = |name: &str| format!("{}{name}", stage.prefix);
            // A plan's sizes are trusted only as far as the file contains the tensors.
            let mut weights = Vec::new();
            for weight in &cell.weights {
                weights.extend(file.take(named(&weight.name), &weight.shape)?);
            }
            let (mut mean, mut variance) = (Vec::new(), Vec::new());
            for norm in &cell.norms {
                let mut part = |part: &str| file.take(named(&format!("{}.{part}", norm.name)), &[norm.channels]);
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
        let classes = preprocessing.classes.len();
        let matrix = file.take("classifier.weight".to_owned(), &[classes, features])?;
        let bias = file.take("classifier.bias".to_owned(), &[classes])?;
        Ok(Self {
            stages,
            last_relu: plan.last_relu,
            classifier: (matrix, bias),
            preprocessing,
            workspace: Workspace::new(),
            kernels: Mutex::new(None),
        })
    }

    /// The preprocessing of images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The logits of `pictures`, one row each; a picture is the result of
    /// `Image::read_preprocessed`. Weights from untrusted files can make them NaN or infinite, and
    /// then they predict no class.
    ///
    /// # Panics
    /// If the length of a picture differs from [`Preprocessing::len`].
    pub fn logits(&self, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let batch = pictures.len();
        if batch == 0 {
            return Vec::new();
        }
        let image: Vec<f32> = pictures
            .iter()
            .flat_map(|picture| self.channels_last(picture))
            .collect();
        let mut kept = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kernels = match kept.take() {
            Some((size, kernels)) if size == batch => kernels,
            _ => {
                let kernel = |stage: &LoadedStage| CellKernel::new(&stage.cell, &stage.sizes, batch, &self.workspace);
                self.stages.iter().map(kernel).collect()
            }
        };
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.stages.len());
        for (index, (stage, kernel)) in self.stages.iter().zip(&mut kernels).enumerate() {
            let source = |source: &Option<usize>| match *source {
                None => image.as_slice(),
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

    /// From channels × rows × columns to rows × columns × channels.
    fn channels_last(&self, picture: &[f32]) -> Vec<f32> {
        let (channels, pixels) = (
            self.preprocessing.channels,
            self.preprocessing.len() / self.preprocessing.channels,
        );
        assert_eq!(picture.len(), channels * pixels, "values of a picture");
        let pixel = |at: usize| (0..channels).map(move |channel| picture[channel * pixels + at]);
        (0..pixels).flat_map(pixel).collect()
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

/// The tensors of a file, each of which can be taken once: a tensor copied for every block that
/// names it could fill any memory.
struct Tensors<'a> {
    file: SafeTensors<'a>,
    taken: HashSet<String>,
}

impl Tensors<'_> {
    /// Takes the elements of a tensor.
    fn take(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, NetworkError> {
        let Ok(view) = self.file.tensor(&name) else {
            return Err(NetworkError::Missing { name });
        };
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(NetworkError::Tensor {
                name,
                found: format!("{:?} {:?}", view.dtype(), view.shape()),
                expected: shape.to_vec(),
            });
        }
        if self.taken.contains(&name) {
            return Err(NetworkError::Shared { name });
        }
        let (whole, _) = view.data().as_chunks::<4>();
        let elements: Vec<f32> = whole.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if !elements.iter().all(|value| value.is_finite()) {
            return Err(NetworkError::NotFinite { name });
        }
        self.taken.insert(name);
        Ok(elements)
    }
}
