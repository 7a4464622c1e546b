//! First-order DARTS: a plain softmax over the operations, edges that all weigh the same, no regulariser.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, equation 2; section 2.4: at each node the edges with the strongest operation (`none` not counted) stay.

use burn::tensor::activation::softmax;

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod, operations_only, strongest_operation};
use crate::objective::{KindTarget, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Darts;

impl SearchMethod for Darts {
    fn strengths(&self, arch: &KindParams, space: &Space, _: &KindTarget, _: Option<Draw>) -> Strengths {
        let q = Strengths::uniform_edges(space, &arch.alpha.device());
        Strengths::new(softmax(arch.alpha.clone(), 1), q)
    }

    fn penalty(&self, _: &ArchParams, _: &Space, _: &Target, _: Moment) -> Option<Penalty> {
        None
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        operations_only(moment)
    }

    fn edge_rank(&self, _: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        strongest_operation(p, space)
    }
}
