//! The trait of search methods.
//!
//! A method defines how α and β become a mixture, what is added to the loss, when α and β train,
//! and by what edges are ranked. It does not define how the mixture is driven to the target
//! (`drive.rs`). The defaults are those of first-order DARTS (Liu, Simonyan, Yang, ICLR 2019), so a
//! method contains only what it changes. Everything else is the same loop for all methods, whose
//! table is `methods/mod.rs`.

use burn::tensor::Tensor;

use super::drive::Drive;
use super::moment::{Moment, When};
use super::perturbation::Perturbation;
use super::stages::StagePlan;
use crate::arch::{ArchParams, KindParams, Strengths, edge_softmax};
use crate::objective::{Halves, Link, Penalty};
use crate::space::{KindTarget, Operation, Space, Target};

/// The choices in one kind of cell.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    /// The space: candidates, nodes and edges.
    pub space: &'a Space,
    /// The topology to keep.
    pub target: &'a KindTarget,
}

/// A search method. Shapes: α and p are `[edges, operations]`, β and q `[edges]`.
pub trait SearchMethod: Send + Sync + std::fmt::Debug {
    /// The mean of the initial α if `target.operations` of `candidates` operations are kept on an
    /// edge. 0 gives all the same weight; a method whose regulariser requires the α of an edge to
    /// sum to `target.operations` starts close to that.
    fn alpha_start(&self, _target: &KindTarget, _candidates: usize) -> f32 {
        0.0
    }

    /// K: by default 1/K of the channels go through the candidates.
    fn partial_channels(&self) -> usize {
        1
    }

    /// The stages of the search if its super-network changes, with `candidates` per edge at the
    /// start; empty for a search with one super-network. Only the numbers of candidates depend on
    /// `candidates`.
    fn stages(&self, _candidates: usize) -> Vec<StagePlan> {
        Vec::new()
    }

    /// The probability with which a skip connection is dropped for an image in training.
    fn skip_dropout(&self, _moment: Moment) -> f64 {
        0.0
    }

    /// A candidate that the method requires.
    fn needs(&self) -> Option<Operation> {
        None
    }

    /// How α becomes the weights of operations when they are read. A drive acts on these weights.
    fn link(&self, _target: &KindTarget) -> Link {
        Link::Softmax
    }

    /// The drive of the method if none is requested.
    fn own_drive(&self) -> Drive {
        Drive::None
    }

    /// The parts of the mixture on which a drive acts.
    fn halves(&self) -> Halves {
        Halves {
            operations: true,
            edges: true,
        }
    }

    /// Why the method cannot be combined with `drive`; `None` if it can.
    fn refuses(&self, _drive: Drive) -> Option<&'static str> {
        None
    }

    /// Why nothing can be removed while the method searches; `None` if it can.
    fn refuses_dropping(&self) -> Option<&'static str> {
        None
    }

    /// Whether edges have weights of their own, given by β; otherwise all edges into a node have
    /// the same weight.
    fn weighs_edges(&self) -> bool {
        false
    }

    /// The weights with which the operations of an edge compete, differentiable in α. They are p,
    /// unless [`Self::strengths`] adds to p, and they rank operations in discretization.
    fn operations(&self, alpha: Tensor<2>, choices: Choices<'_>, _when: When) -> Tensor<2> {
        self.link(choices.target).weights(alpha)
    }

    /// q of one kind of cell, differentiable in β.
    fn edges(&self, beta: Tensor<1>, choices: Choices<'_>) -> Tensor<1> {
        if self.weighs_edges() {
            edge_softmax(beta, choices.space, choices.target)
        } else {
            Strengths::uniform_edges(choices.space, &beta.device())
        }
    }

    /// p and q of one kind of cell, and which operations are computed.
    fn strengths(&self, arch: &KindParams, choices: Choices<'_>, when: When) -> Strengths {
        let p = self.operations(arch.alpha.clone(), choices, when);
        Strengths::new(p, self.edges(arch.beta.clone(), choices))
    }

    /// The terms added to the loss.
    fn penalty(&self, _arch: &ArchParams, _space: &Space, _target: &Target, _moment: Moment) -> Penalty {
        Penalty::default()
    }

    /// Factors of the learning rates of α and β at this moment.
    fn trains(&self, moment: Moment) -> ArchShares {
        let after_warmup = if moment.epoch < moment.warmup { 0.0 } else { 1.0 };
        ArchShares {
            alpha: after_warmup,
            beta: if self.weighs_edges() { after_warmup } else { 0.0 },
        }
    }

    /// α after a step along `gradient` at `rate`; `None` leaves the step to the configured
    /// optimiser.
    fn step(&self, _alpha: Tensor<2>, _gradient: Tensor<2>, _rate: f64) -> Option<Tensor<2>> {
        None
    }

    /// The perturbation of the mixture while the weights train, if any.
    fn perturbs(&self, _moment: Moment) -> Option<Perturbation> {
        None
    }

    /// λ, the strength with which layers are made to agree on the gradient of the mixture, if any.
    fn aligns_layers(&self, _moment: Moment) -> Option<f64> {
        None
    }

    /// An operation is frozen if the mean cosine between its gradients on both halves of the images
    /// is below this; `None` freezes nothing.
    fn freezes_below(&self) -> Option<f64> {
        None
    }

    /// The ranks of edges in discretization, one value per edge, from β and the result of
    /// [`Self::operations`], on the host.
    fn edge_rank(&self, _beta: &[f32], operations: &[Vec<f32>], space: &Space) -> Vec<f32> {
        strongest_operation(operations, space)
    }
}

/// Factors of the learning rates of α and β.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArchShares {
    /// Of α's.
    pub alpha: f64,
    /// Of β's.
    pub beta: f64,
}

/// The weight of the strongest operation of each edge, except `none`: the rank of edges for methods
/// without β (Liu, Simonyan, Yang 2019, section 2.4).
pub(super) fn strongest_operation(p: &[Vec<f32>], space: &Space) -> Vec<f32> {
    let counted = |row: &Vec<f32>| {
        let real = row
            .iter()
            .zip(&space.operations)
            .filter(|(_, operation)| **operation != Operation::None);
        real.map(|(weight, _)| *weight).fold(0.0, f32::max)
    };
    p.iter().map(counted).collect()
}
