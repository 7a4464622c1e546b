//! The DARTS space: 2 inputs, 4 nodes, 14 edges, 7 candidates (Liu, Simonyan, Yang, "DARTS:
//! Differentiable Architecture Search", ICLR 2019, section 3.1). DA²S searches it without `none`.

use crate::Operation;

/// The candidates in the order of α's columns.
pub(crate) fn darts_operations(none: bool) -> Vec<Operation> {
    [
        Operation::None,
        Operation::MaxPool3x3,
        Operation::AvgPool3x3,
        Operation::SkipConnect,
        Operation::SepConv3x3,
        Operation::SepConv5x5,
        Operation::DilConv3x3,
        Operation::DilConv5x5,
    ]
    .into_iter()
    .filter(|&operation| none || operation != Operation::None)
    .collect()
}
