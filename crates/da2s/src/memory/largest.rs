//! The order of candidates by the memory that they need.

use std::cmp::Reverse;

use da2s_engine::{Block, PoolKind};

use crate::space::{HostNetwork, Operation, Space};

/// The candidates that may be kept, those that need the most memory first.
pub(crate) fn largest_first(space: &Space) -> Vec<Operation> {
    let stay = |operation: &Operation| space.may_keep(*operation);
    let mut operations: Vec<Operation> = space.operations.iter().copied().filter(stay).collect();
    operations.sort_by_key(|&operation| Reverse(need(operation)));
    operations
}

/// The sort key of operations: one that needs more memory compares as larger. Its parts are the
/// number of consecutive convolutions, the kernel size, and whether a pool averages or a bottleneck
/// has squeeze-and-excitation.
fn need(operation: Operation) -> (usize, usize, bool) {
    match operation.block(1, HostNetwork::Network).0 {
        Block::Separable { stages, kernel, .. } => (stages, kernel, false),
        Block::InvertedBottleneck {
            kernel,
            expansion,
            squeeze,
            ..
        } => (expansion, kernel, squeeze),
        Block::Basic { kernel, .. } => (2, kernel, false),
        Block::Conv { kernel, .. } => (1, kernel, false),
        Block::Pool { kind, kernel, .. } => (0, kernel, kind == PoolKind::Average),
        Block::FactorizedReduce
        | Block::Identity
        | Block::Norm
        | Block::Relu
        | Block::Relu6
        | Block::HardSwish
        | Block::Shuffle { .. }
        | Block::Take { .. }
        | Block::Zero { .. } => (0, 0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_need_most_come_first() {
        let names: Vec<&str> = largest_first(&Space::darts(true))
            .into_iter()
            .map(Operation::name)
            .collect();
        let expected = [
            "sep_conv_5x5",
            "sep_conv_3x3",
            "dil_conv_5x5",
            "dil_conv_3x3",
            "avg_pool_3x3",
            "max_pool_3x3",
            "skip_connect",
        ];
        assert_eq!(names, expected);
    }
}
