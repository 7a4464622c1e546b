//! The genotype: the kept edges and operations of each kind of cell, and its text form.
//!
//! The text is that of DARTS: `Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6),
//! reduce=[…], reduce_concat=…)`, with the entries in the order of the nodes, two per node. If some
//! node keeps another number of entries, `normal_nodes=[1, 2, 1, 3]` follows and gives the number
//! for each node; several operations on one edge are consecutive entries with the same start.
//! Architectures of NAS-Bench-201 have a form of their own, and so do chains of layers;
//! `forms.rs` has those of other tools. `find.rs` finds genotypes in larger texts, and `literal.rs`
//! reads their literals.

mod darts_text;
mod find;
mod forms;
mod literal;
mod mistake;
mod mobile_text;
mod nas_bench_201_text;
mod naslib_text;
mod nni_text;
mod plain;
mod published;

pub use forms::{FormError, GenotypeForm};
pub use mistake::GenotypeError;
pub use published::PublishedGenotype;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CellGraph, CellKind, Operation, PerKind, SpaceName};

/// A kept edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEdge {
    /// The node that it reads.
    pub from: usize,
    /// The node to which it adds.
    pub to: usize,
    /// Its kept operations, strongest first.
    pub operations: Vec<Operation>,
}

/// The discretized cell of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellGenotype {
    /// The kept edges, ordered by their end; within a node strongest first.
    pub edges: Vec<KeptEdge>,
    /// The nodes whose concatenation is the cell's output.
    pub concat: Vec<usize>,
    /// Number of layers in each stage of a chain, including removed ones; empty in a cell of nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<usize>,
}

/// A discretized architecture. One without reduction cells is an architecture of NAS-Bench-201 or,
/// if it has stages, of the space `mobile` or `plain`.
///
/// ```
/// use da2s_space::{Genotype, Operation};
///
/// let text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|\
///     +|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|";
/// let genotype = Genotype::parse(text).unwrap();
/// assert_eq!(genotype.cells.normal.edges[0].operations, [Operation::NorConv3x3]);
/// assert_eq!(genotype.to_string(), text);
/// assert!(Genotype::parse("|sep_conv_9x9~0|").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Genotype {
    /// The cells of every kind.
    pub cells: PerKind<CellGenotype>,
}

/// Why entries do not form a cell, and the index of the entry if a single one is invalid.
#[derive(Debug)]
struct WrongEntry {
    entry: Option<usize>,
    problem: String,
}

impl From<String> for WrongEntry {
    fn from(problem: String) -> Self {
        Self { entry: None, problem }
    }
}

/// Number of entries per node in the text of DARTS.
const DARTS_ENTRIES: usize = 2;
/// Number of inputs of a cell in genotypes.
const INPUTS: usize = 2;
/// Maximum number of nodes of a cell, including its inputs. A report cannot draw more, so a larger
/// genotype is refused before it is trained.
const MOST_NODES: usize = 64;

impl Genotype {
    /// The space that it belongs to.
    pub fn space(&self) -> SpaceName {
        match self.cells.reduction {
            Some(_) => SpaceName::Darts,
            None if self.cells.normal.stages.is_empty() => SpaceName::NasBench201,
            None => {
                let mut operations = self.cells.normal.edges.iter().flat_map(|edge| &edge.operations);
                // All operations of a chain are of the same space, so one is enough to tell which.
                match operations.next() {
                    Some(&operation) if SpaceName::Plain.has(operation) => SpaceName::Plain,
                    _ => SpaceName::Mobile,
                }
            }
        }
    }

    /// The cell of one kind.
    pub fn kind(&self, kind: CellKind) -> &CellGenotype {
        self.cells.kind(kind)
    }
}

impl CellGenotype {
    /// Number of edges that keep `operation`.
    pub fn count(&self, operation: Operation) -> usize {
        let keeps = |edge: &&KeptEdge| edge.operations.contains(&operation);
        self.edges.iter().filter(keeps).count()
    }

    /// Number of layers that each stage of a chain keeps; empty in a cell of nodes. A layer that
    /// keeps `skip` alone is not kept.
    pub fn depth(&self) -> Vec<usize> {
        let mut first = 0;
        let stays = |edge: &&KeptEdge| edge.operations.iter().any(|&operation| operation != Operation::Skip);
        let kept = |layers: std::ops::Range<usize>| {
            let of_stage = self.edges.iter().filter(|edge| layers.contains(&edge.from));
            of_stage.filter(stays).count()
        };
        let stages = self.stages.iter().map(|layers| {
            let stage = first..first + layers;
            first = stage.end;
            kept(stage)
        });
        stages.collect()
    }

    /// Number of nodes, without the inputs.
    pub fn nodes(&self) -> usize {
        let last = self
            .edges
            .iter()
            .map(|edge| edge.to)
            .chain(self.concat.iter().copied())
            .max();
        last.map_or(0, |last| (last + 1).saturating_sub(INPUTS))
    }

    /// The cell with the given `entries`, node by node; `counts` gives the number of entries of
    /// each node. A cell has at most [`MOST_NODES`]. An operation may occur twice on an edge, as in
    /// NASNet, and is then computed twice.
    fn from_entries(entries: &[(Operation, usize)], counts: &[usize], concat: Vec<usize>) -> Result<Self, WrongEntry> {
        if counts.len() > MOST_NODES - INPUTS {
            let (found, most) = (counts.len(), MOST_NODES - INPUTS);
            return Err(format!("{found} nodes, but a cell has at most {most}").into());
        }
        if counts.iter().sum::<usize>() != entries.len() {
            return Err(format!("{} entries cannot be spread over nodes as {counts:?}", entries.len()).into());
        }
        let mut edges: Vec<KeptEdge> = Vec::new();
        let mut entries = entries.iter().copied().enumerate();
        for (node, &count) in counts.iter().enumerate() {
            let to = node + INPUTS;
            let first = edges.len();
            for (place, (operation, from)) in entries.by_ref().take(count) {
                let wrong = |problem: String| WrongEntry {
                    entry: Some(place),
                    problem,
                };
                if from >= to {
                    return Err(wrong(format!("node {to} cannot read node {from}: only earlier nodes")));
                }
                if operation == Operation::None {
                    return Err(wrong("the operation none is never kept".to_owned()));
                }
                let known = edges[first..].iter().position(|edge| edge.from == from);
                match known.map(|at| first + at) {
                    // Weights are numbered in the order of the entries: if operations were merged,
                    // they would get the weights of others.
                    Some(at) if at + 1 < edges.len() => {
                        return Err(wrong(format!(
                            "entries of one edge must follow one another: those from node {from} to node {to} do not"
                        )));
                    }
                    Some(at) => edges[at].operations.push(operation),
                    None => edges.push(KeptEdge {
                        from,
                        to,
                        operations: vec![operation],
                    }),
                }
            }
        }
        let last = counts.len() + INPUTS;
        if concat.is_empty() || concat.iter().any(|node| !(INPUTS..last).contains(node)) {
            return Err(format!(
                "the concatenation {concat:?} must name nodes from {INPUTS} to {}",
                last - 1
            )
            .into());
        }
        if concat.iter().collect::<BTreeSet<_>>().len() != concat.len() {
            return Err(format!("the concatenation {concat:?} names a node twice").into());
        }
        let fed = |node: usize| node < INPUTS || edges.iter().any(|edge| edge.to == node);
        let read = edges.iter().map(|edge| edge.from).chain(concat.iter().copied());
        if let Some(node) = read.into_iter().find(|&node| !fed(node)) {
            return Err(format!("node {node} is used, but nothing leads to it").into());
        }
        Ok(Self {
            edges,
            concat,
            stages: Vec::new(),
        })
    }

    fn entry_counts(&self) -> Vec<usize> {
        let graph = CellGraph::new(INPUTS, self.nodes());
        let at = |node| {
            self.edges
                .iter()
                .filter(|edge| edge.to == node)
                .map(|edge| edge.operations.len())
                .sum()
        };
        graph.all_nodes().map(at).collect()
    }
}

impl fmt::Display for Genotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reduction) = &self.cells.reduction else {
            return match self.space() {
                SpaceName::Mobile | SpaceName::Plain => mobile_text::write(&self.cells.normal, f),
                SpaceName::Darts | SpaceName::NasBench201 => nas_bench_201_text::write(&self.cells.normal, f),
            };
        };
        write!(f, "Genotype(")?;
        for (index, (name, cell)) in [("normal", &self.cells.normal), ("reduce", reduction)]
            .into_iter()
            .enumerate()
        {
            if index > 0 {
                write!(f, ", ")?;
            }
            let entry = |edge: &KeptEdge| {
                let one = |operation: &Operation| format!("('{operation}', {})", edge.from);
                edge.operations.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            let entries: Vec<String> = cell.edges.iter().map(entry).collect();
            write!(f, "{name}=[{}], {name}_concat={:?}", entries.join(", "), cell.concat)?;
            let counts = cell.entry_counts();
            if counts.iter().any(|&count| count != DARTS_ENTRIES) {
                write!(f, ", {name}_nodes={counts:?}")?;
            }
        }
        write!(f, ")")
    }
}
