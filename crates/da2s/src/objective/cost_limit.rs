//! A limit on the final network's cost, as a term of the search's loss: w · max(0, E[cost]/limit
//! − 1) for each limit.
//!
//! The expected cost is that of the final network under the mixture, as in Cai, Zhu, Han,
//! "ProxylessNAS", ICLR 2019, equation 10, with the weights of edges in addition to those of
//! operations: E = fixed + Σ_edges n_j q_ij · k Σ_o p_ij^o c_ij^o / Σ_o p_ij^o, where o are the
//! operations that may be kept, of which k will be, each completely: `none` saves nothing, and
//! gates that do not sum to 1 are weighed against each other. A hinge is an exact penalty: below
//! the limit it has no effect. Contract: differentiable in α and β through the mixture, and in
//! nothing else.

use burn::tensor::{Tensor, TensorData};

use crate::arch::{Mixture, Mixtures};
use crate::space::{PerKind, Space, Target};

/// The cost of one resource: a fixed part, and the cost of each operation on each edge, summed over
/// all cells of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CostTable {
    /// Stem, inputs of cells, classifier.
    pub fixed: f64,
    /// `[edges · operations]`.
    pub choices: PerKind<Vec<f64>>,
}

/// Limits on resources.
#[derive(Clone, Debug, PartialEq)]
pub struct CostLimit {
    weight: f64,
    /// 1 for each operation that may be kept, otherwise 0.
    may_stay: Vec<f32>,
    /// For each resource, as a fraction of its limit: the fixed part, and the cost of each choice
    /// on an edge of weight 1 without other operations.
    parts: Vec<(f64, PerKind<Vec<f32>>)>,
}

/// Smallest sum of an edge's weights by which to divide: below it the edge is not part of the
/// mixture.
const LEAST_SUM: f64 = 1e-12;

impl CostTable {
    /// The cost of the cheapest network of `target`.
    pub fn least(&self, space: &Space, target: &Target) -> f64 {
        let (graph, width) = (space.graph, space.operations.len());
        let cheapest = |mut costs: Vec<f64>, count: usize| -> f64 {
            costs.sort_by(f64::total_cmp);
            costs.iter().take(count).sum()
        };
        let of_kind = |(kind, costs): (_, &Vec<f64>)| {
            let target = target.kind(kind);
            let of_edge = |edge: usize| {
                let row = costs[edge * width..(edge + 1) * width].iter().zip(&space.operations);
                let row = row.filter(|(_, operation)| space.may_keep(**operation));
                cheapest(row.map(|(cost, _)| *cost).collect(), target.operations)
            };
            let of_group = |group| cheapest(graph.edges_of(group).map(of_edge).collect(), target.kept(group));
            graph.groups().map(of_group).sum::<f64>()
        };
        self.fixed + self.choices.iter().map(of_kind).sum::<f64>()
    }
}

impl CostLimit {
    /// The limits `limits`, each with its cost table; `None` if there are none.
    pub fn new(space: &Space, target: &Target, weight: f64, limits: &[(CostTable, u64)]) -> Option<Self> {
        let graph = space.graph;
        let part = |(table, limit): &(CostTable, u64)| {
            let limit = *limit as f64;
            let choices = table.choices.map(|kind, costs| {
                let target = target.kind(kind);
                // An edge has the weight d q; the expected number of kept edges is n q, with k
                // operations.
                let shares = graph.groups_of_edges().flat_map(|group| {
                    let kept = target.kept(group);
                    let share = (kept * target.operations) as f64 / graph.total_weight(group, kept) as f64;
                    std::iter::repeat_n(share, space.operations.len())
                });
                costs
                    .iter()
                    .zip(shares)
                    .map(|(cost, share)| (cost * share / limit) as f32)
                    .collect()
            });
            (table.fixed / limit, choices)
        };
        let may_stay = |&operation| if space.may_keep(operation) { 1.0 } else { 0.0 };
        (!limits.is_empty()).then(|| Self {
            weight,
            may_stay: space.operations.iter().map(may_stay).collect(),
            parts: limits.iter().map(part).collect(),
        })
    }

    /// The term added to the loss, one element.
    pub fn penalty(&self, mixtures: &Mixtures) -> Tensor<1> {
        let device = mixtures.normal.weights.device();
        let hinges = self
            .expected(mixtures)
            .into_iter()
            .map(|share| (share - 1.0).clamp_min(0.0) * self.weight);
        hinges
            .reduce(|sum, hinge| sum + hinge)
            .unwrap_or_else(|| Tensor::zeros([1], &device))
    }

    /// The expected cost as a fraction of each limit, one element each.
    pub fn expected(&self, mixtures: &Mixtures) -> Vec<Tensor<1>> {
        let device = mixtures.normal.weights.device();
        let width = self.may_stay.len();
        let table = |values: &[f32]| {
            let rows = values.len() / width;
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, width]), &device)
        };
        let may_stay = table(&self.may_stay);
        let of_part = |(fixed, choices): &(f64, PerKind<Vec<f32>>)| {
            let start = Tensor::<1>::full([1], *fixed, &device);
            choices.iter().fold(start, |sum, (kind, costs)| {
                let Mixture { weights, edges, .. } = mixtures.kind(kind).clone();
                let count = costs.len() / width;
                let weights = weights.reshape([count, width]) * may_stay.clone();
                let whole = weights.clone().sum_dim(1).clamp_min(LEAST_SUM);
                let own = (weights * table(costs)).sum_dim(1) / whole;
                sum + (own.reshape([count]) * edges).sum()
            })
        };
        self.parts.iter().map(of_part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{NetworkSize, Stem};
    use crate::device::host;
    use crate::discretize::mixture::discrete_mixture;
    use crate::discretize::{KindStrengths, strongest};
    use crate::network::{cost, cost_tables, network};
    use crate::space::{
        All, ChainPreset, ChainShape, EdgeCount, Genotype, KindTarget, Operation, Reductions, TargetSpec,
    };
    use burn::tensor::Device;
    use da2s_engine::Engine;
    use proptest::prelude::*;

    fn genotype(space: &Space, target: &Target, seed: u64) -> (Genotype, PerKind<KindStrengths>) {
        let value = |index: u64| ((index + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32;
        let (edges, width) = (space.graph.edge_count() as u64, space.operations.len() as u64);
        let strengths = PerKind::new(space.kinds(), |kind| {
            let first = 1000 * kind as u64;
            let row = |edge: u64| {
                (0..width)
                    .map(|operation| value(first + width * edge + operation))
                    .collect()
            };
            let q: Vec<f32> = (0..edges).map(|edge| value(first + 500 + edge)).collect();
            let p: Vec<Vec<f32>> = (0..edges).map(row).collect();
            KindStrengths {
                operation_rank: p.clone(),
                p,
                edge_rank: q.clone(),
                q,
            }
        });
        (strongest(&strengths, space, target), strengths)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        /// If nothing is undecided, the expected cost is the cost, whatever genotype the table is
        /// based on.
        #[test]
        fn the_expected_cost_of_a_genotype_is_its_cost(
            seed in any::<u64>(), other in any::<u64>(), imagenet in any::<bool>(), none in any::<bool>(), operations in 1..3usize,
        ) {
            let space = Space::darts(none);
            let target = TargetSpec { operations, ..TargetSpec::default() }.resolve(&space).unwrap();
            // The table can be based on any genotype.
            let (reference, _) = genotype(&space, &target, other);
            let size = NetworkSize {
                stem: if imagenet { Stem::Imagenet } else { Stem::Cifar },
                channels: 4,
                cells: 5,
                reductions: Reductions::THIRDS,
                image_channels: 3,
                image_size: 64,
                classes: 10,
                auxiliary: false,
                chain: ChainShape::default(),
            };
            costs(&space, &target, &size, &reference, seed);
        }

        /// In a chain the table is based on a genotype with every layer.
        #[test]
        fn the_expected_cost_of_a_chain_is_its_cost(seed in any::<u64>(), operations in 1..3usize) {
            let chain = ChainPreset::Pixels64.shape();
            let layers = chain.stages.iter().map(|stage| stage.layers);
            let space = Space::mobile(layers, vec![Operation::MbConvK3E1, Operation::MbConvK5E3, Operation::MbConvK7E6]);
            let spec = TargetSpec {
                edges: EdgeCount::All(All::All),
                depth: Some(EdgeCount::PerNode(vec![2, 3, 4, 2])),
                operations,
                ..TargetSpec::default()
            };
            let target = spec.resolve(&space).unwrap();
            let whole = target.map(|_, target| KindTarget::whole(space.graph, target.operations));
            let (reference, _) = genotype(&space, &whole, seed ^ 1);
            let size = NetworkSize {
                stem: Stem::Cifar,
                channels: 8,
                cells: 1,
                reductions: Reductions::At(Vec::new()),
                image_channels: 3,
                image_size: 64,
                classes: 10,
                auxiliary: false,
                chain,
            };
            costs(&space, &target, &size, &reference, seed);
        }
    }

    /// Checks the expected cost of a genotype with a table based on the network of `reference`.
    fn costs(space: &Space, target: &Target, size: &NetworkSize, reference: &Genotype, seed: u64) {
        let build = |genotype: &Genotype| network(genotype, size.clone(), &Engine::Plain).unwrap();
        let tables = cost_tables(space, &build(reference), reference, 64);
        let (found, strengths) = genotype(space, target, seed);
        let ours = cost(&build(&found), 64);
        let mixtures = strengths.map(|kind, strengths| {
            discrete_mixture(
                strengths,
                (space, target.kind(kind)),
                found.kind(kind),
                true,
                true,
                &Device::flex(),
            )
        });
        assert!(tables[0].least(space, target) <= ours.parameters as f64 + 0.5);
        assert!(tables[1].least(space, target) <= ours.multiply_adds as f64 + 0.5);
        let limits = [
            (tables[0].clone(), ours.parameters),
            (tables[1].clone(), ours.multiply_adds),
        ];
        let limit = CostLimit::new(space, target, 1.0, &limits).unwrap();
        for share in limit.expected(&mixtures) {
            assert!((host(&share)[0] - 1.0).abs() < 1e-4, "{}", host(&share)[0]);
        }
        // Adding `none` saves nothing either, and neither do half-closed gates.
        let mut half_shut = mixtures.clone();
        for kind in space.kinds() {
            let mixture = half_shut.kind_mut(*kind);
            let of_edges = host(&mixture.edges);
            let mut weights: Vec<f32> = host(&mixture.weights).iter().map(|weight| 0.5 * weight).collect();
            if let Some(at) = space
                .operations
                .iter()
                .position(|&operation| operation == Operation::None)
            {
                for (row, edge) in weights.chunks_mut(space.operations.len()).zip(of_edges) {
                    row[at] = 0.9 * edge;
                }
            }
            mixture.weights = Tensor::from_data(TensorData::new(weights, mixture.weights.dims()), &Device::flex());
        }
        for share in limit.expected(&half_shut) {
            assert!((host(&share)[0] - 1.0).abs() < 1e-4, "{}", host(&share)[0]);
        }
        let half = limits.map(|(table, cost)| (table, cost / 2));
        let penalty = CostLimit::new(space, target, 3.0, &half).unwrap().penalty(&mixtures);
        assert!((host(&penalty)[0] - 6.0).abs() < 1e-2, "{}", host(&penalty)[0]);
    }
}
