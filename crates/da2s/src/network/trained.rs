//! A trained network with all that it takes to use it: genotype, sizes, weights, statistics,
//! preprocessing.
//!
//! Contract: without the auxiliary head, which only helps training; [`Description`] and the named
//! tensors say all of it, so that it can be used where neither its run nor its images are.

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

/// What of a trained network is no tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The genotype, in the text of DARTS or NAS-Bench-201.
    pub genotype: String,
    /// The sizes, without an auxiliary head.
    pub size: NetworkSize,
    /// What is done to a picture.
    pub preprocessing: Preprocessing,
    /// The network as stages of blocks, which says the same as genotype and sizes to those who do
    /// not know spaces.
    pub plan: NetworkPlan,
}

/// Why tensors are not the trained network of a genotype.
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
    /// What it is.
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
    /// The network of `genotype` with the weights and statistics among `tensors`; others, as an
    /// auxiliary head's, are passed over.
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

    /// As [`Self::logits`], on the host, one row after the other.
    ///
    /// # Errors
    /// If one is NaN or infinite, as weights of others can make them.
    ///
    /// # Panics
    /// As [`Self::logits`].
    pub fn finite_logits(&self, values: Vec<f32>, count: usize, device: &Device) -> Result<Vec<f32>, OutputNotFinite> {
        let logits = host(&self.logits(values, count, device));
        finite_outputs(&logits)?;
        Ok(logits)
    }

    /// Applies the network to `count` pictures, whose preprocessed values lie one after the other:
    /// `[count, classes]`.
    ///
    /// # Panics
    /// If there are not as many values as `count` pictures have.
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
