//! The text of NAS-Bench-201's architectures (Dong, Yang 2020): node by node, the operation of each incoming edge and where it
//! begins, `|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|`.

use std::fmt;

use super::{CellGenotype, Genotype, GenotypeError, KeptEdge};
use crate::arch_201::{Arch201, Arch201Error};
use crate::{NAS_BENCH_201_GRAPH, Operation, PerKind};

/// See [`Genotype::parse`].
pub(super) fn parse(text: &str) -> Result<Genotype, GenotypeError> {
    let arch: Arch201 = text.trim().parse().map_err(|error: Arch201Error| GenotypeError {
        at: text.len() - text.trim_start().len() + error.at,
        problem: format!("expected {}", error.expected),
    })?;
    let edges = NAS_BENCH_201_GRAPH
        .edges()
        .zip(arch.operations)
        .map(|((from, to), operation)| KeptEdge {
            from,
            to,
            operations: vec![operation.operation()],
        });
    let normal = CellGenotype {
        edges: edges.collect(),
        concat: vec![NAS_BENCH_201_GRAPH.nodes],
    };
    Ok(Genotype {
        cells: PerKind {
            normal,
            reduction: None,
        },
    })
}

/// Writes the architecture of `cell`, whose edges stand in the order of the graph.
pub(super) fn write(cell: &CellGenotype, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, edge) in cell.edges.iter().enumerate() {
        if edge.from == 0 {
            f.write_str(if index == 0 { "|" } else { "+|" })?;
        }
        let operation = edge.operations.first().copied().unwrap_or(Operation::None);
        write!(f, "{operation}~{}|", edge.from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NAS_BENCH_201_OPERATIONS;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_architecture_is_written_and_read_back(choice in prop::collection::vec(0usize..5, 6)) {
            let mut genotype = parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|").unwrap();
            for (edge, &choice) in genotype.cells.normal.edges.iter_mut().zip(&choice) {
                edge.operations = vec![NAS_BENCH_201_OPERATIONS[choice]];
            }
            prop_assert_eq!(parse(&genotype.to_string()).unwrap(), genotype);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\|\\PC{0,80}") {
            let _ = parse(&text);
        }
    }
}
