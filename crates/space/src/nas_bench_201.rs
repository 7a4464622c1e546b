//! The NAS-Bench-201 space: 4 nodes, 6 edges, 5 candidates, one kind of cell, and the text of its
//! architectures (Dong, Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural
//! Architecture Search", ICLR 2020, section 2.1).
//!
//! Every edge is kept, and `none` is a choice like the others, so an architecture is one of 5⁶ =
//! 15,625. Its text lists the operations of the edges for each node:
//! `|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|`.

use super::{CellGraph, Operation};

/// The candidates in the order of α's columns.
pub(crate) const NAS_BENCH_201_OPERATIONS: [Operation; 5] = [
    Operation::None,
    Operation::SkipConnect,
    Operation::NorConv1x1,
    Operation::NorConv3x3,
    Operation::AvgPool3x3,
];

/// One input, followed by three nodes.
pub(crate) const NAS_BENCH_201_GRAPH: CellGraph = CellGraph::new(1, 3);
