//! How the mixture is driven to the target topology, independently of the method that computes it.
//!
//! Reference: Tian et al. 2021, equations 3 to 6, for the regulariser; `objective/hardening.rs` for
//! the path. Contract: a drive acts on the weights as they are read, whatever method computes them,
//! through the method's [`Link`](crate::objective::Link):
//!
//! | methods | driven weights |
//! |---|---|
//! | those with a softmax of α, with or without S_α | that softmax; GDAS's samples become certain |
//! | `darts-minus` | its softmax; the auxiliary skip connection fades as usual |
//! | `gaea` | the point of the simplex itself |
//! | `drnas` | the Dirichlet distribution's mean; the path keeps the sum of concentrations |
//! | `fairdarts` | each gate: open for kept operations, shut for the others |
//!
//! With a drive, edges have the weights of DA²S, q = softmax(S_β(β)), and are ranked by β, which
//! trains from the first epoch unless the method defines otherwise. With `da2s-operations` and
//! `entropy` the drive does not act on edges; with `da2s-edges` it does not act on operations. In a
//! search with several stages the drive acts only in the last one. Without a drive a method is as
//! in its paper.

use burn::tensor::Tensor;
use da2s_settings::words;

use super::method::{ArchShares, Choices, SearchMethod};
use super::moment::{Moment, When};
use crate::arch::{ArchParams, KindParams, Strengths, edge_softmax};
use crate::objective::{Halves, Hardening, Penalty, Regulariser, strengthen_beta};
use crate::space::{KindTarget, Operation, Space, Target};

words! {
    /// What drives the mixture to the target topology.
    #[strum(serialize_all = "lowercase")]
    pub enum Drive {
        /// Nothing. The cost of pruning is left to chance.
        None,
        /// The terms L_α and L_β of DA²S in the loss; see `search.regulariser`.
        Regulariser,
        /// A projection after every step; see `search.hardening`.
        Path,
    }
}

/// A method and its drive, which together compute the mixtures of a search.
#[derive(Debug)]
pub struct DrivenMethod {
    method: Box<dyn SearchMethod>,
    drive: Drive,
    regulariser: Regulariser,
}

impl DrivenMethod {
    /// Combines `method` with `drive`; `regulariser` has the strengths of that drive.
    pub fn new(method: Box<dyn SearchMethod>, drive: Drive, regulariser: Regulariser) -> Self {
        Self {
            method,
            drive,
            regulariser,
        }
    }

    /// `method` without a drive.
    pub fn undriven(method: impl SearchMethod + 'static) -> Self {
        Self::new(Box::new(method), Drive::None, Regulariser::default())
    }

    /// The method.
    pub fn method(&self) -> &dyn SearchMethod {
        &*self.method
    }

    /// The halves of the mixture that are driven to the target; `None` without a drive.
    pub fn driven(&self) -> Option<Halves> {
        (self.drive != Drive::None).then(|| self.method.halves())
    }

    /// Whether the drive determines the weights of edges.
    fn drives_edges(&self) -> bool {
        self.driven().is_some_and(|halves| halves.edges)
    }

    /// The weights by which operations are ranked.
    pub fn operations(&self, alpha: Tensor<2>, choices: Choices<'_>, when: When) -> Tensor<2> {
        self.method.operations(alpha, choices, when)
    }

    /// p and q of one kind of cell, and which operations are computed.
    pub fn strengths(&self, arch: &KindParams, choices: Choices<'_>, when: When) -> Strengths {
        let own = self.method.strengths(arch, choices, when);
        arch.without_removed(if self.drives_edges() {
            let q = edge_softmax(strengthen_beta(arch.beta.clone()), choices.space, choices.target);
            Strengths { q, ..own }
        } else {
            own
        })
    }

    /// The ranks of edges, one value per edge.
    pub fn edge_rank(&self, beta: &[f32], operations: &[Vec<f32>], space: &Space) -> Vec<f32> {
        if self.drives_edges() {
            beta.to_vec()
        } else {
            self.method.edge_rank(beta, operations, space)
        }
    }

    /// The terms added to the loss: the method's own, then those of the drive.
    pub fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Penalty {
        let own = self.method.penalty(arch, space, target, moment);
        if self.drive != Drive::Regulariser || !moment.is_in_last_stage() {
            return own;
        }
        let halves = self.method.halves();
        let (on_operations, on_edges) = self.regulariser.strengths(moment.epoch, moment.epochs, moment.warmup);
        let operations = || {
            let terms = arch.kinds().map(|kind, arch| {
                let link = self.method.link(target.kind(kind));
                self.regulariser.operations(arch.alpha.clone(), link)
            });
            Penalty::of("operations", on_operations, terms)
        };
        let edges = || {
            let terms = arch.kinds().map(|kind, arch| {
                self.regulariser
                    .edges(arch.beta.clone(), space.graph, target.kind(kind))
            });
            Penalty::of("edges", on_edges, terms)
        };
        match (halves.operations, halves.edges) {
            (true, true) => own.and(operations()).and(edges()),
            (true, false) => own.and(operations()),
            (false, _) => own.and(edges()),
        }
    }

    /// The regulariser, if that is the drive; the metrics contain its λ, λ_c and λ_α.
    pub fn regulariser(&self) -> Option<&Regulariser> {
        (self.drive == Drive::Regulariser).then_some(&self.regulariser)
    }

    /// Factors of the learning rates of α and β at this moment.
    pub fn trains(&self, moment: Moment) -> ArchShares {
        let own = self.method.trains(moment);
        if self.drives_edges() && !self.method.weighs_edges() {
            ArchShares { beta: 1.0, ..own }
        } else {
            own
        }
    }

    /// The halves of the mixture that follow the path, if that is the drive.
    pub fn follows_path(&self) -> Option<Halves> {
        (self.drive == Drive::Path).then(|| self.method.halves())
    }

    /// Projects α and β of one kind of cell onto the constraint of the path at `position`.
    /// `excluded` lists edges, each with an operation that it may not keep.
    pub(super) fn project(
        &self,
        arch: &mut KindParams,
        path: &Hardening,
        (space, target): (&Space, &KindTarget),
        excluded: &[(usize, Operation)],
        position: f64,
    ) {
        let Some(halves) = self.follows_path() else {
            return;
        };
        if halves.operations {
            let link = self.method.link(target);
            let may_stay = |edge, operation| space.may_keep(operation) && !excluded.contains(&(edge, operation));
            arch.move_alpha(path.operations(arch, link, may_stay, (space, target), position));
        }
        if halves.edges {
            arch.move_beta(path.edges(arch, space, target, position));
        }
    }
}
