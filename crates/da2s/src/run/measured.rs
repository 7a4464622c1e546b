//! The trained network of a run on the run's device, to be measured on the run's images.

use burn::tensor::Device;
use da2s_engine::Engine;
use da2s_records::files::BEST;

use super::train::genotype_network;
use super::trained::trained_weights;
use super::{Context, Error};
use crate::backbone::{Backbone, Pass, Statistics, Weights};
use crate::data::Dataset;

/// A trained network.
pub(super) struct Measured {
    pub(super) backbone: Backbone,
    weights: Weights,
    statistics: Statistics,
    /// Whether its weights were imported: which images they were trained on is unknown then.
    pub(super) imported: bool,
}

impl Measured {
    /// A forward pass with its weights and statistics.
    pub(super) fn pass(&self) -> Pass<'_> {
        Pass::new(&self.weights).with_statistics(&self.statistics)
    }
}

/// The trained network of a run, for the images of `dataset`.
///
/// # Errors
/// If there is none, or its weights are damaged or belong to another genotype.
pub(super) fn trained_to_measure(
    context: &Context<'_>,
    dataset: &Dataset,
    (device, engine): (&Device, &Engine),
) -> Result<Measured, Error> {
    let (backbone, genotype) = genotype_network(context, engine, dataset, false)?;
    let best = trained_weights(context, &genotype)?;
    let loaded = backbone.load(&best.tensors, device);
    let (weights, statistics) = loaded.map_err(|error| Error::load(context.directory.file(BEST), &error))?;
    Ok(Measured {
        backbone,
        weights,
        statistics,
        imported: best.meta.is_imported(),
    })
}
