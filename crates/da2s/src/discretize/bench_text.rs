//! The text of NAS-Bench-201's architectures (Dong, Yang 2020): node by node, the operation of each incoming edge and where it
//! begins, `|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|`.

use std::fmt;

use super::genotype::{CellGenotype, Genotype, GenotypeError, KeptEdge};
use crate::space::{NAS_BENCH_201_GRAPH, NAS_BENCH_201_OPERATIONS, Operation, PerKind};

/// See [`Genotype::parse`].
pub(super) fn parse(text: &str) -> Result<Genotype, GenotypeError> {
    let graph = NAS_BENCH_201_GRAPH;
    let mut reader = Reader {
        text,
        at: text.len() - text.trim_start().len(),
    };
    let mut edges = Vec::with_capacity(graph.edge_count());
    for to in graph.all_nodes() {
        if to > graph.inputs {
            reader.expect("+")?;
        }
        reader.expect("|")?;
        for from in 0..to {
            let operation = reader.operation()?;
            reader.expect(&format!("~{from}|"))?;
            edges.push(KeptEdge {
                from,
                to,
                operations: vec![operation],
            });
        }
    }
    if !reader.rest().trim().is_empty() {
        return Err(reader.fail("text behind the architecture".to_owned()));
    }
    let normal = CellGenotype {
        edges,
        concat: vec![graph.nodes],
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

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail(&self, problem: String) -> GenotypeError {
        GenotypeError { at: self.at, problem }
    }

    fn expect(&mut self, token: &str) -> Result<(), GenotypeError> {
        if !self.rest().starts_with(token) {
            return Err(self.fail(format!("expected {token}")));
        }
        self.at += token.len();
        Ok(())
    }

    fn operation(&mut self) -> Result<Operation, GenotypeError> {
        let rest = self.rest();
        let name = &rest[..rest.find('~').unwrap_or(rest.len())];
        let known = NAS_BENCH_201_OPERATIONS
            .into_iter()
            .find(|operation| operation.name() == name);
        let operation = known.ok_or_else(|| {
            let names = NAS_BENCH_201_OPERATIONS.map(Operation::name).join(", ");
            // What is no name may be long.
            let shown: String = name.chars().take(40).collect();
            self.fail(format!("unknown operation {shown}; known are {names}"))
        })?;
        self.at += name.len();
        Ok(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mistakes_are_named_with_their_place() {
        let good = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|";
        assert_eq!(parse(good).unwrap().to_string(), good);
        for (from, to, say) in [
            ("none~0", "nine~0", "unknown operation nine"),
            ("avg_pool_3x3~1", "avg_pool_3x3~2", "expected ~1|"),
            ("~2|", "~2", "expected ~2|"),
            ("~2|", "~2|+", "text behind"),
            ("|+|none", "||none", "expected +"),
        ] {
            let error = parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(say), "{error}");
        }
    }

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
