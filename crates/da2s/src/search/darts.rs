//! First-order DARTS: a plain softmax over the operations, edges that all weigh the same, no regulariser.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, equations 2 and 7 with
//! ξ = 0; section 2.4: at each node the edges with the strongest operation (`none` not counted) stay.

use burn::tensor::activation::softmax;

use super::method::{ArchShares, Moment, Penalty, SearchMethod};
use crate::objective::{KindTarget, Target};
use crate::space::{Operation, Space};
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Darts;

impl SearchMethod for Darts {
    fn strengths(&self, arch: &KindParams, space: &Space, _: &KindTarget) -> Strengths {
        let q = Strengths::uniform_edges(space, &arch.alpha.device());
        Strengths { p: softmax(arch.alpha.clone(), 1), q }
    }

    fn penalty(&self, _: &ArchParams, _: &Space, _: &Target, _: Moment) -> Option<Penalty> {
        None
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        ArchShares { alpha: if moment.epoch < moment.warmup { 0.0 } else { 1.0 }, beta: 0.0 }
    }

    fn edge_rank(&self, _: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        let counted = |row: &Vec<f32>| {
            let real = row.iter().zip(&space.operations).filter(|(_, operation)| **operation != Operation::None);
            real.map(|(weight, _)| *weight).fold(0.0, f32::max)
        };
        p.iter().map(counted).collect()
    }
}
