//! Operations and edges that a search has removed for good, and operations that an edge never has.
//!
//! Contract: what is removed has the weight 0, is not computed, and its parameter does not move.
//! The caller that removes a choice sets its parameter so that its share is 0, and the weights of
//! what remains sum to 1.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{KindParams, Strengths};
use crate::space::Space;

/// What has been removed from one kind of cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// For each operation of each edge, edge by edge.
    pub operations: Vec<bool>,
    /// For each edge.
    pub edges: Vec<bool>,
}

impl Removed {
    /// Nothing, in a cell of `space`.
    pub fn nothing(space: &Space) -> Self {
        let edges = space.graph.edge_count();
        Self {
            operations: vec![false; edges * space.operations.len()],
            edges: vec![false; edges],
        }
    }

    /// The candidates that edges of `space` never have.
    pub(crate) fn never(space: &Space) -> Self {
        let edges = 0..space.graph.edge_count();
        let never = |edge| {
            space
                .operations
                .iter()
                .map(move |&operation| !space.has_on(edge, operation))
        };
        Self {
            operations: edges.flat_map(never).collect(),
            ..Self::nothing(space)
        }
    }

    /// Whether `edge` or its operation `candidate` has been removed.
    pub fn has(&self, edge: usize, candidate: usize) -> bool {
        self.edges[edge] || self.operations[edge * self.candidates() + candidate]
    }

    /// Number of removed operations and of removed edges.
    pub fn counts(&self) -> [usize; 2] {
        [&self.operations, &self.edges].map(|flags| flags.iter().filter(|removed| **removed).count())
    }

    /// Which operations are still computed, edge by edge.
    pub fn active(&self) -> Arc<[bool]> {
        let candidates = self.candidates();
        let flags = 0..self.operations.len();
        flags.map(|at| !self.has(at / candidates, at % candidates)).collect()
    }

    /// 1 for the operations that remain, and 0 for the others, `[edges, operations]`.
    pub(crate) fn remaining_operations(&self, device: &Device) -> Tensor<2> {
        remaining(&self.operations, [self.edges.len(), self.candidates()], device)
    }

    fn candidates(&self) -> usize {
        self.operations.len() / self.edges.len()
    }
}

/// 1 for what remains, and 0 for what is removed.
fn remaining<const D: usize>(removed: &[bool], shape: [usize; D], device: &Device) -> Tensor<D> {
    let remaining: Vec<f32> = removed.iter().map(|&removed| f32::from(u8::from(!removed))).collect();
    Tensor::from_data(TensorData::new(remaining, shape), device)
}

impl KindParams {
    /// Without the candidates that edges of `space` never have, whose α becomes `parameter`.
    pub(crate) fn without_never(self, space: &Space, parameter: f32) -> Self {
        let never = Removed::never(space);
        if never.counts() == [0, 0] {
            return self;
        }
        let mask = remaining(&never.operations, self.alpha.dims(), &self.alpha.device());
        Self {
            alpha: self.alpha.mask_fill(mask.lower_elem(0.5), parameter),
            beta: self.beta,
            removed: Some(Arc::new(never)),
        }
    }

    /// Sets α to `moved`, except for removed operations.
    pub(crate) fn move_alpha(&mut self, moved: Tensor<2>) {
        self.alpha = match &self.removed {
            None => moved,
            Some(removed) => except(moved, &self.alpha, &removed.operations),
        };
    }

    /// Sets β to `moved`, except for removed edges.
    pub(crate) fn move_beta(&mut self, moved: Tensor<1>) {
        self.beta = match &self.removed {
            None => moved,
            Some(removed) => except(moved, &self.beta, &removed.edges),
        };
    }

    /// `weights`, `[edges, operations]`, with 0 for removed operations.
    pub(crate) fn remaining_of(&self, weights: Tensor<2>) -> Tensor<2> {
        let Some(removed) = &self.removed else { return weights };
        let mask = remaining(&removed.operations, weights.dims(), &weights.device());
        weights * mask
    }

    /// `strengths` without what has been removed.
    pub(crate) fn without_removed(&self, strengths: Strengths) -> Strengths {
        let Some(removed) = &self.removed else { return strengths };
        let edges = remaining(&removed.edges, strengths.q.dims(), &strengths.q.device());
        Strengths {
            p: self.remaining_of(strengths.p),
            q: strengths.q * edges,
            active: Some(match strengths.active {
                None => removed.active(),
                Some(own) => own
                    .iter()
                    .zip(&*removed.active())
                    .map(|(own, left)| *own && *left)
                    .collect(),
            }),
        }
    }
}

/// `moved`, with the values of `before` where `removed`.
fn except<const D: usize>(moved: Tensor<D>, before: &Tensor<D>, removed: &[bool]) -> Tensor<D> {
    let mask = remaining(removed, moved.dims(), &moved.device());
    moved.mask_where(mask.lower_elem(0.5), before.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use crate::space::Operation;

    #[test]
    fn what_is_removed_weighs_nothing_and_does_not_move() {
        let space = Space::own(1, vec![Operation::SkipConnect, Operation::SepConv3x3]);
        let mut removed = Removed::nothing(&space);
        assert_eq!((removed.counts(), &*removed.active()), ([0, 0], &[true; 4][..]));
        removed.operations[1] = true;
        removed.edges[1] = true;
        assert_eq!(
            (removed.counts(), &*removed.active()),
            ([1, 1], &[true, false, false, false][..])
        );
        assert!(!removed.has(0, 0) && removed.has(0, 1) && removed.has(1, 0));
        let device = Device::flex();
        let table = |values: [f32; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device);
        let row = |values: [f32; 2]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [2]), &device);
        let mut arch = KindParams::new(table([1.0, 2.0, 3.0, 4.0]), row([5.0, 6.0]));
        arch.removed = Some(Arc::new(removed));
        arch.move_alpha(table([0.0; 4]));
        arch.move_beta(row([0.0; 2]));
        assert_eq!(
            (host(&arch.alpha), host(&arch.beta)),
            (vec![0.0, 2.0, 0.0, 0.0], vec![0.0, 6.0])
        );
        let strengths = arch.without_removed(Strengths::new(table([0.5; 4]), row([0.5; 2])));
        assert_eq!(host(&strengths.p), [0.5, 0.0, 0.5, 0.5]);
        assert_eq!(host(&strengths.q), [0.5, 0.0]);
        // The operations that a method itself has made inactive stay inactive.
        let sampled = Strengths {
            active: Some(Arc::new([false, true, true, false])),
            ..Strengths::new(table([0.5; 4]), row([0.5; 2]))
        };
        let active = arch.without_removed(sampled).active.unwrap();
        assert_eq!(*active, [false; 4]);
    }

    #[test]
    fn the_first_layer_of_a_stage_has_no_skip_from_the_start() {
        let space = Space::mobile([2, 1], vec![Operation::MbConvK3E1, Operation::Skip]);
        let device = Device::flex();
        let params = || KindParams::new(Tensor::zeros([3, 2], &device), Tensor::zeros([3], &device));
        let arch = params().without_never(&space, -200.0);
        assert_eq!(host(&arch.alpha), [0.0, -200.0, 0.0, 0.0, 0.0, -200.0]);
        let removed = arch.removed.unwrap();
        assert_eq!(removed.operations, [false, true, false, false, false, true]);
        assert_eq!(removed.counts(), [2, 0]);
        let without = Space::mobile([2, 1], vec![Operation::MbConvK3E1, Operation::MbConvK3E3]);
        assert_eq!(params().without_never(&without, -200.0).removed, None);
    }
}
