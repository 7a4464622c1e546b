//! The forms in which NASLib writes architectures (github.com/automl/NASLib,
//! `search_spaces/*/conversions.py`).
//!
//! In the DARTS space, "compact": for normal and reduction cells, eight pairs (node that is read,
//! number of the operation), two per node. Operations are numbered from 0 in the order of the
//! candidates, as in NASLib's conversion from a genotype. (NASLib's conversion back to a genotype
//! numbers them from 1, so the two do not match.) "Config", also used by NAS-Bench-301 (Zela et
//! al., ICLR 2022): an object with an operation for each kept edge. In the space of NAS-Bench-201:
//! the numbers of the operations on the edges, ordered by their start.

use super::literal::Value;
use super::mistake::Mistake;
use super::nni_text::{Object, Pairs, cell_name, cells, named, number, numbered, pairs, written};
use super::{CellGenotype, Genotype};
use crate::arch_201::{Arch201, Operation201};
use crate::{CellKind, NAS_BENCH_201_GRAPH, Operation, PerKind, SpaceName};

/// Distinguishes the object of NAS-Bench-301 from others.
pub(super) const EDGE: &str = ":darts:edge_";
/// Prefix of all its keys.
const PREFIX: &str = "NetworkSelectorDatasetInfo:darts:";
/// Operations of NAS-Bench-201 in NASLib's order.
const OPERATIONS_201: [Operation201; 5] = [
    Operation201::SkipConnect,
    Operation201::None,
    Operation201::Conv3x3,
    Operation201::Conv1x1,
    Operation201::AvgPool3x3,
];
/// For each of NASLib's edges of NAS-Bench-201, the index of this edge in the graph.
const EDGES_201: [usize; 6] = [0, 1, 3, 2, 4, 5];

/// The form, in words.
pub(super) const NUMBERS: &str =
    "six numbers, as (4, 0, 3, 1, 4, 3), or two lists of pairs (node, operation), for normal and reduction cells";

/// The architecture of either space that a list describes by numbers; `None` for any other list.
pub(super) fn read(value: &Value<'_>) -> Option<Result<Genotype, Mistake>> {
    let items = value.list()?;
    let numbers: Option<Vec<usize>> = items.iter().map(Value::whole).collect();
    if let Some(numbers) = numbers.and_then(|numbers| <[usize; 6]>::try_from(numbers).ok()) {
        return Some(read_201(items, numbers));
    }
    let pair = |item: &Value<'_>| match item.list()? {
        [from, operation] => Some((item.at, from.whole()?, operation.whole()?)),
        _ => None,
    };
    let pairs = |cell: &Value<'_>| {
        let pairs: Option<Vec<_>> = cell.list()?.iter().map(pair).collect();
        pairs.filter(|pairs| !pairs.is_empty())
    };
    let [normal, reduction] = items else { return None };
    let (normal_pairs, reduction_pairs) = (pairs(normal)?, pairs(reduction)?);
    let cells = || {
        Ok(Genotype {
            cells: PerKind {
                normal: cell(CellKind::Normal, normal.at, &normal_pairs)?,
                reduction: Some(cell(CellKind::Reduction, reduction.at, &reduction_pairs)?),
            },
        })
    };
    Some(cells())
}

fn cell(kind: CellKind, start: usize, pairs: &[(usize, usize, usize)]) -> Result<CellGenotype, Mistake> {
    let name = cell_name(kind);
    if !pairs.len().is_multiple_of(2) {
        return Err(Mistake::new(
            start,
            format!("{name}: {} pairs, not two per node", pairs.len()),
        ));
    }
    let entry = |&(at, from, index): &(usize, usize, usize)| match numbered(index) {
        Some(operation) => Ok((operation, from)),
        None => Err(Mistake::new(
            at,
            format!("{name}: the operation {index} is not one of 0 to 6"),
        )),
    };
    let entries: Vec<(Operation, usize)> = pairs.iter().map(entry).collect::<Result<_, _>>()?;
    let nodes = entries.len() / 2;
    CellGenotype::from_entries(&entries, &vec![2; nodes], (2..2 + nodes).collect()).map_err(|wrong| {
        let at = wrong
            .entry
            .and_then(|entry| pairs.get(entry))
            .map_or(start, |&(at, ..)| at);
        Mistake::new(at, format!("{name}: {}", wrong.problem))
    })
}

fn read_201(items: &[Value<'_>], numbers: [usize; 6]) -> Result<Genotype, Mistake> {
    let mut operations = [Operation201::None; 6];
    for ((edge, index), item) in EDGES_201.into_iter().zip(numbers).zip(items) {
        operations[edge] = *OPERATIONS_201
            .get(index)
            .ok_or_else(|| Mistake::new(item.at, format!("the operation {index} is not one of 0 to 4")))?;
    }
    Ok(Arch201 { operations }.into())
}

/// Writes tuples of numbers.
pub(super) fn write(genotype: &Genotype) -> Result<String, String> {
    match genotype.space() {
        SpaceName::Darts => write_darts(genotype),
        SpaceName::NasBench201 => write_201(&genotype.cells.normal),
        SpaceName::Mobile | SpaceName::Plain => Err("it is a chain of layers".to_owned()),
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

/// Reads the object of NAS-Bench-301. If it also lists the inputs of a node, they must match its
/// edges.
pub(super) fn read_301<'v, 'a>(object: Object<'v, 'a>) -> Result<Genotype, Mistake> {
    let counts = |key: &str| key.contains(EDGE);
    if let Some(key) = object.first(|key| key.contains(EDGE) && !key.starts_with(PREFIX)) {
        return Err(object.mistake(key, format!("expected a key that begins with {PREFIX}")));
    }
    cells(object, counts, |kind, node, object| {
        let name = cell_name(kind);
        let mut entries = Vec::new();
        for from in 0..node {
            let key = format!("{PREFIX}edge_{name}_{}", first_edge(node) + from);
            let Some(value) = object.take(&key) else { continue };
            let operation = named(value).ok_or_else(|| {
                let known = Operation::ALL.map(Operation::name).join(", ");
                Mistake::new(value.at, format!("{key}: expected an operation; known are {known}"))
            })?;
            entries.push((operation, from));
        }
        let inputs = format!("{PREFIX}inputs_node_{name}_{node}");
        let own: Vec<String> = entries.iter().map(|(_, from)| from.to_string()).collect();
        match object.take(&inputs).and_then(Value::text) {
            Some(said) if said != own.join("_") => {
                let problem = format!("node {node} reads {said}, and its edges begin at {}", own.join("_"));
                Err(object.mistake(&inputs, problem))
            }
            _ => Ok(entries),
        }
    })
}

/// Writes the object of NAS-Bench-301, whose edges are ordered by their starts. The order of a
/// node's entries is lost, and with it the numbering of their weights.
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
            rows.push((key, serde_json::Value::from(operation.name())));
        }
        // The first node has only two edges, so there is no choice.
        if node > 2 {
            let key = format!("{PREFIX}inputs_node_{cell}_{node}");
            rows.push((
                key,
                serde_json::Value::from(format!("{}_{}", entries[0].1, entries[1].1)),
            ));
        }
    }
    Ok(written(&rows))
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
            ("(4, 0, 3, 1, 4, 9)", "operation 9 is not one of 0 to 4"),
            ("(4, 0, 3)", "expected six numbers"),
            ("(((0, 3), (1, 3)), ((0, 3), (1, 7)))", "reduce: the operation 7"),
            ("(((0, 3), (1, 3)), ((0, 3)))", "reduce: 1 pairs"),
            ("(((0, 3), (1, 3)), ((0, 3), (1, 3), (0, 1)))", "3 pairs"),
            (
                "(((0, 3), (2, 3)), ((0, 3), (1, 3)))",
                "normal: node 2 cannot read node 2",
            ),
            ("(a)", "expected six numbers"),
        ] {
            let error = Genotype::parse(text).unwrap_err().to_string();
            assert!(error.contains(say), "{text}: {error}");
        }
    }

    #[test]
    fn edges_of_nas_bench_301_are_numbered_over_the_whole_cell() {
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
