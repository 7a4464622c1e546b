//! Reads the genotypes of DARTS and of code derived from it, from printed literals.
//!
//! An entry is an operation and the node that it reads, `('sep_conv_3x3', 0)`, with two entries per
//! node. FairDARTS also names the entry's own node, `('sep_conv_3x3', 2, 0)`, and pt.darts and
//! AutoDL put the entries of each node in a separate list. GDAS adds the weight of the operation,
//! `('sep_conv_3x3', 0, 0.31)`, which has no meaning for the genotype and is dropped.
//! `normal_nodes=[1, 2]`, an extension of da2s, gives the number of entries of each node if it is
//! not two. Fields are given by name, or in the order of DARTS' named tuple.

use super::literal::{Field, Kind, Value};
use super::mistake::Mistake;
use super::{CellGenotype, Genotype, INPUTS, MOST_NODES};
use crate::{Operation, PerKind};

/// The largest index of a node.
const LAST_NODE: usize = MOST_NODES - 1;
/// Maximum number of entries of a node: every operation from every earlier node.
const MOST_AT_NODE: usize = LAST_NODE * Operation::ALL.len();
/// Maximum number of entries of a cell.
const MOST_ENTRIES: usize = MOST_NODES * LAST_NODE / 2 * Operation::ALL.len();
/// The fields of DARTS' named tuple, in their order.
const FIELDS: [&str; 4] = ["normal", "normal_concat", "reduce", "reduce_concat"];

/// The entries of a cell, node by node.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) entries: Vec<(Operation, usize)>,
    /// The offset of each entry in the text.
    pub(super) at: Vec<usize>,
    /// The number of entries of each node, if the text contains it.
    counts: Option<Vec<usize>>,
}

#[derive(Default)]
struct CellText {
    entries: Option<Entries>,
    concat: Option<Vec<usize>>,
    nodes: Option<Vec<usize>>,
}

/// The genotype with the fields of a call or a dictionary that ends at `end`; see
/// [`Genotype::parse`].
pub(super) fn read(fields: &[Field<'_>], end: usize) -> Result<Genotype, Mistake> {
    let (mut normal, mut reduce) = (CellText::default(), CellText::default());
    for (place, field) in fields.iter().enumerate() {
        let (at, value) = (field.at, &field.value);
        let key = match field.key {
            "" => FIELDS.get(place).copied().unwrap_or_default(),
            key => key,
        };
        let repeated = match key {
            "normal" => normal.entries.replace(entries(value)?).is_some(),
            "normal_concat" => normal.concat.replace(numbers(value, LAST_NODE)?).is_some(),
            "normal_nodes" => normal.nodes.replace(numbers(value, MOST_AT_NODE)?).is_some(),
            "reduce" => reduce.entries.replace(entries(value)?).is_some(),
            "reduce_concat" => reduce.concat.replace(numbers(value, LAST_NODE)?).is_some(),
            "reduce_nodes" => reduce.nodes.replace(numbers(value, MOST_AT_NODE)?).is_some(),
            // Fields of larger tuples that this genotype does not use.
            _ if value.kind == Kind::Null => false,
            other => {
                let known = "normal, normal_concat, normal_nodes, reduce, reduce_concat, reduce_nodes";
                return Err(Mistake::new(at, format!("unknown field {other}; known are {known}")));
            }
        };
        if repeated {
            return Err(Mistake::new(at, format!("the field {key} appears twice")));
        }
    }
    Ok(Genotype {
        cells: PerKind {
            normal: cell("normal", normal, end)?,
            reduction: Some(cell("reduce", reduce, end)?),
        },
    })
}

fn cell(name: &str, cell: CellText, end: usize) -> Result<CellGenotype, Mistake> {
    let missing = |field: &str| Mistake::new(end, format!("the field {field} is missing"));
    let Entries { entries, at, counts } = cell.entries.ok_or_else(|| missing(name))?;
    let concat = cell.concat.ok_or_else(|| missing(&format!("{name}_concat")))?;
    let start = at.first().copied().unwrap_or(end);
    let counts = match (cell.nodes, counts) {
        (Some(counts), None) => counts,
        (Some(counts), Some(own)) if counts != own => {
            let problem = format!("{name}_nodes says {counts:?}, and the entries themselves {own:?}");
            return Err(Mistake::new(start, problem));
        }
        (_, Some(own)) => own,
        (None, None) if entries.len() % 2 == 0 => vec![2; entries.len() / 2],
        (None, None) => {
            let count = entries.len();
            let problem = format!("{name} has {count} entries, not two per node: say how many with {name}_nodes=[…]");
            return Err(Mistake::new(start, problem));
        }
    };
    CellGenotype::from_entries(&entries, &counts, concat).map_err(|wrong| {
        let at = wrong.entry.and_then(|entry| at.get(entry).copied());
        Mistake::new(at.unwrap_or(start), format!("{name}: {}", wrong.problem))
    })
}

/// `[2, 3, 4, 5]`, `range(2, 6)` or `range(4)`: numbers up to `most`, at most one per node.
fn numbers(value: &Value<'_>, most: usize) -> Result<Vec<usize>, Mistake> {
    if let Kind::Call(name, ends) = &value.kind
        && *name == "range"
    {
        let ends: Vec<usize> = ends
            .iter()
            .map(|end| number(&end.value, most + 1))
            .collect::<Result<_, _>>()?;
        return match ends[..] {
            [to] => Ok((0..to).collect()),
            [from, to] => Ok((from..to).collect()),
            _ => Err(Mistake::new(value.at, "expected range(FROM, TO)")),
        };
    }
    let items = value
        .list()
        .ok_or_else(|| Mistake::new(value.at, "expected a list of numbers, or range(…)"))?;
    if let Some(item) = items.get(MOST_NODES) {
        return Err(Mistake::new(item.at, format!("more than {MOST_NODES} items")));
    }
    items.iter().map(|item| number(item, most)).collect()
}

/// An integer from 0 to `most`.
fn number(value: &Value<'_>, most: usize) -> Result<usize, Mistake> {
    match value.whole() {
        Some(number) if number <= most => Ok(number),
        Some(number) => Err(Mistake::new(value.at, format!("{number} is too large: at most {most}"))),
        None => Err(Mistake::new(value.at, "expected a whole number from 0")),
    }
}

/// `[('sep_conv_3x3', 0), …]`, in any supported notation.
fn entries(value: &Value<'_>) -> Result<Entries, Mistake> {
    let items = value
        .list()
        .ok_or_else(|| Mistake::new(value.at, "expected a list of entries, as [('skip_connect', 0), …]"))?;
    require_weights(items)?;
    let grouped = items
        .first()
        .and_then(Value::list)
        .and_then(<[_]>::first)
        .is_some_and(|first| first.list().is_some());
    if grouped {
        return grouped_entries(items);
    }
    let mut all = Vec::new();
    for item in items {
        all.push((item.at, entry(item)?));
        if all.len() > MOST_ENTRIES {
            return Err(Mistake::new(item.at, format!("more than {MOST_ENTRIES} entries")));
        }
    }
    let named = all.iter().filter(|(_, entry)| entry.node.is_some()).count();
    if named > 0 && named < all.len() {
        let problem = "some entries name the node that they belong to, and others do not";
        return Err(Mistake::new(value.at, problem));
    }
    // The sort is stable: the order within a node stays.
    all.sort_by_key(|(_, entry)| entry.node);
    let last = all.last().and_then(|(_, entry)| entry.node);
    let counts = last.map(|last| {
        let at = |node| all.iter().filter(|(_, entry)| entry.node == Some(node)).count();
        (INPUTS..=last).map(at).collect()
    });
    Ok(Entries {
        at: all.iter().map(|&(at, _)| at).collect(),
        entries: all
            .into_iter()
            .map(|(_, entry)| (entry.operation, entry.from))
            .collect(),
        counts,
    })
}

/// The third value of an entry, such as `0.31`, is a weight. It may instead be a node of FairDARTS
/// if all third values are whole, such as `0.0`, and no second value is an input of the cell: then
/// it is refused. Entries with weights always read an input, at least at the first node.
fn require_weights(items: &[Value<'_>]) -> Result<(), Mistake> {
    let nested = items.iter().filter_map(Value::list).flatten();
    let mut first = None;
    for item in items.iter().chain(nested) {
        if let Some([_, second, third]) = item.list()
            && let Kind::Fraction(weight) = third.kind
        {
            if weight.fract() != 0.0 || second.whole().is_some_and(|second| second < INPUTS) {
                return Ok(());
            }
            first = first.or(Some(third.at));
        }
    }
    first.map_or(Ok(()), |at| {
        let problem = "this may be a weight or a node: write nodes as whole numbers, and leave out weights";
        Err(Mistake::new(at, problem))
    })
}

/// A list of entries for each node.
fn grouped_entries(nodes: &[Value<'_>]) -> Result<Entries, Mistake> {
    let mut all = Entries::default();
    let mut counts = Vec::new();
    for node in nodes {
        let own = node
            .list()
            .ok_or_else(|| Mistake::new(node.at, "expected the entries of a node, as for the other nodes"))?;
        if counts.len() == MOST_NODES || all.entries.len() + own.len() > MOST_ENTRIES {
            return Err(Mistake::new(
                node.at,
                format!("more than {MOST_NODES} nodes or {MOST_ENTRIES} entries"),
            ));
        }
        counts.push(own.len());
        for item in own {
            let entry = entry(item)?;
            if entry.node.is_some_and(|node| node + 1 != counts.len() + INPUTS) {
                return Err(Mistake::new(
                    item.at,
                    "the entry names a node, but is in the list of another node",
                ));
            }
            all.at.push(item.at);
            all.entries.push((entry.operation, entry.from));
        }
    }
    all.counts = Some(counts);
    Ok(all)
}

struct Entry {
    operation: Operation,
    /// The node that it belongs to, if it is given.
    node: Option<usize>,
    from: usize,
}

/// `('sep_conv_3x3', 0)`, or `('sep_conv_3x3', 2, 0)` with its own node before the node that it
/// reads, or `('sep_conv_3x3', 0, 0.31)` with a weight.
fn entry(value: &Value<'_>) -> Result<Entry, Mistake> {
    let form = || {
        Mistake::new(
            value.at,
            "expected an entry, as ('skip_connect', 0), or with its node, ('skip_connect', 2, 0)",
        )
    };
    let (name, node, from) = match value.list() {
        Some([name, from]) => (name, None, from),
        Some([name, from, weight]) if matches!(weight.kind, Kind::Fraction(_)) => (name, None, from),
        Some([name, node, from]) => (name, Some(node), from),
        _ => return Err(form()),
    };
    let (Kind::Text(text) | Kind::Name(text)) = name.kind else {
        return Err(form());
    };
    let operation = Operation::from_name(text).ok_or_else(|| {
        let known = Operation::ALL.map(Operation::name).join(", ");
        Mistake::new(name.at, format!("unknown operation {text:.40}; known are {known}"))
    })?;
    let from = number(from, LAST_NODE)?;
    let node = match node {
        Some(node) => {
            let to = number(node, LAST_NODE)?;
            if to < INPUTS {
                return Err(Mistake::new(
                    node.at,
                    format!("node {to} is an input of the cell, and has no entries"),
                ));
            }
            Some(to)
        }
        None => None,
    };
    Ok(Entry { operation, node, from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeptEdge;
    use proptest::prelude::*;

    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";

    #[test]
    fn the_text_of_darts_is_read_and_written_back() {
        let genotype = Genotype::parse(DARTS_V2).unwrap();
        assert_eq!(genotype.to_string(), DARTS_V2);
        assert_eq!(genotype.cells.normal.edges[4].from, 1);
        let ranged = DARTS_V2.replace("[2, 3, 4, 5]", "range(2, 6)").replace('\'', "\"");
        assert_eq!(Genotype::parse(&ranged).unwrap(), genotype);
    }

    #[test]
    fn numbers_of_entries_other_than_two_are_written_as_a_list() {
        let text = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_3x3', 1)], \
            normal_concat=[2, 3], normal_nodes=[1, 2], reduce=[('skip_connect', 0), ('max_pool_3x3', 1)], \
            reduce_concat=[2, 3], reduce_nodes=[1, 1])";
        let genotype = Genotype::parse(text).unwrap();
        assert_eq!(
            genotype.cells.normal.edges[1].operations,
            [Operation::SepConv3x3, Operation::DilConv3x3]
        );
        assert_eq!(genotype.to_string(), text);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = Genotype::parse(&DARTS_V2.replace("dil_conv_3x3", "dil_conv_9x9")).unwrap_err();
        assert!(
            error.problem.contains("dil_conv_9x9") && error.problem.contains("sep_conv_5x5"),
            "{error}"
        );
        assert!(DARTS_V2[error.at..].starts_with("'dil_conv_3x3"));
        assert!(error.to_string().contains("('dil_conv_9x9', 2)], nor…`"), "{error}");
        for (from, to, say) in [
            ("normal_concat=[2, 3, 4, 5], ", "", "normal_concat is missing"),
            ("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 5)]", "cannot read node 5"),
            (", ('dil_conv_3x3', 2)]", "]", "normal_nodes"),
            ("reduce_concat", "reduce_cat", "unknown field reduce_cat"),
            ("2)]", "99999999999999999999)]", "expected a whole number"),
            ("[2, 3, 4, 5]", "range(0, 60)", "must name nodes from 2 to 5"),
            ("[2, 3, 4, 5]", "range(0, 65)", "65 is too large: at most 64"),
            ("[2, 3, 4, 5]", "[64]", "64 is too large: at most 63"),
            ("2)]", "64)]", "64 is too large: at most 63"),
        ] {
            let error = Genotype::parse(&DARTS_V2.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(say), "{error}");
        }
    }

    #[test]
    fn graphs_that_cannot_run_are_refused() {
        let cell = |entries: &str, concat: &str, nodes: &str| {
            format!(
                "Genotype(normal=[{entries}], normal_concat={concat}, normal_nodes={nodes}, \
                 reduce=[('skip_connect', 0)], reduce_concat=[2], reduce_nodes=[1])"
            )
        };
        let skip = "('skip_connect', 0)";
        for (text, say) in [
            (cell("", "[0]", "[]"), "must name nodes"),
            (cell(skip, "[1, 2]", "[1]"), "must name nodes from 2 to 2"),
            (cell(skip, "[2, 3]", "[1, 0]"), "node 3 is used"),
            (cell("('skip_connect', 2)", "[3]", "[0, 1]"), "node 2 is used"),
            (cell(skip, "[2, 2]", "[1]"), "twice"),
            (
                cell(
                    &format!("{skip}, ('max_pool_3x3', 1), ('sep_conv_3x3', 0)"),
                    "[2]",
                    "[3]",
                ),
                "entries of one edge must follow one another: those from node 0 to node 2",
            ),
        ] {
            let error = Genotype::parse(&text).unwrap_err();
            assert!(error.to_string().contains(say), "{text}: {error}");
        }
    }

    /// A cell of `nodes` nodes, each of which keeps the operations from every earlier node.
    fn dense(nodes: usize, operations: &[Operation]) -> Genotype {
        let edge = |from, to| KeptEdge {
            from,
            to,
            operations: operations.to_vec(),
        };
        let cell = CellGenotype {
            edges: (2..2 + nodes)
                .flat_map(|to| (0..to).map(move |from| (from, to)))
                .map(|(from, to)| edge(from, to))
                .collect(),
            concat: (2..2 + nodes).collect(),
            stages: Vec::new(),
        };
        Genotype {
            cells: PerKind {
                normal: cell.clone(),
                reduction: Some(cell),
            },
        }
    }

    #[test]
    fn a_cell_has_at_most_as_many_nodes_as_a_report_can_draw() {
        let skip = [Operation::SkipConnect];
        let largest = dense(62, &skip);
        assert_eq!(largest.cells.normal.nodes(), 62);
        assert_eq!(Genotype::parse(&largest.to_string()).unwrap(), largest);
        // The largest space, with the maximum number of kept operations.
        let full = dense(32, &Operation::ALL[1..9]);
        assert_eq!(Genotype::parse(&full.to_string()).unwrap(), full);

        let concat = "concat=[2], ";
        let entries = "('skip_connect', 0), ".repeat(63);
        let text = format!(
            "Genotype(normal=[{entries}], normal_{concat}normal_nodes={ones:?}, reduce=[], reduce_{concat})",
            ones = vec![1; 63]
        );
        let error = Genotype::parse(&text).unwrap_err();
        assert!(
            error.problem.contains("normal: 63 nodes, but a cell has at most 62"),
            "{error}"
        );
        let pairs = "(0, 3), (1, 3), ".repeat(63);
        let error = Genotype::parse(&format!("(({}), ((0, 3), (1, 3)))", pairs.trim_end_matches(", "))).unwrap_err();
        assert!(error.problem.contains("63 nodes, but a cell has at most 62"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = Genotype::parse(&text);
        }

        #[test]
        fn no_damage_makes_it_panic(cut in 0usize..400, byte in any::<char>()) {
            let mut text: Vec<char> = DARTS_V2.chars().collect();
            let at = cut.min(text.len() - 1);
            text[at] = byte;
            let _ = Genotype::parse(&text.iter().collect::<String>());
            let _ = Genotype::parse(&text[..at].iter().collect::<String>());
        }
    }
}
