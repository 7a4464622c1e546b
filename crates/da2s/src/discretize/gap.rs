//! The discretization gap: accuracy of the super-network as trained, and with operations, edges or
//! both pruned, without retraining.
//!
//! Reference: Tian et al. 2021, section 3.1. Contract: measured on held-out images, each stage
//! twice: with batch-norm statistics as trained, and recalibrated. Recalibrated statistics are the
//! plain mean over batches of the images that trained the weights, with the same augmentation.

use burn::tensor::Device;
use da2s_records::schema::{Gap, GapRow};

use super::decision::Undecided;
use super::mixture::{discrete_mixture, partly_discrete};
use super::rules::Searched;
use crate::arch::Mixtures;
use crate::backbone::{Pass, Statistics};
use crate::data::Loader;
use crate::evaluate::{DeviceBatch, EvaluateError, accuracy, unless};
use crate::parallel::Group;
use crate::space::{CellKind, Genotype, KindTarget, Space};

/// What is discretized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discretization {
    /// Nothing.
    Supernet,
    /// Operations.
    Operations,
    /// Edges.
    Edges,
    /// Operations and edges.
    Both,
}

/// A choice that discretization makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PruningChoice {
    /// Which operations of the edge are kept.
    Operations { from: usize, to: usize },
    /// Whether the edge is kept, with weight d/n, or pruned, with weight 0.
    Edge { from: usize, to: usize },
    /// The same for the edge and all that compete with it.
    Group { from: usize, to: usize },
}

/// A searched super-network and its genotype.
#[derive(Clone, Copy, Debug)]
pub struct Pruned<'a> {
    /// The super-network.
    pub searched: Searched<'a>,
    /// What is kept.
    pub genotype: &'a Genotype,
}

impl Pruned<'_> {
    /// The mixtures at `stage`.
    pub fn mixtures(&self, stage: Discretization, device: &Device) -> Mixtures {
        let (operations, edges) = match stage {
            Discretization::Supernet => (false, false),
            Discretization::Operations => (true, false),
            Discretization::Edges => (false, true),
            Discretization::Both => (true, true),
        };
        self.searched.strengths.map(|kind, strengths| {
            let genotype = self.genotype.kind(kind);
            discrete_mixture(strengths, self.choices(kind), genotype, operations, edges, device)
        })
    }

    /// Accuracy in percent at `stage`, with statistics as trained, on the images of `held_out` and
    /// those of the other processes of `group`.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub fn accuracy(
        &self,
        stage: Discretization,
        held_out: &Loader,
        group: &Group,
        device: &Device,
    ) -> Result<f64, EvaluateError> {
        let mixtures = self.mixtures(stage, device);
        self.accuracy_with(&mixtures, self.searched.statistics, held_out, group, device, &|| false)
    }

    /// The mixtures with only `choice` in cells of `kind` discretized.
    pub(super) fn mixtures_of(&self, kind: CellKind, choice: PruningChoice, device: &Device) -> Mixtures {
        let graph = self.searched.space.graph;
        let at = |from, to| graph.edges().position(|ends| ends == (from, to));
        let group_of = |edge| graph.groups_of_edges().nth(edge);
        let (operations_of, edge_itself, group) = match choice {
            PruningChoice::Operations { from, to } => (at(from, to), None, None),
            PruningChoice::Edge { from, to } => (None, at(from, to), None),
            PruningChoice::Group { from, to } => (None, None, at(from, to).and_then(group_of)),
        };
        self.searched.strengths.map(|other, strengths| {
            let here = other == kind;
            let operations = |edge| here && operations_of == Some(edge);
            let edges = |edge| here && (edge_itself == Some(edge) || (group.is_some() && group == group_of(edge)));
            let genotype = self.genotype.kind(other);
            partly_discrete(strengths, self.choices(other), genotype, operations, edges, device)
        })
    }

    fn choices(&self, kind: CellKind) -> (&Space, &KindTarget) {
        (self.searched.space, self.searched.target.kind(kind))
    }

    /// Accuracy in percent on the images of `held_out` with only the choice `one` discretized, and
    /// statistics as trained.
    ///
    /// # Errors
    /// If an image cannot be read; [`EvaluateError::Stopped`] if `stop` returns true.
    pub(crate) fn accuracy_deciding(
        &self,
        one: &Undecided,
        held_out: &Loader,
        device: &Device,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, EvaluateError> {
        let mixtures = self.mixtures_of(one.kind, one.choice(), device);
        self.accuracy_with(
            &mixtures,
            self.searched.statistics,
            held_out,
            &Group::alone(),
            device,
            stop,
        )
    }

    fn accuracy_with(
        &self,
        mixtures: &Mixtures,
        statistics: &Statistics,
        held_out: &Loader,
        group: &Group,
        device: &Device,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, EvaluateError> {
        let pass = Pass::new(self.searched.weights)
            .with_mixtures(mixtures)
            .with_statistics(statistics);
        accuracy(self.searched.backbone, pass, held_out, group, device, stop)
    }

    /// Recomputes the statistics of the super-network under `mixtures`: the mean over all batches
    /// of `loader`.
    fn recalibrate(
        &self,
        mixtures: &Mixtures,
        loader: &Loader,
        device: &Device,
        stop: &dyn Fn() -> bool,
    ) -> Result<Statistics, EvaluateError> {
        let mut statistics = Statistics::new(self.searched.backbone, device);
        let pass = Pass::new(self.searched.weights).with_mixtures(mixtures);
        let mut seen = 0.0;
        for step in 0..loader.steps_per_epoch() {
            unless(stop)?;
            let batch = DeviceBatch::new(loader.batch(0, step)?, device);
            let count = batch.labels.len() as f64;
            seen += count;
            if let Some(own) = self.searched.backbone.forward(batch.images, pass).statistics {
                statistics.blend(&own, count / seen);
            }
        }
        Ok(statistics)
    }
}

/// Measures the gap on `held_out`; statistics are recalibrated on epoch 0 of `calibration`. `stop`
/// is called before each batch.
///
/// # Errors
/// If an image cannot be read; [`EvaluateError::Stopped`] if `stop` returns true.
pub fn measure_gap(
    pruned: &Pruned<'_>,
    held_out: &Loader,
    calibration: &Loader,
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<Gap, EvaluateError> {
    let measure = |stage| -> Result<(f64, f64), EvaluateError> {
        let mixtures = pruned.mixtures(stage, device);
        let accuracy = |statistics: &Statistics| {
            pruned.accuracy_with(&mixtures, statistics, held_out, &Group::alone(), device, stop)
        };
        let as_trained = accuracy(pruned.searched.statistics)?;
        let recalibrated = pruned.recalibrate(&mixtures, calibration, device, stop)?;
        Ok((as_trained, accuracy(&recalibrated)?))
    };
    let (supernet, operations) = (measure(Discretization::Supernet)?, measure(Discretization::Operations)?);
    let (edges, both) = (measure(Discretization::Edges)?, measure(Discretization::Both)?);
    let row = |part: fn((f64, f64)) -> f64| GapRow {
        supernet: Some(part(supernet)),
        operations: Some(part(operations)),
        edges: Some(part(edges)),
        both: Some(part(both)),
    };
    Ok(Gap {
        images: Some(held_out.samples() as u64),
        as_trained: row(|pair| pair.0),
        recalibrated: row(|pair| pair.1),
        removed: None,
        tuned: None,
    })
}
