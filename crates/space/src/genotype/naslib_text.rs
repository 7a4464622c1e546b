//! The forms in which NASLib writes architectures (github.com/automl/NASLib, `search_spaces/*/conversions.py`).
//!
//! In the DARTS space, "compact": for normal and reduction cells, eight pairs (node that is read, number of the operation), two a
//! node; operations count from 0 in the order of the candidates, as NASLib writes them from a genotype (its own way back counts
//! from 1 and does not undo it). "Config", also that of NAS-Bench-301 (Zela et al., ICLR 2022): an object with an operation for
//! each edge that stays. In the space of NAS-Bench-201: the numbers of the operations on the edges, ordered by their start.

use serde_json::{Map, Value};

use super::nni_text::{Pairs, cell_name, cells, mistake, number, numbered, object, operation, pairs};
use super::{CellGenotype, Genotype, GenotypeError};
use crate::arch_201::{Arch201, Operation201};
use crate::{CellKind, NAS_BENCH_201_GRAPH, Operation, PerKind, SpaceName};

/// What tells the object of NAS-Bench-301 from others.
pub(super) const EDGE: &str = ":darts:edge_";
/// Before every key of it.
const PREFIX: &str = "NetworkSelectorDatasetInfo:darts:";
/// Operations of NAS-Bench-201 in NASLib's order.
const OPERATIONS_201: [Operation201; 5] = [
    Operation201::SkipConnect,
    Operation201::None,
    Operation201::Conv3x3,
    Operation201::Conv1x1,
    Operation201::AvgPool3x3,
];
/// NASLib's edges of NAS-Bench-201, each the place of the same edge in the order of the graph.
const EDGES_201: [usize; 6] = [0, 1, 3, 2, 4, 5];

/// Reads tuples of numbers: an architecture of either space.
pub(super) fn parse(text: &str) -> Result<Genotype, GenotypeError> {
    let whole = |problem: &str| GenotypeError {
        at: 0,
        problem: problem.to_owned(),
    };
    let stranger = text.find(|c: char| !(c.is_ascii_digit() || c.is_ascii_whitespace() || "()[],".contains(c)));
    if let Some(at) = stranger {
        let problem = "expected numbers in brackets, as (((0, 3), (1, 3), …), (…)) or (4, 0, 3, 1, 4, 3)".to_owned();
        return Err(GenotypeError { at, problem });
    }
    let list = text.replace('(', "[").replace(')', "]");
    if let Ok(numbers) = serde_json::from_str::<[usize; 6]>(&list) {
        return parse_201(text, numbers);
    }
    let [normal, reduction]: [Vec<(usize, usize)>; 2] = serde_json::from_str(&list).map_err(|_| {
        whole("expected six numbers, or two lists of pairs (node, operation), for normal and reduction cells")
    })?;
    let cell = |kind: CellKind, pairs: Vec<(usize, usize)>| {
        let fail = |problem: String| whole(&format!("{}: {problem}", cell_name(kind)));
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(fail(format!("{} pairs, not two a node", pairs.len())));
        }
        let entry = |&(from, index): &(usize, usize)| match numbered(index) {
            Some(operation) => Ok((operation, from)),
            None => Err(fail(format!("the operation {index} is none of 0 to 6"))),
        };
        let entries: Vec<(Operation, usize)> = pairs.iter().map(entry).collect::<Result<_, _>>()?;
        let nodes = entries.len() / 2;
        CellGenotype::from_entries(&entries, &vec![2; nodes], (2..2 + nodes).collect()).map_err(fail)
    };
    Ok(Genotype {
        cells: PerKind {
            normal: cell(CellKind::Normal, normal)?,
            reduction: Some(cell(CellKind::Reduction, reduction)?),
        },
    })
}

fn parse_201(text: &str, numbers: [usize; 6]) -> Result<Genotype, GenotypeError> {
    let mut operations = [Operation201::None; 6];
    for (edge, index) in EDGES_201.into_iter().zip(numbers) {
        operations[edge] = *OPERATIONS_201.get(index).ok_or_else(|| GenotypeError {
            at: text.find(&index.to_string()).unwrap_or(0),
            problem: format!("the operation {index} is none of 0 to 4"),
        })?;
    }
    super::nas_bench_201_text::parse(&Arch201 { operations }.to_string())
}

/// Writes tuples of numbers.
pub(super) fn write(genotype: &Genotype) -> Result<String, String> {
    match genotype.space() {
        SpaceName::Darts => write_darts(genotype),
        SpaceName::NasBench201 => write_201(&genotype.cells.normal),
    }
}

fn write_darts(genotype: &Genotype) -> Result<String, String> {
    let mut cells = [Vec::new(), Vec::new()];
    for Pairs { kind, entries, .. } in pairs(genotype)? {
        for (operation, from) in entries {
            cells[kind as usize].push(format!("({from}, {})", number(operation)?));
        }
    }
    let [normal, reduction] = cells.map(|cell| format!("({})", cell.join(", ")));
    Ok(format!("({normal}, {reduction})"))
}

fn write_201(cell: &CellGenotype) -> Result<String, String> {
    let edge = |place: usize| {
        let ends = NAS_BENCH_201_GRAPH.edges().nth(place);
        let kept = cell.edges.iter().find(|edge| Some((edge.from, edge.to)) == ends);
        let kept = kept
            .and_then(|edge| edge.operations.first().copied())
            .unwrap_or(Operation::None);
        let index = OPERATIONS_201.iter().position(|known| known.operation() == kept);
        index
            .map(|index| index.to_string())
            .ok_or_else(|| format!("{kept} is not of NAS-Bench-201"))
    };
    let numbers: Vec<String> = EDGES_201.into_iter().map(edge).collect::<Result<_, _>>()?;
    Ok(format!("({})", numbers.join(", ")))
}

/// Number of the first edge into `node`.
fn first_edge(node: usize) -> usize {
    (2..node).sum()
}

/// Reads the object of NAS-Bench-301.
pub(super) fn parse_301(text: &str, object: &Map<String, Value>) -> Result<Genotype, GenotypeError> {
    if let Some(key) = object.keys().find(|key| key.contains(EDGE) && !key.starts_with(PREFIX)) {
        return Err(mistake(text, key, format!("expected a key that begins with {PREFIX}")));
    }
    let counts = |key: &str| key.contains(EDGE);
    cells(text, object, counts, |kind, node, read| {
        let edge = |from: usize| {
            let key = format!("{PREFIX}edge_{}_{}", cell_name(kind), first_edge(node) + from);
            let name = object.get(&key)?;
            let entry = operation(text, &key, name).map(|operation| (operation, from));
            read.insert(key);
            Some(entry)
        };
        (0..node).filter_map(edge).collect()
    })
}

/// Writes the object of NAS-Bench-301.
pub(super) fn write_301(genotype: &Genotype) -> Result<String, String> {
    let mut rows = Vec::new();
    for Pairs {
        kind,
        node,
        mut entries,
    } in pairs(genotype)?
    {
        let cell = cell_name(kind);
        entries.sort_by_key(|&(_, from)| from);
        if entries[0].1 == entries[1].1 {
            return Err(format!("node {node} of {cell} cells reads one node twice"));
        }
        for &(operation, from) in &entries {
            number(operation)?;
            let key = format!("{PREFIX}edge_{cell}_{}", first_edge(node) + from);
            rows.push((key, Value::from(operation.name())));
        }
        // The first node has only two edges, of which there is nothing to choose.
        if node > 2 {
            let key = format!("{PREFIX}inputs_node_{cell}_{node}");
            rows.push((key, Value::from(format!("{}_{}", entries[0].1, entries[1].1))));
        }
    }
    Ok(object(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_nas_bench_201_are_ordered_by_their_start() {
        let genotype = Genotype::parse("(4, 0, 3, 1, 4, 2)").unwrap();
        let text = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|";
        assert_eq!(genotype.to_string(), text);
        assert_eq!(write(&genotype).unwrap(), "(4, 0, 3, 1, 4, 2)");
        assert_eq!(Genotype::parse("[4, 0, 3, 1, 4, 2]").unwrap(), genotype);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, say) in [
            ("(4, 0, 3, 1, 4, 9)", "operation 9 is none of 0 to 4"),
            ("(4, 0, 3)", "expected six numbers"),
            ("(((0, 3), (1, 3)), ((0, 3), (1, 7)))", "reduce: the operation 7"),
            ("(((0, 3), (1, 3)), ((0, 3)))", "reduce: 1 pairs"),
            ("(((0, 3), (1, 3)), ((0, 3), (1, 3), (0, 1)))", "3 pairs"),
            (
                "(((0, 3), (2, 3)), ((0, 3), (1, 3)))",
                "normal: node 2 cannot read node 2",
            ),
            ("(a)", "character 1"),
        ] {
            let error = Genotype::parse(text).unwrap_err().to_string();
            assert!(error.contains(say), "{text}: {error}");
        }
    }

    #[test]
    fn edges_of_nas_bench_301_are_numbered_through() {
        let key = |edge: usize, cell: &str| format!("\"{PREFIX}edge_{cell}_{edge}\": \"max_pool_3x3\"");
        let cell = |cell: &str| [0, 1, 3, 4].map(|edge| key(edge, cell)).join(", ");
        let genotype = Genotype::parse(&format!("{{{}, {}}}", cell("normal"), cell("reduce"))).unwrap();
        let ends: Vec<_> = genotype
            .cells
            .normal
            .edges
            .iter()
            .map(|edge| (edge.from, edge.to))
            .collect();
        assert_eq!(ends, [(0, 2), (1, 2), (1, 3), (2, 3)]);
    }
}
