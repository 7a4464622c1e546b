//! The objects in which NNI writes what its DARTS space chose (github.com/microsoft/nni, versions 3 and 2).
//!
//! Version 3: `CELL/op_N_I` is the operation of entry I of node N and `CELL/input_N_I` the node that it reads, alone or in a list.
//! Version 2: `CELL_nN_pI` is the operation on the edge from node I to node N, by name or by number, and `CELL_nN_switch` names
//! the edges that stay. In both, cells are `normal` and `reduce`, nodes count from 2, and a cell's output is all of its nodes.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{CellGenotype, Genotype, GenotypeError, MOST_NODES};
use crate::{CellGraph, CellKind, Operation, PerKind, SpaceName};

/// Entries a node.
const ENTRIES: usize = 2;
/// The operations of the published DARTS space in the order in which NNI and NASLib number them, with their names in version 2.
const NUMBERED: [(Operation, &str); 7] = [
    (Operation::MaxPool3x3, "maxpool"),
    (Operation::AvgPool3x3, "avgpool"),
    (Operation::SkipConnect, "skipconnect"),
    (Operation::SepConv3x3, "sepconv3x3"),
    (Operation::SepConv5x5, "sepconv5x5"),
    (Operation::DilConv3x3, "dilconv3x3"),
    (Operation::DilConv5x5, "dilconv5x5"),
];

/// What the cells of a kind are called, here and by NASLib.
pub(super) fn cell_name(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Normal => "normal",
        CellKind::Reduction => "reduce",
    }
}

/// A mistake at the value of `key`.
pub(super) fn mistake(text: &str, key: &str, problem: impl Into<String>) -> GenotypeError {
    GenotypeError {
        at: text.find(&format!("\"{key}\"")).unwrap_or(0),
        problem: format!("{key}: {}", problem.into()),
    }
}

/// The cells whose nodes have the entries that `node` finds, none behind the last node; it tells the keys that it read. A key that
/// `counts` and that was not read is a mistake: a node or an entry before it is missing.
pub(super) fn cells(
    text: &str,
    object: &Map<String, Value>,
    counts: impl Fn(&str) -> bool,
    mut node: impl FnMut(CellKind, usize, &mut HashSet<String>) -> Result<Vec<(Operation, usize)>, GenotypeError>,
) -> Result<Genotype, GenotypeError> {
    let mut read = HashSet::new();
    let cells = PerKind::try_new(&CellKind::ALL, |kind| {
        let (mut entries, mut counts) = (Vec::new(), Vec::new());
        for number in 2..MOST_NODES {
            let own = node(kind, number, &mut read)?;
            if own.is_empty() {
                break;
            }
            counts.push(own.len());
            entries.extend(own);
        }
        let concat = (2..2 + counts.len()).collect();
        CellGenotype::from_entries(&entries, &counts, concat).map_err(|problem| {
            let name = cell_name(kind);
            let at = text.find(name).unwrap_or(0);
            GenotypeError {
                at,
                problem: format!("{name}: {problem}"),
            }
        })
    })?;
    if let Some(key) = object.keys().find(|key| counts(key) && !read.contains(*key)) {
        return Err(mistake(text, key, "the node or the entry before it is missing"));
    }
    Ok(Genotype { cells })
}

/// The operation called `name`.
pub(super) fn operation(text: &str, key: &str, name: &Value) -> Result<Operation, GenotypeError> {
    name.as_str().and_then(Operation::from_name).ok_or_else(|| {
        let known = Operation::ALL.map(Operation::name).join(", ");
        mistake(text, key, format!("{name} is no operation; known are {known}"))
    })
}

/// Reads the form of version 3.
pub(super) fn parse(text: &str, object: &Map<String, Value>) -> Result<Genotype, GenotypeError> {
    let counts = |key: &str| key.contains("/op_");
    cells(text, object, counts, |kind, node, read| {
        let name = cell_name(kind);
        let mut entries = Vec::new();
        for entry in 0.. {
            let key = format!("{name}/op_{node}_{entry}");
            let Some(value) = object.get(&key) else { break };
            let operation = operation(text, &key, value)?;
            read.insert(key);
            let key = format!("{name}/input_{node}_{entry}");
            let input = match object.get(&key) {
                Some(Value::Array(one)) if one.len() == 1 => one[0].as_u64(),
                Some(input) => input.as_u64(),
                None => {
                    return Err(mistake(
                        text,
                        &format!("{name}/op_{node}_{entry}"),
                        format!("{key} is missing"),
                    ));
                }
            };
            let input = input.and_then(|input| usize::try_from(input).ok());
            let input = input.ok_or_else(|| mistake(text, &key, "expected the number of one node"))?;
            entries.push((operation, input));
        }
        Ok(entries)
    })
}

/// Reads the form of version 2.
pub(super) fn parse_2(text: &str, object: &Map<String, Value>) -> Result<Genotype, GenotypeError> {
    let counts = |key: &str| key.ends_with("_switch");
    cells(text, object, counts, |kind, node, read| {
        let prefix = format!("{}_n{node}_", cell_name(kind));
        let switch = format!("{prefix}switch");
        let Some(chosen) = object.get(&switch) else {
            return Ok(Vec::new());
        };
        let chosen = chosen
            .as_array()
            .filter(|chosen| !chosen.is_empty())
            .ok_or_else(|| mistake(text, &switch, "expected a list of edges"))?;
        read.insert(switch.clone());
        let entry = |edge: &Value| {
            // An edge by name, or by the number of the node that it leaves.
            let from = match edge {
                Value::String(name) => name
                    .strip_prefix(&format!("{prefix}p"))
                    .and_then(|from| from.parse().ok()),
                other => other.as_u64().and_then(|from| usize::try_from(from).ok()),
            };
            let from: usize =
                from.ok_or_else(|| mistake(text, &switch, format!("{edge} is no edge into node {node}")))?;
            let key = format!("{prefix}p{from}");
            let found = match object.get(&key) {
                Some(Value::String(name)) => NUMBERED.iter().position(|(_, known)| known == name),
                Some(other) => other.as_u64().and_then(|index| usize::try_from(index).ok()),
                None => return Err(mistake(text, &switch, format!("{key} is missing"))),
            };
            let operation = found.and_then(numbered).ok_or_else(|| {
                let known = NUMBERED.map(|(_, name)| name).join(", ");
                mistake(
                    text,
                    &key,
                    format!("expected an operation: {known}, or its number from 0"),
                )
            })?;
            Ok((operation, from))
        };
        chosen.iter().map(entry).collect()
    })
}

/// A node of a cell, and its entries: operations, each with the node that it reads.
pub(super) struct Pairs {
    pub(super) kind: CellKind,
    pub(super) node: usize,
    pub(super) entries: Vec<(Operation, usize)>,
}

/// Every node of every cell with its entries, if all nodes have [`ENTRIES`] and are part of the output, in their order.
pub(super) fn pairs(genotype: &Genotype) -> Result<Vec<Pairs>, String> {
    match genotype.space() {
        SpaceName::Darts => {}
        SpaceName::NasBench201 => return Err("it is an architecture of NAS-Bench-201".to_owned()),
    }
    let mut all = Vec::new();
    for (kind, cell) in genotype.cells.iter() {
        let nodes = CellGraph::new(2, cell.nodes()).all_nodes();
        let name = cell_name(kind);
        if !cell.concat.iter().copied().eq(nodes.clone()) {
            return Err(format!("the output of {name} cells is not all of their nodes"));
        }
        for node in nodes {
            let entries: Vec<(Operation, usize)> = cell
                .edges
                .iter()
                .filter(|edge| edge.to == node)
                .flat_map(|edge| edge.operations.iter().map(|&operation| (operation, edge.from)))
                .collect();
            if entries.len() != ENTRIES {
                let count = entries.len();
                return Err(format!(
                    "node {node} of {name} cells has {count} entries, not {ENTRIES}"
                ));
            }
            all.push(Pairs { kind, node, entries });
        }
    }
    Ok(all)
}

/// The operation of that number among the seven of DARTS.
pub(super) fn numbered(number: usize) -> Option<Operation> {
    NUMBERED.get(number).map(|&(operation, _)| operation)
}

/// The number of an operation among the seven of DARTS.
pub(super) fn number(operation: Operation) -> Result<usize, String> {
    let position = NUMBERED.iter().position(|&(known, _)| known == operation);
    position.ok_or_else(|| format!("{operation} is not of the DARTS space"))
}

/// A JSON object, its keys in the order given.
pub(super) fn object(rows: &[(String, Value)]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(key, value)| format!("  \"{key}\": {value}"))
        .collect();
    format!("{{\n{}\n}}", rows.join(",\n"))
}

/// Writes the form of version 3.
pub(super) fn write(genotype: &Genotype) -> Result<String, String> {
    let mut rows = Vec::new();
    for Pairs { kind, node, entries } in pairs(genotype)? {
        let name = cell_name(kind);
        for (entry, (operation, from)) in entries.into_iter().enumerate() {
            number(operation)?;
            rows.push((format!("{name}/op_{node}_{entry}"), Value::from(operation.name())));
            rows.push((format!("{name}/input_{node}_{entry}"), Value::from(from)));
        }
    }
    Ok(object(&rows))
}

/// Writes the form of version 2, in which edges that fall have an empty list.
pub(super) fn write_2(genotype: &Genotype) -> Result<String, String> {
    let mut rows = Vec::new();
    for Pairs { kind, node, entries } in pairs(genotype)? {
        let prefix = format!("{}_n{node}_", cell_name(kind));
        if entries[0].1 == entries[1].1 {
            return Err(format!("node {node} of {} cells reads one node twice", cell_name(kind)));
        }
        for from in 0..node {
            let kept = entries.iter().find(|(_, own)| *own == from);
            let value = match kept {
                Some(&(operation, _)) => Value::from(NUMBERED[number(operation)?].1),
                None => Value::Array(Vec::new()),
            };
            rows.push((format!("{prefix}p{from}"), value));
        }
        let chosen: Vec<String> = entries.iter().map(|(_, from)| format!("{prefix}p{from}")).collect();
        rows.push((format!("{prefix}switch"), Value::from(chosen)));
    }
    Ok(object(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_stand_alone_or_in_lists_and_mistakes_have_a_place() {
        let skip = |cell: &str, one: &str, two: &str| {
            format!(
                "\"{cell}/op_2_0\": \"skip_connect\", \"{cell}/input_2_0\": {one}, \
                 \"{cell}/op_2_1\": \"sep_conv_5x5\", \"{cell}/input_2_1\": {two}"
            )
        };
        let text = |one, two| {
            format!(
                "{{\"width\": 36, {}, {}}}",
                skip("normal", one, two),
                skip("reduce", "0", "1")
            )
        };
        let genotype = Genotype::parse(&text("0", "1")).unwrap();
        assert_eq!(genotype.cells.normal.concat, [2]);
        assert_eq!(Genotype::parse(&text("[0]", "[1]")).unwrap(), genotype);
        let twice = text("[0, 1]", "1");
        let error = Genotype::parse(&twice).unwrap_err();
        assert!(
            error
                .problem
                .contains("normal/input_2_0: expected the number of one node"),
            "{error}"
        );
        assert!(twice[error.at..].starts_with("\"normal/input_2_0\""));
        let later = Genotype::parse(&text("0", "2")).unwrap_err();
        assert!(later.problem.contains("node 2 cannot read node 2"), "{later}");
        let renamed = text("0", "1").replacen("sep_conv_5x5", "sep_conv_9x9", 1);
        assert!(Genotype::parse(&renamed).unwrap_err().problem.contains("sep_conv_9x9"));
        let missing = text("0", "1").replacen("normal/input_2_1", "x", 1);
        assert!(
            Genotype::parse(&missing)
                .unwrap_err()
                .problem
                .contains("normal/input_2_1 is missing")
        );
    }

    #[test]
    fn a_node_or_an_entry_that_is_missing_is_not_the_end() {
        let entry = |cell: &str, node: usize, entry: usize| {
            format!("\"{cell}/op_{node}_{entry}\": \"skip_connect\", \"{cell}/input_{node}_{entry}\": {entry}")
        };
        let reduce = format!("{}, {}", entry("reduce", 2, 0), entry("reduce", 2, 1));
        for (normal, stray) in [
            ([(2, 0), (2, 1), (4, 0), (4, 1)], "normal/op_4_0"),
            ([(2, 0), (2, 1), (3, 1), (4, 0)], "normal/op_3_1"),
        ] {
            let normal = normal.map(|(node, at)| entry("normal", node, at)).join(", ");
            let error = Genotype::parse(&format!("{{{normal}, {reduce}}}")).unwrap_err();
            assert!(
                error.problem.starts_with(stray) && error.problem.contains("missing"),
                "{error}"
            );
        }
    }

    #[test]
    fn version_2_counts_operations_or_names_them() {
        let text = |one: &str, switch: &str| {
            let cell = |name: &str, one: &str, switch: &str| {
                format!("\"{name}_n2_p0\": {one}, \"{name}_n2_p1\": \"maxpool\", \"{name}_n2_switch\": {switch}")
            };
            format!("{{{}, {}}}", cell("normal", one, switch), cell("reduce", "2", "[0, 1]"))
        };
        let genotype = Genotype::parse(&text("\"sepconv3x3\"", "[\"normal_n2_p0\", \"normal_n2_p1\"]")).unwrap();
        assert_eq!(genotype, Genotype::parse(&text("3", "[0, 1]")).unwrap());
        assert_eq!(genotype.cells.normal.edges[0].operations, [Operation::SepConv3x3]);
        for (one, switch, say) in [
            ("\"sepconv\"", "[0, 1]", "normal_n2_p0: expected an operation"),
            ("99", "[0, 1]", "normal_n2_p0: expected an operation"),
            ("1", "[\"reduce_n2_p0\"]", "is no edge into node 2"),
            ("1", "[7]", "normal_n2_p7 is missing"),
            ("1", "0", "expected a list"),
            ("1", "[]", "expected a list"),
        ] {
            let error = Genotype::parse(&text(one, switch)).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        }
    }
}
