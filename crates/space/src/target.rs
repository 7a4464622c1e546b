//! The target topology: how many edges each node keeps and how many operations each kept edge
//! keeps, per kind of cell.
//!
//! Published DA²S keeps 2 edges at every node and 1 operation on each (Tian et al. 2021, section
//! 3.2); any feasible target is allowed here, balanced or not.

use std::path::PathBuf;

use da2s_settings::{Allowed, ByteCount, COUNT_OR_0, FROM_1, FieldKind, Milliseconds, Setting, settings, whole, words};
use serde::{Deserialize, Serialize};

use crate::{CellGraph, CellKind, Operation, PerKind, Space, SpaceName, TopologyError};

/// How many edges stay: the same number at every node, or one number per node. In a chain, how many
/// layers of each stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EdgeCount {
    /// The same at every node.
    Uniform(usize),
    /// One number per node, in order.
    PerNode(Vec<usize>),
    /// Every edge.
    All(All),
}

words! {
    /// The word `"all"`.
    #[strum(serialize_all = "lowercase")]
    pub enum All {
        /// See [`EdgeCount::All`].
        All,
    }
}

impl EdgeCount {
    const ALLOWED: &[Allowed] = &[
        FROM_1,
        Allowed::List {
            item: &FROM_1,
            least: 1,
            distinct: false,
        },
        All::KIND.value(),
    ];
}

impl Setting for EdgeCount {
    const KIND: FieldKind = FieldKind::Value(Allowed::AnyOf(Self::ALLOWED));
}

settings! {
    /// What differs in one kind of cell. What is unset is as in `[target]`.
    #[derive(Eq)]
    pub struct KindSpec {
        /// Edges that each node keeps.
        edges: Option<EdgeCount> = None;
        /// Operations that each kept edge keeps.
        operations: Option<usize> = None, in whole(1..=8);
    }
}

settings! {
    /// The target topology: what the search keeps.
    pub struct TargetSpec {
        /// Edges to keep at every node, or one number for each node.
        ///
        /// For example `2` or `[1, 2, 1, 3]`.
        edges: EdgeCount = EdgeCount::Uniform(2), named "edges";
        /// Layers to keep in every stage of the spaces `mobile` and `plain`, or one number for each
        /// stage; unset keeps all.
        ///
        /// For example `2` or `[2, 3, 4, 1]`. The first layer of a stage always stays and is
        /// counted; a stage of several layers must keep at least 2. Not with the candidate `skip`,
        /// which also decides how many layers stay.
        depth: Option<EdgeCount> = None, named "depth";
        /// Operations to keep on every kept edge.
        operations: usize = 1, in whole(1..=8), named "operations";
        /// Maximum number of skip connections of a normal cell; unset allows any number.
        ///
        /// P-DARTS keeps 2. The weakest ones are replaced by the next best operation or edge. Not
        /// with `search.drop_below`.
        most_skips: Option<usize> = None, in COUNT_OR_0;
        /// Maximum multiply-adds of the final network, for one image.
        max_multiply_adds: Option<u64> = None, in FROM_1, named "max_multiply_adds";
        /// Maximum number of parameters of the final network.
        max_parameters: Option<u64> = None, in FROM_1, named "max_parameters";
        /// Maximum bytes of the weights of the final network, stored in `target.precision`.
        ///
        /// For example `"500KB"` or `500000`.
        max_size_bytes: Option<ByteCount> = None, named "max_size";
        /// Maximum bytes of the activations of the final network at batch 1, stored in
        /// `target.precision`.
        ///
        /// For example `"256KB"` or `256000`.
        max_ram_bytes: Option<ByteCount> = None, named "max_ram";
        /// Maximum latency of the final network at batch 1, by `target.latency_table`.
        ///
        /// For example `"5ms"` or `5`.
        max_latency_ms: Option<Milliseconds> = None, named "max_latency";
        /// Table of the latencies of blocks, as `da2s profile` writes it.
        latency_table: Option<PathBuf> = None, named "latency_table";
        /// Number format of the deployed network, for `target.max_size_bytes` and
        /// `target.max_ram_bytes`.
        precision: Precision = Precision::Float32, named "precision";
        /// What differs in normal cells.
        normal: Option<KindSpec> = None;
        /// What differs in reduction cells.
        reduction: Option<KindSpec> = None;
    }
}

words! {
    /// The numbers in which a network is deployed.
    #[strum(serialize_all = "lowercase")]
    pub enum Precision {
        /// Four bytes for each weight and activation.
        Float32,
        /// One byte for each weight and activation.
        Int8,
    }
}

impl Precision {
    /// Bytes of a number.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Float32 => 4,
            Self::Int8 => 1,
        }
    }
}

/// A target that fits its space, for one kind of cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTarget {
    /// Number of edges kept in each group of the graph, in order.
    pub edges: Vec<usize>,
    /// Operations kept on each kept edge.
    pub operations: usize,
    /// Maximum number of edges that keep a skip connection; `None` allows any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_skips: Option<usize>,
}

/// A target that fits its space.
pub type Target = PerKind<KindTarget>;

impl TargetSpec {
    /// The same topology without limits on the cost of its network.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        Self {
            max_multiply_adds: None,
            max_parameters: None,
            max_size_bytes: None,
            max_ram_bytes: None,
            max_latency_ms: None,
            latency_table: None,
            ..self.clone()
        }
    }

    /// The complete target, checked against `space`.
    ///
    /// # Errors
    /// If a node cannot keep this many edges or an edge this many operations; the message contains
    /// the allowed range.
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
        let asked = own.and_then(|own| own.edges.as_ref()).unwrap_or(&self.edges);
        let edges = match space.name {
            SpaceName::Mobile | SpaceName::Plain => {
                let declared = self
                    .depth
                    .as_ref()
                    .is_some_and(|depth| !matches!(depth, EdgeCount::All(_)));
                if declared && space.operations.contains(&Operation::Skip) {
                    return Err(TopologyError::DepthAndSkip);
                }
                self.layers(graph, asked)?
            }
            SpaceName::Darts | SpaceName::NasBench201 if self.depth.is_some() => return Err(TopologyError::NoLayers),
            SpaceName::Darts | SpaceName::NasBench201 => match asked {
                EdgeCount::Uniform(count) => vec![*count; graph.nodes],
                EdgeCount::PerNode(counts) => counts.clone(),
                EdgeCount::All(_) => graph.groups().map(|group| graph.size_of(group)).collect(),
            },
        };
        if edges.len() != graph.groups().len() {
            return Err(TopologyError::NodeCount {
                kind,
                given: edges.len(),
                nodes: graph.nodes,
            });
        }
        let operations = own.and_then(|own| own.operations).unwrap_or(self.operations);
        let degrees = graph.groups().map(|group| graph.size_of(group));
        if space.name.keeps_every_edge() && !(degrees.eq(edges.iter().copied()) && operations == 1) {
            return Err(TopologyError::Fixed);
        }
        for (group, &given) in graph.groups().zip(&edges) {
            let incoming = graph.size_of(group);
            if !(1..=incoming).contains(&given) {
                return Err(TopologyError::Edges {
                    kind,
                    node: graph.inputs + group,
                    given,
                    incoming,
                });
            }
        }
        if operations > 1 && space.operations.contains(&Operation::Skip) {
            return Err(TopologyError::SkipIsNotAlone { given: operations });
        }
        let candidates = space.kept_candidates();
        if !(1..=candidates).contains(&operations) {
            return Err(TopologyError::Operations {
                kind,
                given: operations,
                candidates,
            });
        }
        let most_skips = self.most_skips.filter(|_| kind == CellKind::Normal.name());
        let has_skip = space.operations.contains(&Operation::SkipConnect);
        let others = candidates - usize::from(has_skip && space.may_keep(Operation::SkipConnect));
        if most_skips.is_some() && operations > others {
            return Err(TopologyError::OnlySkips { operations, others });
        }
        Ok(KindTarget {
            edges,
            operations,
            most_skips,
        })
    }

    /// The number of layers that each group of a chain keeps.
    fn layers(&self, graph: CellGraph, asked: &EdgeCount) -> Result<Vec<usize>, TopologyError> {
        if !matches!(asked, EdgeCount::All(_)) {
            return Err(TopologyError::Layers);
        }
        let stages: Vec<usize> = graph.stages().collect();
        let depths = match &self.depth {
            None | Some(EdgeCount::All(_)) => stages.clone(),
            // A stage with one layer keeps it.
            Some(EdgeCount::Uniform(depth)) => {
                let of_stage = |&layers: &usize| if layers == 1 { 1 } else { *depth };
                stages.iter().map(of_stage).collect()
            }
            Some(EdgeCount::PerNode(depths)) => depths.clone(),
        };
        if depths.len() != stages.len() {
            return Err(TopologyError::StageCount {
                given: depths.len(),
                stages: stages.len(),
            });
        }
        let mut groups = Vec::new();
        for (index, (given, layers)) in depths.into_iter().zip(stages).enumerate() {
            let least = layers.min(2);
            if !(least..=layers).contains(&given) {
                return Err(TopologyError::Depth {
                    stage: index + 1,
                    given,
                    least,
                    layers,
                });
            }
            groups.push(1);
            groups.extend((layers > 1).then_some(given - 1));
        }
        Ok(groups)
    }
}

impl KindTarget {
    /// The target that keeps every edge.
    pub fn whole(graph: CellGraph, operations: usize) -> Self {
        Self {
            edges: graph.groups().map(|group| graph.size_of(group)).collect(),
            operations,
            most_skips: None,
        }
    }

    /// Number of edges kept in a group.
    pub fn kept(&self, group: usize) -> usize {
        self.edges[group]
    }

    /// Whether the edges of a group compete, that is, whether they have a β.
    pub fn has_beta(&self, graph: CellGraph, group: usize) -> bool {
        self.kept(group) < graph.size_of(group)
    }

    /// The number of layers that each stage of a chain keeps; empty in a cell of nodes.
    pub fn depth(&self, graph: CellGraph) -> Vec<usize> {
        let mut groups = self.edges.iter();
        let stages = graph.stages();
        stages.map(|layers| groups.by_ref().take(layers.min(2)).sum()).collect()
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
                operations: 1,
                most_skips: None,
            }
        );
        let graph = CellGraph::new(2, 4);
        assert!(!target.normal.has_beta(graph, 0) && target.normal.has_beta(graph, 1));
    }

    #[test]
    fn a_depth_is_for_the_layers_that_may_vanish() {
        let space = Space::mobile([3, 1, 4], vec![crate::Operation::MbConvK3E1]);
        let edges = |text: &str| {
            let target = spec(text).resolve(&space);
            target.map(|target| (target.normal.edges.clone(), target.normal.depth(space.graph)))
        };
        let all = "edges = \"all\"\n";
        assert_eq!(edges(all), Ok((vec![1, 2, 1, 1, 3], vec![3, 1, 4])));
        assert_eq!(
            edges(&format!("{all}depth = 2")),
            Ok((vec![1, 1, 1, 1, 1], vec![2, 1, 2]))
        );
        let own = format!("{all}depth = [3, 1, 2]");
        assert_eq!(edges(&own), Ok((vec![1, 2, 1, 1, 1], vec![3, 1, 2])));
        for (text, says) in [
            ("depth = [2, 1]", "3 stages"),
            ("depth = [1, 1, 2]", "allowed are 2 to 3"),
            ("depth = [2, 2, 2]", "allowed are 1 to 1"),
            ("depth = 5", "allowed are 2 to 3"),
        ] {
            let error = edges(&format!("{all}{text}")).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(edges("edges = 2"), Err(TopologyError::Layers));
        let skip = Space::mobile([3, 1], vec![Operation::Skip, Operation::MbConvK3E1]);
        let with_skip = |text: &str| spec(&format!("{all}{text}")).resolve(&skip);
        assert_eq!(with_skip("depth = 2"), Err(TopologyError::DepthAndSkip));
        assert_eq!(with_skip("depth = \"all\"").unwrap().normal.edges, [1, 2, 1]);
        // Beside another operation, skip would not make a layer vanish.
        let two = Err(TopologyError::SkipIsNotAlone { given: 2 });
        assert_eq!(with_skip("operations = 2"), two);
        assert_eq!(with_skip("normal = { operations = 2 }"), two);
        let darts = spec("depth = 2").resolve(&Space::darts(false));
        assert_eq!(darts, Err(TopologyError::NoLayers));
    }

    #[test]
    fn a_kind_overrides_what_it_names() {
        let target = spec("edges = 1\nnormal = { edges = [2, 1, 3, 2] }\nreduction = { operations = 2 }");
        let target = target.resolve(&Space::darts(false)).unwrap();
        assert_eq!(
            target.normal,
            KindTarget {
                edges: vec![2, 1, 3, 2],
                operations: 1,
                most_skips: None,
            }
        );
        assert_eq!(
            target.reduction,
            Some(KindTarget {
                edges: vec![1; 4],
                operations: 2,
                most_skips: None,
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
        assert!(say("operations = 7\nmost_skips = 2", false).contains("6 without the skip connection"));
        let target = spec("most_skips = 2").resolve(&Space::darts(true)).unwrap();
        assert_eq!(target.normal.most_skips, Some(2));
        assert_eq!(target.reduction.and_then(|target| target.most_skips), None);
        assert!(toml::from_str::<TargetSpec>("edgse = 2").is_err());
    }
}
