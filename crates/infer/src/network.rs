//! A network that is read from a file and ready to run, in float32 or in int8.

use std::path::Path;

use da2s_engine::{NetworkPlan, TensorShape};
use da2s_records::schema::Preprocessing;
use da2s_records::{is_whole, read_weights};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::error::{NetworkError, OutputNotFinite};
use crate::float32::FloatNetwork;
use crate::int8::{self, Int8Network, Int8Runner};
use crate::tensors::Tensors;

/// Key of the description in the file's metadata.
pub(crate) const DESCRIPTION: &str = "da2s";

/// The part of the file's description that a network needs to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// Stages and classifier.
    pub plan: NetworkPlan,
    /// The preprocessing of images.
    pub preprocessing: Preprocessing,
    /// The type of its weights and activations; float32 if the file does not state it.
    #[serde(default)]
    pub precision: Precision,
}

/// The type of the weights and activations of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Weights and activations in float32.
    #[default]
    Float32,
    /// Weights in int8, activations in uint8.
    Int8,
}

/// A network that is ready to run.
#[derive(Debug)]
pub struct Network {
    preprocessing: Preprocessing,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Float32(Box<FloatNetwork>),
    Int8(Box<Int8Runner>),
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
        let Deployed {
            plan,
            preprocessing,
            precision,
        } = serde_json::from_str(text)
            .map_err(|error| NetworkError::Description(format!("its description cannot be read: {error}")))?;
        preprocessing.check().map_err(NetworkError::Preprocessing)?;
        let (side, classes) = (preprocessing.image_size, preprocessing.classes.len());
        let checked = plan.check(preprocessing.channels, (side, side), classes)?;
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        let body = || {
            let tensors = &mut Tensors::new(&file);
            Ok::<_, NetworkError>(match precision {
                Precision::Float32 => {
                    let network = FloatNetwork::read(&plan, &checked, &preprocessing, tensors)?;
                    Body::Float32(Box::new(network))
                }
                Precision::Int8 => {
                    let network = int8::read(plan.clone(), &checked, preprocessing.clone(), tensors)?;
                    Body::Int8(Box::new(Int8Runner::new(network)?))
                }
            })
        };
        // The checksum of a large file takes about as long as the rest, so they run side by side.
        // A damaged file is reported as such, whatever is wrong with its tensors.
        let (body, whole) = rayon::join(body, || is_whole(text, &file));
        if whole == Some(false) {
            return Err(NetworkError::Checksum);
        }
        let body = body?;
        Ok(Self { preprocessing, body })
    }

    /// The preprocessing of images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The type of its weights and activations.
    pub fn precision(&self) -> Precision {
        match &self.body {
            Body::Float32(_) => Precision::Float32,
            Body::Int8(_) => Precision::Int8,
        }
    }

    /// The int8 network, if it is one.
    pub fn int8(&self) -> Option<&Int8Network> {
        match &self.body {
            Body::Float32(_) => None,
            Body::Int8(runner) => Some(runner.network()),
        }
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
        match &self.body {
            Body::Float32(network) => {
                let length = self.preprocessing.len();
                for picture in pictures {
                    assert_eq!(picture.len(), length, "values of a picture");
                }
                // Enters the thread pool once for the whole call. From outside the pool, each group
                // of images would enter it separately, and wake one of its threads.
                rayon::scope(|_| network.logits(pictures))
            }
            Body::Int8(runner) => runner.logits(pictures),
        }
    }

    /// Like [`Self::logits`].
    ///
    /// # Errors
    /// If one of them is NaN or infinite.
    ///
    /// # Panics
    /// If the length of a picture differs from [`Preprocessing::len`].
    pub fn finite_logits(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, OutputNotFinite> {
        let logits = self.logits(pictures);
        match logits.iter().flatten().find(|value| !value.is_finite()) {
            Some(&value) => Err(OutputNotFinite(value)),
            None => Ok(logits),
        }
    }
}

/// The shape of an image as a network reads it.
pub(crate) fn image_shape(preprocessing: &Preprocessing) -> TensorShape {
    let side = preprocessing.image_size;
    TensorShape {
        channels: preprocessing.channels,
        size: (side, side),
    }
}
