//! DARTS-: an auxiliary skip connection in addition to the candidates of every edge, which fades
//! out.
//!
//! Reference: Chu, Wang, Zhang, Lu, Wei, Yan, "DARTS-: Robustly Stepping out of Performance
//! Collapse Without Indicators", ICLR 2021, equation 4: o(x) = β(t)·x + Σ_o softmax(α)_o · o(x), β
//! from 1 to 0 linearly, so that the candidate `skip_connect` need not win for the network to train
//! well. Contract: the auxiliary connection does not compete, so operations are ranked without it.
//! If an edge halves the image, the connection is the candidate's factorised reduce and shares its
//! weights, while the paper's code gives it separate weights. β decreases with every step, not with
//! every epoch.

use burn::tensor::{Tensor, TensorData};

use crate::arch::{KindParams, Strengths};
use crate::search::method::{Choices, SearchMethod};
use crate::search::moment::When;
use crate::space::Operation;

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct DartsMinus;

impl SearchMethod for DartsMinus {
    fn needs(&self) -> Option<Operation> {
        Some(Operation::SkipConnect)
    }

    fn strengths(&self, arch: &KindParams, choices: Choices<'_>, when: When) -> Strengths {
        let p = self.operations(arch.alpha.clone(), choices, when);
        let left = (1.0 - when.moment().share()) as f32;
        let weight = |&operation: &Operation| if operation == Operation::SkipConnect { left } else { 0.0 };
        let skip: Vec<f32> = choices.space.operations.iter().map(weight).collect();
        let skip = Tensor::from_data(TensorData::new(skip.clone(), [1, skip.len()]), &p.device());
        Strengths::new(p + skip, self.edges(arch.beta.clone(), choices))
    }
}
