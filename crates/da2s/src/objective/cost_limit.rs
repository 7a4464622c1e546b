//! A limit on the final network's cost, as a term of the search's loss: w · max(0, E[cost]/limit
//! − 1) for each limit.
//!
//! The expected cost is that of the final network under the mixture, as in Cai, Zhu, Han,
//! "ProxylessNAS", ICLR 2019, equation 10, with the weights of edges in addition to those of
//! operations: E = fixed + Σ_edges n_j q_ij · k Σ_o p_ij^o c_ij^o / Σ_o p_ij^o. The sums over o
//! only include the operations that may be kept; k of them will be kept, each at its full cost. So
//! weight on `none` saves nothing, and only the ratios of gates count, which need not sum to 1.
//! Memory is a maximum and not a sum ([`PeakTable`]). A hinge is an exact penalty: below the limit
//! it has no effect. Contract: differentiable in α and β through the mixture, and in nothing else.

use burn::tensor::{Device, Tensor, TensorData};

use super::peak::{PeakTable, smooth_maximum};
use crate::arch::{Mixture, Mixtures};
use crate::space::{CellKind, Genotype, KindTarget, PerKind, Space, Target};

/// The cost of one resource: a fixed part, and the cost of each operation on each edge, summed over
/// all cells of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CostTable {
    /// Stem, inputs of cells, classifier.
    pub fixed: f64,
    /// `[edges · operations]`.
    pub choices: PerKind<Vec<f64>>,
}

/// The cost of one resource, a sum over the network or a maximum.
#[derive(Clone, Debug, PartialEq)]
pub enum LimitTable {
    /// A sum.
    Sum(CostTable),
    /// A maximum.
    Peak(PeakTable),
}

/// Limits on resources.
#[derive(Clone, Debug, PartialEq)]
pub struct CostLimit {
    weight: f64,
    /// 1 for each operation that may be kept, otherwise 0.
    may_stay: Vec<f32>,
    limited: Vec<Limited>,
}

/// What networks need of a resource, as a fraction of its limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Needs {
    fixed: f64,
    /// Number of candidates.
    width: usize,
    /// The cost of each choice that is kept, `[edges · operations]`.
    choices: PerKind<Vec<f64>>,
    /// What is in memory whatever is chosen, if the resource is a maximum.
    pub beside: Option<f64>,
}

/// A limited resource.
#[derive(Clone, Debug, PartialEq)]
struct Limited {
    needs: Needs,
    /// The cost of each choice on an edge of weight 1 without other operations, as a fraction of
    /// the limit.
    expected: PerKind<Vec<f32>>,
}

/// Smallest sum of an edge's weights by which to divide: below it the edge is not part of the
/// mixture.
const LEAST_SUM: f64 = 1e-12;

impl CostTable {
    /// The cost of the cheapest network of `target`.
    fn least(&self, space: &Space, target: &Target) -> f64 {
        let of_kind = |(kind, costs): (_, &Vec<f64>)| {
            let target = target.kind(kind);
            cheapest(costs, space, target, target.operations).flatten().sum::<f64>()
        };
        self.fixed + self.choices.iter().map(of_kind).sum::<f64>()
    }
}

/// For each group of a kind, the costs of the edges that the cheapest network of `target` keeps,
/// with this number of operations on each.
pub(super) fn cheapest<'a>(
    costs: &'a [f64],
    space: &'a Space,
    target: &'a KindTarget,
    operations: usize,
) -> impl Iterator<Item = Vec<f64>> + 'a {
    let (graph, width) = (space.graph, space.operations.len());
    let smallest = |mut costs: Vec<f64>, count: usize| -> Vec<f64> {
        costs.sort_by(f64::total_cmp);
        costs.truncate(count);
        costs
    };
    let of_edge = move |edge: usize| -> f64 {
        let row = costs[edge * width..(edge + 1) * width].iter().zip(&space.operations);
        let row = row.filter(|(_, operation)| space.may_keep_on(edge, **operation));
        smallest(row.map(|(cost, _)| *cost).collect(), operations).iter().sum()
    };
    graph
        .groups()
        .map(move |group| smallest(graph.edges_of(group).map(of_edge).collect(), target.kept(group)))
}

impl LimitTable {
    /// A cost that no network of `target` falls below.
    pub fn least(&self, space: &Space, target: &Target) -> f64 {
        match self {
            Self::Sum(table) => table.least(space, target),
            Self::Peak(table) => table.least(space, target),
        }
    }

    /// As a fraction of `limit`.
    fn limited(&self, space: &Space, target: &Target, limit: f64) -> Limited {
        let graph = space.graph;
        let (fixed, choices, beside) = match self {
            Self::Sum(CostTable { fixed, choices }) => (*fixed, choices, None),
            Self::Peak(table) => (table.fixed, &table.choices, Some(table.beside / limit)),
        };
        let needs = Needs {
            fixed: fixed / limit,
            width: space.operations.len(),
            choices: choices.map(|_, costs| costs.iter().map(|cost| cost / limit).collect()),
            beside,
        };
        let expected = choices.map(|kind, costs| {
            let target = target.kind(kind);
            // The mixture gives an edge the weight d q; the expected number of kept edges is n q.
            // A sum counts the k operations of an edge; a peak counts one, because they are
            // computed one at a time.
            let operations = if beside.is_some() { 1 } else { target.operations };
            let shares = graph.groups_of_edges().flat_map(|group| {
                let kept = target.kept(group);
                let share = (kept * operations) as f64 / graph.total_weight(group, kept) as f64;
                std::iter::repeat_n(share, space.operations.len())
            });
            let costs = costs.iter().zip(shares);
            costs.map(|(cost, share)| (cost * share / limit) as f32).collect()
        });
        Limited { needs, expected }
    }
}

impl Needs {
    /// What the operation `candidate` of `edge` needs if it is kept.
    pub fn choice(&self, kind: CellKind, edge: usize, candidate: usize) -> f64 {
        self.choices.kind(kind)[edge * self.width + candidate]
    }

    /// What the network of `genotype` needs.
    pub fn of(&self, genotype: &Genotype, space: &Space) -> f64 {
        let ends: Vec<(usize, usize)> = space.graph.edges().collect();
        let position = |operation| space.operations.iter().position(|&one| one == operation);
        let kept = genotype.cells.iter().flat_map(|(kind, cell)| {
            let edges = cell.edges.iter().filter_map(|kept| {
                let edge = ends.iter().position(|&ends| ends == (kept.from, kept.to))?;
                let candidates = kept.operations.iter().filter_map(|&operation| position(operation));
                Some(candidates.map(move |candidate| (edge, candidate)).collect::<Vec<_>>())
            });
            let needs = edges
                .flatten()
                .map(|(edge, candidate)| self.choice(kind, edge, candidate));
            needs.collect::<Vec<_>>()
        });
        match self.beside {
            None => self.fixed + kept.sum::<f64>(),
            Some(beside) => kept.map(|need| beside + need).fold(self.fixed, f64::max),
        }
    }
}

impl Limited {
    /// The expected cost, one element.
    fn expected(&self, mixtures: &Mixtures, may_stay: &[f32], device: &Device) -> Tensor<1> {
        let width = may_stay.len();
        let table = |values: &[f32]| {
            let rows = values.len() / width;
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, width]), device)
        };
        let edges = self.expected.iter().map(|(kind, costs)| {
            let Mixture { weights, edges, .. } = mixtures.kind(kind).clone();
            let count = costs.len() / width;
            let weights = weights.reshape([count, width]) * table(may_stay);
            let whole = weights.clone().sum_dim(1).clamp_min(LEAST_SUM);
            let own = (weights * table(costs)).sum_dim(1) / whole;
            own.reshape([count]) * edges
        });
        let fixed = Tensor::<1>::full([1], self.needs.fixed, device);
        match self.needs.beside {
            None => edges.fold(fixed, |sum, edges| sum + edges.sum()),
            Some(beside) => {
                let edges = edges.map(|edges| edges + beside);
                smooth_maximum(Tensor::cat(edges.chain([fixed]).collect(), 0))
            }
        }
    }
}

impl CostLimit {
    /// The limits `limits`, each with its cost table; `None` if there are none.
    pub fn new(space: &Space, target: &Target, weight: f64, limits: &[(LimitTable, f64)]) -> Option<Self> {
        let may_stay = |&operation| if space.may_keep(operation) { 1.0 } else { 0.0 };
        let limited = limits.iter().map(|(table, limit)| table.limited(space, target, *limit));
        (!limits.is_empty()).then(|| Self {
            weight,
            may_stay: space.operations.iter().map(may_stay).collect(),
            limited: limited.collect(),
        })
    }

    /// What networks need of each limited resource.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &Needs> {
        self.limited.iter().map(|limited| &limited.needs)
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
        let limited = self.limited.iter();
        limited
            .map(|limited| limited.expected(mixtures, &self.may_stay, &device))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{NetworkSize, Stem};
    use crate::device::host;
    use crate::discretize::mixture::discrete_mixture;
    use crate::discretize::{KindStrengths, strongest};
    use crate::network::{Candidate, candidates, cost, cost_table, network, peak_table};
    use crate::space::{All, ChainPreset, ChainShape, EdgeCount, KindTarget, Operation, Reductions, TargetSpec};
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
            let mut operation_rank = p.clone();
            for (edge, ranks) in operation_rank.iter_mut().enumerate() {
                let lacks = ranks.iter_mut().zip(&space.operations);
                let lacks = lacks.filter(|(_, operation)| !space.has_on(edge, **operation));
                lacks.for_each(|(rank, _)| *rank = f32::NEG_INFINITY);
            }
            KindStrengths {
                operation_rank,
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

        /// In a chain the table is based on a genotype with every layer. Layers are
        /// removed by a declared depth, or by the choice of `skip`.
        #[test]
        fn the_expected_cost_of_a_chain_is_its_cost(
            seed in any::<u64>(), (operations, skip) in prop_oneof![Just((1, false)), Just((2, false)), Just((1, true))],
        ) {
            let chain = ChainPreset::Pixels64.shape();
            let layers = || chain.stages.iter().map(|stage| stage.layers);
            let mut candidates = vec![Operation::MbConvK3E1, Operation::MbConvK5E3Se, Operation::MbConvK7E6];
            let without = Space::mobile(layers(), candidates.clone());
            candidates.extend(skip.then_some(Operation::Skip));
            let space = Space::mobile(layers(), candidates);
            let spec = TargetSpec {
                edges: EdgeCount::All(All::All),
                depth: (!skip).then(|| EdgeCount::PerNode(vec![2, 3, 4, 2])),
                operations,
                ..TargetSpec::default()
            };
            let target = spec.resolve(&space).unwrap();
            let whole = target.map(|_, target| KindTarget::whole(space.graph, target.operations));
            let (reference, _) = genotype(&without, &whole, seed ^ 1);
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
        let base = build(reference);
        let all = cost(&base, 64);
        let candidates = candidates(space, &base, 64);
        let table = |total: u64, of: fn(&Candidate) -> f64| {
            LimitTable::Sum(
                cost_table(space, reference, &candidates, total as f64, |one| Ok::<_, ()>(of(one))).unwrap(),
            )
        };
        let tables = [
            table(all.parameters, Candidate::parameters),
            table(all.multiply_adds, Candidate::multiply_adds),
            table(all.on_device.size_bytes.unwrap(), Candidate::size_bytes),
        ];
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
        let needs = [ours.parameters, ours.multiply_adds, ours.on_device.size_bytes.unwrap()].map(|need| need as f64);
        let limits: Vec<(LimitTable, f64)> = tables.into_iter().zip(needs).collect();
        for (table, need) in &limits {
            assert!(table.least(space, target) <= need + 0.5);
        }
        let limit = CostLimit::new(space, target, 1.0, &limits).unwrap();
        for share in limit.expected(&mixtures) {
            assert!((host(&share)[0] - 1.0).abs() < 1e-4, "{}", host(&share)[0]);
        }
        for needs in limit.needs() {
            assert!(
                (needs.of(&found, space) - 1.0).abs() < 1e-6,
                "{}",
                needs.of(&found, space)
            );
        }
        if space.graph.is_chain() && target.normal.operations == 1 {
            // The peak is that of the widest layer, and the smooth maximum a little above it; gaps
            // between tensors are not in the table.
            let table = LimitTable::Peak(peak_table(space, &base, &candidates, 64, 4.0));
            let ram = ours.on_device.ram_bytes.unwrap() as f64;
            assert!(table.least(space, target) <= ram, "{}", table.least(space, target));
            let peak = CostLimit::new(space, target, 1.0, &[(table, ram)]).unwrap();
            let share = host(&peak.expected(&mixtures)[0])[0];
            assert!((0.9..1.06).contains(&share), "{share}");
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
        let half: Vec<_> = limits.into_iter().map(|(table, cost)| (table, cost / 2.0)).collect();
        let penalty = CostLimit::new(space, target, 3.0, &half).unwrap().penalty(&mixtures);
        assert!((host(&penalty)[0] - 9.0).abs() < 1e-2, "{}", host(&penalty)[0]);
    }
}
