//! A trained network with everything needed to use it: genotype, sizes, weights, statistics,
//! preprocessing.
//!
//! Contract: without the auxiliary head, which only helps training; a [`Description`] and the named
//! tensors are complete, so that the network can be used without its run and its images.

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{Engine, NetworkPlan, StagePlan};
use da2s_records::Named;
use serde::{Deserialize, Serialize};

use super::{AuxiliaryError, network};
use crate::backbone::{Backbone, LoadError, NetworkSize, Pass, Source, Statistics, Weights};
use crate::data::Preprocessing;
use crate::device::host;
use crate::finite::{OutputNotFinite, finite_outputs};
use crate::space::Genotype;

/// Everything about a trained network except its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The genotype, in the text of DARTS or NAS-Bench-201.
    pub genotype: String,
    /// The sizes, without an auxiliary head.
    pub size: NetworkSize,
    /// The preprocessing of an image.
    pub preprocessing: Preprocessing,
    /// The network as stages of blocks: the same content as genotype and sizes, but for readers
    /// that do not know the search spaces.
    pub plan: NetworkPlan,
}

/// Why tensors do not form the trained network of a genotype.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// A network that the images are too small for.
    #[error(transparent)]
    Network(#[from] AuxiliaryError),
    /// Tensors that do not fit it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its description.
    pub description: Description,
    /// Its genotype.
    pub genotype: Genotype,
    /// The network.
    pub network: Backbone,
    /// Its weights.
    pub weights: Weights,
    /// Its running statistics.
    pub statistics: Statistics,
}

impl Trained {
    /// The network of `genotype` with the weights and statistics in `tensors`; other tensors, such
    /// as those of an auxiliary head, are ignored.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or the images are too small for the network.
    pub fn new(
        genotype: Genotype,
        size: NetworkSize,
        preprocessing: Preprocessing,
        tensors: &[Named],
        (engine, device): (&Engine, &Device),
    ) -> Result<Self, TrainedError> {
        let size = NetworkSize {
            auxiliary: false,
            ..size
        };
        let network = network(&genotype, size.clone(), engine)?;
        let (weights, statistics) = network.load(tensors, device)?;
        Ok(Self {
            description: Description {
                genotype: genotype.to_string(),
                size,
                preprocessing,
                plan: plan(&network),
            },
            genotype,
            network,
            weights,
            statistics,
        })
    }

    /// Weights and statistics under the names of DARTS.
    pub fn tensors(&self) -> Vec<Named> {
        self.network.named(&self.weights, &self.statistics)
    }

    /// Like [`Self::logits`], on the host, as consecutive rows.
    ///
    /// # Errors
    /// If one is NaN or infinite, which untrusted weights can cause.
    ///
    /// # Panics
    /// Like [`Self::logits`].
    pub fn finite_logits(&self, values: Vec<f32>, count: usize, device: &Device) -> Result<Vec<f32>, OutputNotFinite> {
        let logits = host(&self.logits(values, count, device));
        finite_outputs(&logits)?;
        Ok(logits)
    }

    /// Applies the network to `count` images, given by their concatenated preprocessed values:
    /// `[count, classes]`.
    ///
    /// # Panics
    /// If the number of values does not match `count` images.
    pub fn logits(&self, values: Vec<f32>, count: usize, device: &Device) -> Tensor<2> {
        let Preprocessing {
            channels, image_size, ..
        } = self.description.preprocessing;
        let images = TensorData::new(values, [count, channels, image_size, image_size]);
        let pass = Pass::new(&self.weights).with_statistics(&self.statistics);
        self.network.forward(Tensor::from_data(images, device), pass).logits
    }
}

/// `network` as plain data.
fn plan(network: &Backbone) -> NetworkPlan {
    let source = |source: &Source| match source {
        Source::Image => None,
        Source::Stage(earlier) => Some(*earlier),
    };
    let stages = network.stages().iter().map(|stage| {
        let sources = stage.sources.iter().map(source).collect();
        StagePlan::new(&stage.prefix, sources, stage.cell.plan())
    });
    NetworkPlan {
        stages: stages.collect(),
        last_relu: network.has_last_relu(),
    }
}
