//! The objects in which NNI stores an architecture of its DARTS space (github.com/microsoft/nni,
//! versions 3 and 2).
//!
//! Version 3: `CELL/op_N_I` is the operation of entry I of node N and `CELL/input_N_I` the node
//! that it reads, alone or in a list. Version 2: `CELL_nN_pI` is the operation on the edge from
//! node I to node N, by name or by number, and `CELL_nN_switch` lists the kept edges. In both,
//! cells are `normal` and `reduce`, nodes count from 2, and a cell's output is all of its nodes.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::literal::{Field, Value};
use super::mistake::Mistake;
use super::{CellGenotype, Genotype, MOST_NODES};
use crate::{CellGraph, CellKind, Operation, PerKind, SpaceName};

/// Number of entries per node.
const ENTRIES: usize = 2;
/// The operations of the published DARTS space in the order of their numbers in NNI and NASLib,
/// with their names in version 2.
const NUMBERED: [(Operation, &str); 7] = [
    (Operation::MaxPool3x3, "maxpool"),
    (Operation::AvgPool3x3, "avgpool"),
    (Operation::SkipConnect, "skipconnect"),
    (Operation::SepConv3x3, "sepconv3x3"),
    (Operation::SepConv5x5, "sepconv5x5"),
    (Operation::DilConv3x3, "dilconv3x3"),
    (Operation::DilConv5x5, "dilconv5x5"),
];

/// The name of the cells of a kind, in NNI and NASLib.
pub(super) fn cell_name(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Normal => "normal",
        CellKind::Reduction => "reduce",
    }
}

/// The fields of an object by key.
pub(super) struct Object<'v, 'a> {
    at: usize,
    fields: HashMap<&'a str, &'v Field<'a>>,
    read: HashSet<&'a str>,
}

impl<'v, 'a> Object<'v, 'a> {
    /// The object that begins at `at`.
    pub(super) fn new(at: usize, fields: &'v [Field<'a>]) -> Result<Self, Mistake> {
        let mut own = HashMap::new();
        for field in fields {
            if own.insert(field.key, field).is_some() {
                return Err(Mistake::new(field.at, format!("{} appears twice", field.key)));
            }
        }
        Ok(Self {
            at,
            fields: own,
            read: HashSet::new(),
        })
    }

    /// The value of `key`, which is then marked as read.
    pub(super) fn take(&mut self, key: &str) -> Option<&'v Value<'a>> {
        let (&key, field) = self.fields.get_key_value(key)?;
        self.read.insert(key);
        Some(&field.value)
    }

    /// An error at `key`.
    pub(super) fn mistake(&self, key: &str, problem: impl fmt::Display) -> Mistake {
        let at = self.fields.get(key).map_or(self.at, |field| field.at);
        Mistake::new(at, format!("{key:.80}: {problem}"))
    }

    /// The first key of the text for which `is` holds.
    pub(super) fn first(&self, is: impl Fn(&str) -> bool) -> Option<&'a str> {
        let keys = self.fields.values().filter(|field| is(field.key));
        keys.min_by_key(|field| field.at).map(|field| field.key)
    }
}

/// Reads both cells. `node` returns the entries of a node; the first node without entries ends the
/// cell. `counts` selects the keys that must have been read: if one was not, a node or an entry
/// before it is missing.
pub(super) fn cells<'v, 'a>(
    mut object: Object<'v, 'a>,
    counts: impl Fn(&str) -> bool,
    node: impl Fn(CellKind, usize, &mut Object<'v, 'a>) -> Result<Vec<(Operation, usize)>, Mistake>,
) -> Result<Genotype, Mistake> {
    let cells = PerKind::try_new(&CellKind::ALL, |kind| {
        let (mut entries, mut counts) = (Vec::new(), Vec::new());
        for number in 2..MOST_NODES {
            let own = node(kind, number, &mut object)?;
            if own.is_empty() {
                break;
            }
            counts.push(own.len());
            entries.extend(own);
        }
        let concat = (2..2 + counts.len()).collect();
        let name = cell_name(kind);
        CellGenotype::from_entries(&entries, &counts, concat)
            .map_err(|wrong| Mistake::new(object.at, format!("{name}: {}", wrong.problem)))
    })?;
    match object.first(|key| counts(key) && !object.read.contains(key)) {
        Some(key) => Err(object.mistake(key, "the node or the entry before it is missing")),
        None => Ok(Genotype { cells }),
    }
}

/// The operation that `value` names, as in DARTS or as in NNI 2.
pub(super) fn named(value: &Value<'_>) -> Option<Operation> {
    let name = value.text()?;
    let short = NUMBERED
        .iter()
        .find(|(_, known)| *known == name)
        .map(|&(operation, _)| operation);
    Operation::from_name(name).or(short)
}

/// The operation that `value` selects: by name, alone or in a list, or by a mask of truth values
/// over the seven of DARTS. In NNI 1 the mask has one more value at the end, for no operation.
fn chosen(value: &Value<'_>) -> Option<Operation> {
    if let Some([one]) = value.list() {
        return named(one);
    }
    match value.one_of_mask() {
        Some((place, length)) if length == NUMBERED.len() || length == NUMBERED.len() + 1 => numbered(place),
        _ => named(value),
    }
}

/// Reads the form of version 3.
pub(super) fn parse<'v, 'a>(object: Object<'v, 'a>) -> Result<Genotype, Mistake> {
    let counts = |key: &str| key.contains("/op_");
    cells(object, counts, |kind, node, object| {
        let name = cell_name(kind);
        let mut entries = Vec::new();
        for entry in 0.. {
            let key = format!("{name}/op_{node}_{entry}");
            let Some(value) = object.take(&key) else { break };
            let operation = chosen(value).ok_or_else(|| {
                let known = Operation::ALL.map(Operation::name).join(", ");
                Mistake::new(value.at, format!("{key}: expected an operation; known are {known}"))
            })?;
            let input = format!("{name}/input_{node}_{entry}");
            let Some(value) = object.take(&input) else {
                return Err(object.mistake(&key, format!("{input} is missing")));
            };
            let from = match value.list() {
                Some([one]) if one.whole().is_some() => one.whole(),
                Some(_) => value
                    .one_of_mask()
                    .filter(|&(_, length)| length == node)
                    .map(|(from, _)| from),
                None => value.whole(),
            };
            let from = from.ok_or_else(|| object.mistake(&input, "expected the number of one node"))?;
            entries.push((operation, from));
        }
        Ok(entries)
    })
}

/// Reads the form of version 2, and that of version 1, which selects by masks.
pub(super) fn parse_2<'v, 'a>(object: Object<'v, 'a>) -> Result<Genotype, Mistake> {
    let counts = |key: &str| key.ends_with("_switch");
    cells(object, counts, |kind, node, object| {
        let prefix = format!("{}_n{node}_", cell_name(kind));
        let switch = format!("{prefix}switch");
        let Some(value) = object.take(&switch) else {
            return Ok(Vec::new());
        };
        let expected = || object.mistake(&switch, "expected a list of edges");
        let edges = value.list().filter(|edges| !edges.is_empty()).ok_or_else(expected)?;
        let from = |edge: &Value<'_>| {
            // An edge by name, or by the index of its start node.
            let own = edge
                .text()
                .and_then(|name| name.strip_prefix(&prefix)?.strip_prefix('p')?.parse().ok());
            let from: Option<usize> = own.or(edge.whole());
            from.ok_or_else(|| Mistake::new(edge.at, format!("{switch}: this is not an edge into node {node}")))
        };
        let chosen_edges: Vec<usize> = match value.mask() {
            Some(mask) if edges.len() == node && !mask.is_empty() => mask,
            Some(_) => {
                let problem = format!("expected {node} values, true for the edges that stay, at least one");
                return Err(object.mistake(&switch, problem));
            }
            None => edges.iter().map(from).collect::<Result<_, _>>()?,
        };
        let mut entries = Vec::new();
        for from in chosen_edges {
            let key = format!("{prefix}p{from}");
            let Some(value) = object.take(&key) else {
                return Err(object.mistake(&switch, format!("{key} is missing")));
            };
            let operation = value.whole().map_or_else(|| chosen(value), numbered).ok_or_else(|| {
                let known = NUMBERED.map(|(_, name)| name).join(", ");
                object.mistake(&key, format!("expected an operation: {known}, or its number from 0"))
            })?;
            entries.push((operation, from));
        }
        Ok(entries)
    })
}

/// A node of a cell, and its entries: operations, each with the node that it reads.
pub(super) struct Pairs {
    pub(super) kind: CellKind,
    pub(super) node: usize,
    pub(super) entries: Vec<(Operation, usize)>,
}

/// The entries of every node of every cell, if all nodes have [`ENTRIES`] and are part of the
/// output, in order.
pub(super) fn pairs(genotype: &Genotype) -> Result<Vec<Pairs>, String> {
    match genotype.space() {
        SpaceName::Darts => {}
        SpaceName::NasBench201 => return Err("it is an architecture of NAS-Bench-201".to_owned()),
        SpaceName::Mobile | SpaceName::Plain => return Err("it is a chain of layers".to_owned()),
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

/// The operation with this number among the seven of DARTS.
pub(super) fn numbered(number: usize) -> Option<Operation> {
    NUMBERED.get(number).map(|&(operation, _)| operation)
}

/// The number of an operation among the seven of DARTS.
pub(super) fn number(operation: Operation) -> Result<usize, String> {
    let position = NUMBERED.iter().position(|&(known, _)| known == operation);
    position.ok_or_else(|| format!("{operation} is not of the DARTS space"))
}

/// A JSON object with keys in the given order.
pub(super) fn written(rows: &[(String, serde_json::Value)]) -> String {
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
            rows.push((
                format!("{name}/op_{node}_{entry}"),
                serde_json::Value::from(operation.name()),
            ));
            rows.push((format!("{name}/input_{node}_{entry}"), serde_json::Value::from(from)));
        }
    }
    Ok(written(&rows))
}

/// Writes the form of version 2, in which pruned edges have an empty list.
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
                Some(&(operation, _)) => serde_json::Value::from(NUMBERED[number(operation)?].1),
                None => serde_json::Value::Array(Vec::new()),
            };
            rows.push((format!("{prefix}p{from}"), value));
        }
        let chosen: Vec<String> = entries.iter().map(|(_, from)| format!("{prefix}p{from}")).collect();
        rows.push((format!("{prefix}switch"), serde_json::Value::from(chosen)));
    }
    Ok(written(&rows))
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
        assert!(twice[error.at..].starts_with("\"normal/input_2_0\""), "{error}");
        let later = Genotype::parse(&text("0", "2")).unwrap_err();
        assert!(later.problem.contains("node 2 cannot read node 2"), "{later}");
        let renamed = text("0", "1").replacen("sep_conv_5x5", "sep_conv_9x9", 1);
        assert!(
            Genotype::parse(&renamed)
                .unwrap_err()
                .to_string()
                .contains("sep_conv_9x9")
        );
        let missing = text("0", "1").replacen("normal/input_2_1", "x", 1);
        assert!(
            Genotype::parse(&missing)
                .unwrap_err()
                .problem
                .contains("normal/input_2_1 is missing")
        );
    }

    #[test]
    fn a_missing_node_or_entry_is_an_error() {
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
    fn version_2_gives_operations_by_name_or_by_number() {
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
            ("1", "[\"reduce_n2_p0\"]", "this is not an edge into node 2"),
            ("1", "[7]", "normal_n2_p7 is missing"),
            ("1", "0", "expected a list"),
            ("1", "[]", "expected a list"),
        ] {
            let error = Genotype::parse(&text(one, switch)).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        }
    }

    #[test]
    fn masks_select_the_operations() {
        let one_of = |place: usize, count: usize| format!("{:?}", (0..count).map(|at| at == place).collect::<Vec<_>>());
        let cell = |name: &str| {
            format!(
                "\"{name}_n2_p0\": {}, \"{name}_n2_p1\": {}, \"{name}_n2_switch\": [true, true], \"{name}_n3_p0\": [], \
                 \"{name}_n3_p1\": {}, \"{name}_n3_p2\": [\"maxpool\"], \"{name}_n3_switch\": [false, true, true]",
                one_of(3, 7),
                one_of(2, 8),
                one_of(0, 7)
            )
        };
        let text = format!("{{{}, {}}}", cell("normal"), cell("reduce"));
        let genotype = Genotype::parse(&text).unwrap();
        let edges: Vec<_> = genotype
            .cells
            .normal
            .edges
            .iter()
            .map(|edge| (edge.operations[0].name(), edge.from, edge.to))
            .collect();
        let right = [
            ("sep_conv_3x3", 0, 2),
            ("skip_connect", 1, 2),
            ("max_pool_3x3", 1, 3),
            ("max_pool_3x3", 2, 3),
        ];
        assert_eq!(edges, right);
        for (from, to, says) in [
            (
                "[false, true, true]",
                "[true, true]",
                "normal_n3_switch: expected 3 values",
            ),
            ("[false, true, true]", "[false, false, false]", "at least one"),
            (&one_of(3, 7), &one_of(3, 9), "normal_n2_p0: expected an operation"),
            (
                &one_of(3, 7),
                "[true, true, false, false, false, false, false]",
                "normal_n2_p0: expected an operation",
            ),
            (&one_of(2, 8), &one_of(7, 8), "normal_n2_p1: expected an operation"),
        ] {
            let error = Genotype::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let inputs = |cell: &str| {
            let op = |entry| format!("\"{cell}/op_2_{entry}\": \"skip_connect\"");
            format!(
                "{}, {}, \"{cell}/input_2_0\": [True, False], \"{cell}/input_2_1\": [False, True]",
                op(0),
                op(1)
            )
        };
        let third = Genotype::parse(&format!("{{{}, {}}}", inputs("normal"), inputs("reduce"))).unwrap();
        let ends: Vec<usize> = third.cells.normal.edges.iter().map(|edge| edge.from).collect();
        assert_eq!(ends, [0, 1]);
    }
}
