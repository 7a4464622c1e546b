//! The target topology: how many edges each node keeps and how many operations each kept edge keeps, per
//! kind of cell.
//!
//! Published DA²S keeps 2 edges at every node and 1 operation on each (Tian et al. 2021, section 3.2); any
//! feasible target is allowed here, balanced or not.

use serde::{Deserialize, Serialize};

use crate::{CellGraph, CellKind, PerKind, Space, SpaceName};

/// Edges kept: the same at every node, or one number a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EdgeCount {
    /// The same at every node.
    Uniform(usize),
    /// One number a node, in order.
    PerNode(Vec<usize>),
    /// Every edge.
    All(All),
}

/// The word `"all"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// See [`EdgeCount::All`].
    All,
}

/// What the user writes for one kind of cell; what is absent comes from the general setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpec {
    /// Edges kept per node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<EdgeCount>,
    /// Operations kept per kept edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<usize>,
}

/// The target as written: `edges = 2`, or `normal = { edges = [2, 1, 3, 2] }`.
///
/// ```
/// use da2s_space::{EdgeCount, Space, TargetSpec};
///
/// let spec = TargetSpec { edges: EdgeCount::PerNode(vec![2, 1, 3, 2]), ..TargetSpec::default() };
/// let target = spec.resolve(&Space::darts(false)).unwrap();
/// assert_eq!(target.normal.edges, [2, 1, 3, 2]);
///
/// // Node 2 has two edges.
/// let spec = TargetSpec { edges: EdgeCount::Uniform(3), ..TargetSpec::default() };
/// assert!(spec.resolve(&Space::darts(false)).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetSpec {
    /// Edges kept per node, in both kinds of cell.
    pub edges: EdgeCount,
    /// Operations kept per kept edge, in both kinds of cell.
    pub operations: usize,
    /// Most multiply-adds of the final network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_multiply_adds: Option<u64>,
    /// Most parameters of the final network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parameters: Option<u64>,
    /// What differs in normal cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<KindSpec>,
    /// What differs in reduction cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction: Option<KindSpec>,
}

impl Default for TargetSpec {
    fn default() -> Self {
        Self {
            edges: EdgeCount::Uniform(2),
            operations: 1,
            max_multiply_adds: None,
            max_parameters: None,
            normal: None,
            reduction: None,
        }
    }
}

/// A target that fits its space, for one kind of cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTarget {
    /// Edges kept at each node, in order.
    pub edges: Vec<usize>,
    /// Operations kept on each kept edge.
    pub operations: usize,
}

/// A target that fits its space.
pub type Target = PerKind<KindTarget>;

/// Why a target is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// A list of edges that does not name every node.
    #[error(
        "target.{kind}.edges has {given} numbers, but a cell of this space has {nodes} nodes: give one number a node, or one for all"
    )]
    NodeCount {
        /// Kind of cell.
        kind: &'static str,
        /// Length of the list.
        given: usize,
        /// Nodes of the space.
        nodes: usize,
    },
    /// A node that cannot keep so many edges.
    #[error(
        "target.{kind}.edges keeps {given} edges at node {node}, which has {incoming} incoming edges: allowed are 1 to {incoming}"
    )]
    Edges {
        /// Kind of cell.
        kind: &'static str,
        /// Node, counted with the inputs, as in genotypes.
        node: usize,
        /// Edges asked for.
        given: usize,
        /// Edges that there are.
        incoming: usize,
    },
    /// A space whose topology cannot be chosen.
    #[error(
        "the architectures of NAS-Bench-201 keep every edge and one operation on each: set target.edges = \"all\" and \
         target.operations = 1"
    )]
    Fixed,
    /// An edge that cannot keep so many operations.
    #[error(
        "target.{kind}.operations keeps {given} operations an edge: allowed are 1 to {candidates}, the candidates of this space"
    )]
    Operations {
        /// Kind of cell.
        kind: &'static str,
        /// Operations asked for.
        given: usize,
        /// Candidates, `none` not counted.
        candidates: usize,
    },
}

impl TargetSpec {
    /// The target in full, checked against `space`.
    ///
    /// # Errors
    /// If a node cannot keep so many edges or an edge so many operations; the message has the allowed range.
    pub fn resolve(&self, space: &Space) -> Result<Target, TopologyError> {
        PerKind::try_new(space.kinds(), |kind| {
            let own = match kind {
                CellKind::Normal => &self.normal,
                CellKind::Reduction => &self.reduction,
            };
            self.resolve_kind(space, kind, own.as_ref())
        })
    }

    fn resolve_kind(&self, space: &Space, kind: CellKind, own: Option<&KindSpec>) -> Result<KindTarget, TopologyError> {
        let graph = space.graph;
        let kind = kind.name();
        let edges = match own.and_then(|own| own.edges.as_ref()).unwrap_or(&self.edges) {
            EdgeCount::Uniform(count) => vec![*count; graph.nodes],
            EdgeCount::PerNode(counts) => counts.clone(),
            EdgeCount::All(_) => graph.all_nodes().map(|node| graph.in_degree(node)).collect(),
        };
        if edges.len() != graph.nodes {
            return Err(TopologyError::NodeCount {
                kind,
                given: edges.len(),
                nodes: graph.nodes,
            });
        }
        let operations = own.and_then(|own| own.operations).unwrap_or(self.operations);
        let degrees = graph.all_nodes().map(|node| graph.in_degree(node));
        if space.name == SpaceName::NasBench201 && !(degrees.eq(edges.iter().copied()) && operations == 1) {
            return Err(TopologyError::Fixed);
        }
        for (node, &given) in graph.all_nodes().zip(&edges) {
            let incoming = graph.in_degree(node);
            if !(1..=incoming).contains(&given) {
                return Err(TopologyError::Edges {
                    kind,
                    node,
                    given,
                    incoming,
                });
            }
        }
        let candidates = space.kept_candidates();
        if !(1..=candidates).contains(&operations) {
            return Err(TopologyError::Operations {
                kind,
                given: operations,
                candidates,
            });
        }
        Ok(KindTarget { edges, operations })
    }
}

impl KindTarget {
    /// Edges kept at `node`.
    pub fn kept(&self, graph: CellGraph, node: usize) -> usize {
        self.edges[node - graph.inputs]
    }

    /// Whether the edges of `node` compete, that is, whether the node has a β.
    pub fn has_beta(&self, graph: CellGraph, node: usize) -> bool {
        self.kept(graph, node) < graph.in_degree(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> TargetSpec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_default_is_the_published_target() {
        let target = TargetSpec::default().resolve(&Space::darts(false)).unwrap();
        assert_eq!(
            target.normal,
            KindTarget {
                edges: vec![2; 4],
                operations: 1
            }
        );
        let graph = CellGraph::new(2, 4);
        assert!(!target.normal.has_beta(graph, 2) && target.normal.has_beta(graph, 3));
    }

    #[test]
    fn a_kind_overrides_what_it_names() {
        let target = spec("edges = 1\nnormal = { edges = [2, 1, 3, 2] }\nreduction = { operations = 2 }");
        let target = target.resolve(&Space::darts(false)).unwrap();
        assert_eq!(
            target.normal,
            KindTarget {
                edges: vec![2, 1, 3, 2],
                operations: 1
            }
        );
        assert_eq!(
            target.reduction,
            Some(KindTarget {
                edges: vec![1; 4],
                operations: 2
            })
        );
    }

    #[test]
    fn nas_bench_201_keeps_every_edge() {
        let space = Space::nas_bench_201();
        let target = spec("edges = \"all\"").resolve(&space).unwrap();
        assert_eq!((target.normal.edges, target.reduction), (vec![1, 2, 3], None));
        assert_eq!(spec("edges = 2").resolve(&space), Err(TopologyError::Fixed));
        assert_eq!(
            spec("edges = \"all\"\noperations = 2").resolve(&space),
            Err(TopologyError::Fixed)
        );
        assert!(toml::from_str::<TargetSpec>("edges = \"most\"").is_err());
    }

    #[test]
    fn impossible_targets_name_what_is_allowed() {
        let say = |text: &str, none| spec(text).resolve(&Space::darts(none)).unwrap_err().to_string();
        assert!(say("edges = 3", false).contains("node 2") && say("edges = 3", false).contains("1 to 2"));
        assert!(say("edges = 0", false).contains("allowed are 1 to 2"));
        assert!(say("edges = [2, 2]", false).contains("4 nodes"));
        // `none` can never be kept, so it does not count.
        assert!(say("operations = 8", true).contains("1 to 7"));
        assert!(toml::from_str::<TargetSpec>("edgse = 2").is_err());
    }
}
