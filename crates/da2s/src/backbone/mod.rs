//! A backbone: stages that read the image or earlier stages, a global mean, a classifier, and
//! optionally an auxiliary classifier.
//!
//! Both the super-network and the final network are backbones; they differ in the plans of their
//! stages. Contract: everything here is a pure function of its arguments; weights, statistics and
//! mixtures are values that the caller owns.

mod layout;
mod not_finite;
mod skeleton;
mod statistics;
mod weights;

pub(crate) use layout::find_tensor;
pub use layout::{LoadError, PartLayout};
pub(crate) use skeleton::STAGES;
pub use skeleton::{CellSlot, Content, NetworkSize, Skeleton, Slot, Stem};
pub use statistics::Statistics;
pub use weights::Weights;

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, activation::relu};
use da2s_engine::{Call, Cell, Classifier, Engine};
use da2s_records::Named;

use crate::arch::{Mixture, Mixtures};
use crate::space::CellKind;

/// The source of a stage's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The image.
    Image,
    /// The output of an earlier stage.
    Stage(usize),
}

/// A cell and its connections in the backbone.
#[derive(Clone, Debug)]
pub struct NetworkStage {
    /// Prefix of the names of its weights, for example `cells.3.`.
    pub prefix: String,
    /// The cell.
    pub cell: Cell,
    /// Its inputs, one source each.
    pub sources: Vec<Source>,
    /// Kind of a cell of the space, which selects its mixture in a super-network; `None` for stems
    /// and other fixed stages.
    pub kind: Option<CellKind>,
}

/// A second classifier that reads an intermediate stage while training.
#[derive(Clone, Debug)]
pub struct Auxiliary {
    /// The stage that it reads.
    pub stage: usize,
    /// Its convolutions, with a ReLU before and after them.
    pub cell: Cell,
}

/// Stages, classifier, auxiliary head.
#[derive(Clone, Debug)]
pub struct Backbone {
    stages: Vec<NetworkStage>,
    classifier: Classifier,
    /// For each choice of a searched cell, the index of its weight in the concatenation of the
    /// mixture's weights, the edges' weights and 1; `None` means the mixture's weights in order.
    mixture_order: Option<Vec<usize>>,
    auxiliary: Option<(Auxiliary, Classifier)>,
    parts: Vec<PartLayout>,
}

/// The inputs of a forward pass other than the images.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The weights.
    pub weights: &'a Weights,
    /// The mixtures of a super-network; `None` gives every choice the weight 1.
    pub mixtures: Option<&'a Mixtures>,
    /// Added to the mixture's weights at each stage, `[edges · operations]`.
    pub shifts: Option<&'a [Option<Tensor<1>>]>,
    /// Running statistics; `None` normalises by the batch and returns its statistics.
    pub statistics: Option<&'a Statistics>,
    /// Drop-path factors, one entry per stage: `[choices, batch]`.
    pub drop_path: Option<&'a [Option<Tensor<2>>]>,
    /// Whether the auxiliary head runs.
    pub auxiliary: bool,
}

impl<'a> Pass<'a> {
    /// A pass with only `weights`: every choice has the weight 1, and the batch is normalised by
    /// its own statistics.
    pub fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            mixtures: None,
            shifts: None,
            statistics: None,
            drop_path: None,
            auxiliary: false,
        }
    }

    /// The same for a super-network, whose choices are weighted by `mixtures`.
    pub(crate) fn with_mixtures(self, mixtures: &'a Mixtures) -> Self {
        Self {
            mixtures: Some(mixtures),
            ..self
        }
    }

    /// The same, normalised by the running `statistics`.
    pub fn with_statistics(self, statistics: &'a Statistics) -> Self {
        Self {
            statistics: Some(statistics),
            ..self
        }
    }
}

/// The result of a forward pass.
#[derive(Clone, Debug)]
pub struct Forward {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// `[batch, classes]`, if the auxiliary head ran.
    pub auxiliary: Option<Tensor<2>>,
    /// Statistics of the batch, if it was normalised by them.
    pub statistics: Option<Statistics>,
}

impl Backbone {
    /// A backbone with the given `stages` of `skeleton`. The last stage feeds the classifier; all
    /// classifiers run on `engine`.
    pub fn new(skeleton: &Skeleton, stages: Vec<NetworkStage>, auxiliary: Option<Auxiliary>, engine: &Engine) -> Self {
        let classes = skeleton.classes;
        let features = stages.last().map_or(0, |stage| stage.cell.plan().output_channels());
        let mut parts: Vec<PartLayout> = stages
            .iter()
            .map(|stage| PartLayout::of_plan(&stage.prefix, stage.cell.plan()))
            .collect();
        parts.push(PartLayout::classifier("classifier", features, classes));
        let auxiliary = auxiliary.map(|head| {
            let features = head.cell.plan().output_channels();
            parts.push(PartLayout::of_plan("auxiliary_head.", head.cell.plan()));
            parts.push(PartLayout::classifier("auxiliary_head.classifier", features, classes));
            (head, Classifier::new(features, classes, engine).with_relu())
        });
        let classifier = Classifier::new(features, classes, engine);
        Self {
            stages,
            classifier: if skeleton.last_relu {
                classifier.with_relu()
            } else {
                classifier
            },
            mixture_order: None,
            auxiliary,
            parts,
        }
    }

    /// The same for cells whose choices do not match the mixture one by one.
    pub(crate) fn with_mixture_order(self, order: Vec<usize>) -> Self {
        Self {
            mixture_order: Some(order),
            ..self
        }
    }

    /// The stages in order.
    pub fn stages(&self) -> &[NetworkStage] {
        &self.stages
    }

    /// Whether there is a ReLU between the last stage and the global mean.
    pub(crate) fn has_last_relu(&self) -> bool {
        self.classifier.has_relu()
    }

    /// The auxiliary head.
    pub fn auxiliary(&self) -> Option<&Auxiliary> {
        self.auxiliary.as_ref().map(|(head, _)| head)
    }

    /// The layout of the weights: one part per stage, then the classifier, then the auxiliary head
    /// and its classifier.
    pub fn parts(&self) -> &[PartLayout] {
        &self.parts
    }

    /// Weights and running statistics of this backbone as named tensors.
    pub fn named(&self, weights: &Weights, statistics: &Statistics) -> Vec<Named> {
        [weights.named(self), statistics.named(self)].concat()
    }

    /// Weights and running statistics of this backbone from named tensors; unknown names are
    /// ignored.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(&self, named: &[Named], device: &Device) -> Result<(Weights, Statistics), LoadError> {
        let weights = Weights::from_named(self, named, device)?;
        Ok((weights, Statistics::from_named(self, named, device)?))
    }

    /// Applies the backbone to `images`, `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>, pass: Pass<'_>) -> Forward {
        let mixtures = pass
            .mixtures
            .map(|mixtures| mixtures.map(|_, mixture| self.of_choices(mixture)));
        let mut outputs: Vec<Tensor<4>> = Vec::with_capacity(self.stages.len());
        let mut seen = Vec::with_capacity(self.parts.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let inputs = stage.sources.iter().map(|source| match source {
                Source::Image => images.clone(),
                Source::Stage(earlier) => outputs[*earlier].clone(),
            });
            let mixture = mixtures
                .as_ref()
                .zip(stage.kind)
                .map(|(mixtures, kind)| mixtures.kind(kind));
            let shifted = pass.mixtures.zip(stage.kind).and_then(|(mixtures, kind)| {
                let shift = pass.shifts.and_then(|shifts| shifts[index].clone())?;
                Some(self.of_choices(&mixtures.kind(kind).shifted(shift)))
            });
            let mixture = shifted.as_ref().or(mixture);
            let output = stage.cell.forward(Call {
                inputs: inputs.collect(),
                weights: pass.weights.part(index),
                mixture: mixture.map(|(weights, _)| weights.clone()),
                active: mixture.and_then(|(_, active)| active.clone()),
                drop_path: pass.drop_path.and_then(|factors| factors[index].clone()),
                statistics: pass.statistics.and_then(|statistics| statistics.part(index)),
            });
            seen.push(output.statistics);
            outputs.push(output.output);
        }

        let classifier = self.stages.len();
        let last = outputs[classifier - 1].clone();
        let logits = self.classifier.forward(last, pass.weights.part(classifier));
        seen.push(None);

        let auxiliary = self.auxiliary.as_ref().filter(|_| pass.auxiliary);
        let auxiliary = auxiliary.map(|(head, second)| {
            let output = head.cell.forward(Call {
                inputs: vec![relu(outputs[head.stage].clone())],
                weights: pass.weights.part(classifier + 1),
                mixture: None,
                active: None,
                drop_path: None,
                statistics: pass.statistics.and_then(|statistics| statistics.part(classifier + 1)),
            });
            seen.push(output.statistics);
            second.forward(output.output, pass.weights.part(classifier + 2))
        });
        seen.resize(self.parts.len(), None);
        let statistics = pass.statistics.is_none().then(|| Statistics::from_batch(seen));
        Forward {
            logits,
            auxiliary,
            statistics,
        }
    }
}

impl Backbone {
    /// Which choices of a searched cell are computed, given those of the mixture in `active`.
    /// Choices outside the mixture are always computed.
    pub(crate) fn active_choices(&self, active: &Arc<[bool]>) -> Arc<[bool]> {
        match &self.mixture_order {
            None => Arc::clone(active),
            Some(order) => order
                .iter()
                .map(|&at| active.get(at).copied().unwrap_or(true))
                .collect(),
        }
    }

    /// The weights of a searched cell's choices, and the choices that are computed.
    fn of_choices(&self, mixture: &Mixture) -> (Tensor<1>, Option<Arc<[bool]>>) {
        let Some(order) = &self.mixture_order else {
            return (mixture.weights.clone(), mixture.active.clone());
        };
        let (weights, edges) = (mixture.weights.clone(), mixture.edges.clone());
        let device = weights.device();
        let active = mixture.active.as_ref().map(|active| self.active_choices(active));
        let count = order.len();
        let order: Vec<i64> = order.iter().map(|&at| at as i64).collect();
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [count]), &device);
        let all = Tensor::cat(vec![weights, edges, Tensor::ones([1], &device)], 0);
        (all.select(0, order), active)
    }
}
