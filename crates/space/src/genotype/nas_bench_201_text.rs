//! The text of NAS-Bench-201's architectures (Dong, Yang 2020): node by node, the operation of each
//! incoming edge and its source,
//! `|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|`.

use std::fmt;

use super::literal::{Field, Value};
use super::mistake::Mistake;
use super::{CellGenotype, Genotype, KeptEdge};
use crate::arch_201::{Arch201, Operation201};
use crate::{NAS_BENCH_201_GRAPH, Operation, PerKind, SpaceName};

/// The endings of the keys in NNI's object, in the order of the graph's edges.
const NNI_EDGES: [&str; 6] = ["0_1", "0_2", "1_2", "0_3", "1_3", "2_3"];

impl From<Arch201> for Genotype {
    fn from(arch: Arch201) -> Self {
        let edges = NAS_BENCH_201_GRAPH.edges().zip(arch.operations);
        let kept = edges.map(|((from, to), operation)| KeptEdge {
            from,
            to,
            operations: vec![operation.operation()],
        });
        let normal = CellGenotype {
            edges: kept.collect(),
            concat: vec![NAS_BENCH_201_GRAPH.nodes],
            stages: Vec::new(),
        };
        Self {
            cells: PerKind {
                normal,
                reduction: None,
            },
        }
    }
}

impl Arch201 {
    /// The architecture of a genotype of NAS-Bench-201; `None` for other genotypes.
    pub fn of(genotype: &Genotype) -> Option<Self> {
        let bench = genotype.space() == SpaceName::NasBench201;
        bench.then(|| genotype.to_string().parse().ok()).flatten()
    }
}

/// Reads the text that begins at `at`; returns its end too. It may be wrapped at a `+`. Anything
/// may follow, except a continuation of the same text.
pub(super) fn read(text: &str, at: usize) -> (usize, Result<Genotype, Mistake>) {
    let rest = &text[at..];
    let (arch, length) = match Arch201::prefix(rest) {
        Ok(read) => read,
        Err(error) => {
            let mistake = Mistake::new(at + error.at, format!("expected {}", error.expected));
            return (at + run(rest), Err(mistake));
        }
    };
    let end = at + length;
    let more = &text[end..end + run(&text[end..])];
    if more.trim_start().starts_with('+') || more.contains('~') {
        let mistake = Mistake::new(
            end,
            "the architecture has more than four nodes, or edges that NAS-Bench-201 does not have",
        );
        return (end + more.len(), Err(mistake));
    }
    (end, Ok(arch.into()))
}

/// The number of bytes at the beginning of `text` that may belong to such a text. Whitespace
/// belongs to it only around a `+` that a node follows.
fn run(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let own = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "|+~_".contains(c)))
            .unwrap_or(rest.len());
        at += own;
        let next = text[at..].trim_start();
        let next = match next.strip_prefix('+') {
            Some(node) => node.trim_start(),
            None if rest[..own].ends_with('+') => next,
            None => return at,
        };
        if !next.starts_with('|') {
            return at;
        }
        at = text.len() - next.len();
    }
}

/// Reads lists of pairs, one per node, as in AutoDL's structures; `None` for any other list.
pub(super) fn read_lists(value: &Value<'_>) -> Option<Result<Genotype, Mistake>> {
    let nodes = value.list().filter(|nodes| nodes.len() == NAS_BENCH_201_GRAPH.nodes)?;
    let mut entries = Vec::new();
    for (node, own) in nodes.iter().enumerate() {
        let own = own.list().filter(|own| own.len() == node + 1)?;
        for (from, entry) in own.iter().enumerate() {
            match entry.list()? {
                [name, input] if name.text().is_some() && input.whole() == Some(from) => entries.push(name),
                _ => return None,
            }
        }
    }
    Some(read_operations(entries.into_iter()))
}

/// Whether an object with these keys is from NNI.
pub(super) fn is_nni<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> bool {
    let has = |end: &str| keys.clone().any(|key| edge(key) == Some(end));
    has("0_1") && has("2_3")
}

/// The edge at the end of a key of NNI; the key may begin with the name of the cell.
fn edge(key: &str) -> Option<&str> {
    let start = key.len().checked_sub(3)?;
    let own = key.get(start..).filter(|own| NNI_EDGES.contains(own))?;
    let before = key[..start].chars().next_back();
    before.is_none_or(|c| matches!(c, '/' | '_' | '.')).then_some(own)
}

/// Reads NNI's object, `{"0_1": "conv_3x3", …}`.
pub(super) fn read_nni(at: usize, fields: &[Field<'_>]) -> Result<Genotype, Mistake> {
    let mut values = [None; 6];
    for field in fields {
        let Some(place) = edge(field.key).and_then(|own| NNI_EDGES.iter().position(|known| *known == own)) else {
            continue;
        };
        if values[place].replace(&field.value).is_some() {
            return Err(Mistake::new(
                field.at,
                format!("the edge {} appears twice", NNI_EDGES[place]),
            ));
        }
    }
    if let Some(missing) = values.iter().position(Option::is_none) {
        return Err(Mistake::new(at, format!("the edge {} is missing", NNI_EDGES[missing])));
    }
    read_operations(values.into_iter().flatten())
}

/// The architecture with these operations, in the order of the graph's edges.
fn read_operations<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> Result<Genotype, Mistake> {
    let mut operations = [Operation201::None; 6];
    for (own, value) in operations.iter_mut().zip(values) {
        *own = operation(value).ok_or_else(|| {
            let known = Operation201::names();
            Mistake::new(value.at, format!("expected an operation of NAS-Bench-201: {known}"))
        })?;
    }
    Ok(Arch201 { operations }.into())
}

/// An operation by name, with or without `nor_`, or by a mask or a number, in the order of the
/// paper.
fn operation(value: &Value<'_>) -> Option<Operation201> {
    if let Some(name) = value.text() {
        let is = |known: &Operation201| known.name() == name || known.name().strip_prefix("nor_") == Some(name);
        return Operation201::ALL.iter().copied().find(is);
    }
    let mask = value
        .one_of_mask()
        .filter(|&(_, length)| length == Operation201::ALL.len());
    let place = mask.map(|(place, _)| place).or(value.whole())?;
    Operation201::ALL.get(place).copied()
}

/// Writes the architecture of `cell`, whose edges are in the order of the graph.
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
            let mut genotype = Genotype::parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|").unwrap();
            for (edge, &choice) in genotype.cells.normal.edges.iter_mut().zip(&choice) {
                edge.operations = vec![NAS_BENCH_201_OPERATIONS[choice]];
            }
            prop_assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\|\\PC{0,80}") {
            let _ = Genotype::parse(&text);
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let right =
            Genotype::parse("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|skip_connect~2|");
        let right = right.unwrap();
        let mask = "[False, True, False, False, False]";
        for text in [
            "{'0_1': 'avg_pool_3x3', '0_2': 'conv_1x1', '1_2': 'skip_connect', '0_3': 'none', '1_3': 'conv_3x3', '2_3': 'skip_connect'}",
            &format!(
                "{{'cell/0_1': 4, 'cell/0_2': 2, 'cell/1_2': {mask}, 'cell/0_3': 0, 'cell/1_3': 3, 'cell/2_3': {mask}}}"
            ),
            "[(('avg_pool_3x3', 0),), (('nor_conv_1x1', 0), ('skip_connect', 1)), \
             (('none', 0), ('nor_conv_3x3', 1), ('skip_connect', 2))]",
        ] {
            assert_eq!(Genotype::parse(text).unwrap(), right, "{text}");
        }
        let written = right.to_string();
        for wrapped in ["|+\n|", "| + |", "|\r\n  +|", "|+ \\\n|"] {
            let text = written.replace("|+|", wrapped);
            let read = Genotype::parse(&text).ok();
            assert_eq!(read, (!wrapped.contains('\\')).then(|| right.clone()), "{text}");
        }
        let unknown = written.replace("|+|", "|+\n|").replace("avg_pool", "max_pool");
        let error = Genotype::parse(&unknown).unwrap_err().to_string();
        assert!(
            error.starts_with("genotype, line 1, character 1, ") && error.contains("expected one of none"),
            "{error}"
        );
        for (text, says) in [
            ("{'0_1': 'none', '2_3': 'none'}", "the edge 0_2 is missing"),
            (
                "|none~0|+\n|none~0|none~1|+\n|none~0|none~1|none~2|\n + |none~0|",
                "more than four nodes",
            ),
            (
                "{'0_1': 'none', '2_3': 'none', 'a/0_1': 'none'}",
                "the edge 0_1 appears twice",
            ),
            (
                "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|",
                "more than four nodes",
            ),
            (
                "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~3|",
                "more than four nodes",
            ),
        ] {
            let error = Genotype::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let five = "{'0_1': 'none', '0_2': 'none', '1_2': 'none', '0_3': 'none', '1_3': 'fast', '2_3': 'none'}";
        assert!(Genotype::parse(five).unwrap_err().to_string().contains("'1_3': 'fast'"));
    }
}
