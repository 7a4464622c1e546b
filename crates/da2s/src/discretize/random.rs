//! Random genotypes, without a search.
//!
//! Contract: uniform over the genotypes of a target (edges of each node, and operations of each
//! edge, without repetition); a pure function of space, target and seed. `skip` is drawn only
//! for edges that have it.

use rand::Rng;
use rand::seq::index::sample;

use crate::random::{Purpose, generator};
use crate::space::{Genotype, KeptEdge, KindTarget, Operation, PerKind, Space, Target};

/// The genotype of `target` drawn with `seed`.
pub fn random_genotype(space: &Space, target: &Target, seed: u64) -> Genotype {
    let mut random = generator(seed, Purpose::Genotype, 0, 0);
    let graph = space.graph;
    let candidates: Vec<_> = space
        .operations
        .iter()
        .copied()
        .filter(|&operation| space.may_keep(operation))
        .collect();
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let cells = PerKind::new(space.kinds(), |kind| {
        let target = target.kind(kind);
        let mut edges = Vec::new();
        let mut skips = with_skip(&candidates, target, &mut random).map(Vec::into_iter);
        for group in graph.groups() {
            let of_group = graph.edges_of(group);
            for at in some_of(&mut random, of_group.len(), target.kept(group)) {
                let (from, to) = ends[of_group.start + at];
                // The skip connection is drawn already if the target limits it.
                let skip = skips.as_mut().map(|skips| skips.next() == Some(true));
                let is_open = |&operation: &Operation| {
                    space.has_on(of_group.start + at, operation)
                        && (skip.is_none() || operation != Operation::SkipConnect)
                };
                let open: Vec<_> = candidates.iter().copied().filter(is_open).collect();
                let has_skip = skip == Some(true);
                let more = some_of(&mut random, open.len(), target.operations - usize::from(has_skip));
                let first = has_skip.then_some(Operation::SkipConnect).into_iter();
                let operations = first.chain(more.into_iter().map(|at| open[at])).collect();
                edges.push(KeptEdge { from, to, operations });
            }
        }
        space.cell(edges)
    });
    Genotype { cells }
}

/// For each kept edge, whether it has a skip connection. At most as many edges as the target allows
/// have one, and all genotypes within this limit are equally probable. `None` without a limit.
fn with_skip(candidates: &[Operation], target: &KindTarget, random: &mut impl Rng) -> Option<Vec<bool>> {
    let most = target
        .most_skips
        .filter(|_| candidates.contains(&Operation::SkipConnect))?;
    let edges: usize = target.edges.iter().sum();
    // Of the C(m, k) ways to choose k of m operations, C(m−1, k−1) include the skip connection, so
    // the odds of a skip connection are k to m − k. So C(edges, j) (k / (m − k))^j is proportional
    // to the number of genotypes with j of them.
    let odds = target.operations as f64 / (candidates.len() - target.operations) as f64;
    let mut weights = vec![1.0];
    for count in 1..=most.min(edges) {
        weights.push(weights[count - 1] * odds * (edges - count + 1) as f64 / count as f64);
    }
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    let below = |weight: &f64| {
        left -= weight;
        left < 0.0
    };
    let count = weights.iter().position(below).unwrap_or(weights.len() - 1);
    let drawn = some_of(random, edges, count);
    Some((0..edges).map(|edge| drawn.contains(&edge)).collect())
}

/// `count` different numbers below `all`, in ascending order.
fn some_of(random: &mut impl Rng, all: usize, count: usize) -> Vec<usize> {
    let mut drawn = sample(random, all, count).into_vec();
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::TargetSpec;

    #[test]
    fn a_limit_on_skips_is_kept_and_leaves_all_else_equally_probable() {
        let space = Space::darts(false);
        let target = |text: &str| toml::from_str::<TargetSpec>(text).unwrap().resolve(&space).unwrap();
        let most_one = target("edges = [1, 2, 1, 3]\noperations = 2\nmost_skips = 1");
        let counts = |seed| {
            let genotype = random_genotype(&space, &most_one, seed);
            assert!(
                genotype
                    .cells
                    .normal
                    .edges
                    .iter()
                    .all(|edge| edge.operations.len() == 2)
            );
            genotype.cells.normal.count(Operation::SkipConnect)
        };
        let ones = (0..600).filter(|&seed| counts(seed) == 1).count();
        assert!((0..600).all(|seed| counts(seed) <= 1));
        // 7 edges, each with 2 of 7 operations: the odds of no skip connection against one are 1 to
        // 7 · 2/5. The standard deviation is 10.8.
        assert!((ones as f64 - 600.0 * 2.8 / 3.8).abs() < 38.0, "{ones}");
        // A limit of 0 is kept even if nearly all genotypes have skip connections.
        let large = Space::own(32, vec![Operation::SkipConnect, Operation::SepConv3x3]);
        let none = toml::from_str::<TargetSpec>("most_skips = 0")
            .unwrap()
            .resolve(&large)
            .unwrap();
        assert_eq!(
            random_genotype(&large, &none, 1)
                .cells
                .normal
                .count(Operation::SkipConnect),
            0
        );
    }

    #[test]
    fn no_first_layer_of_a_stage_draws_skip() {
        let space = Space::mobile([3, 1, 2], vec![Operation::Skip, Operation::MbConvK3E1]);
        let target: TargetSpec = toml::from_str("edges = \"all\"").unwrap();
        let target = target.resolve(&space).unwrap();
        let drawn: Vec<Genotype> = (0..40).map(|seed| random_genotype(&space, &target, seed)).collect();
        let skips = |edge: usize| {
            let mut cells = drawn.iter().map(|drawn| &drawn.cells.normal.edges[edge]);
            cells.any(|kept| kept.operations == [Operation::Skip])
        };
        let counts: Vec<bool> = (0..6).map(skips).collect();
        assert_eq!(counts, [false, true, true, false, false, true]);
    }

    #[test]
    fn every_edge_and_operation_is_drawn_alike_and_the_target_is_kept() {
        let space = Space::darts(true);
        let spec: TargetSpec = toml::from_str("edges = [1, 2, 1, 3]\noperations = 2").unwrap();
        let target = spec.resolve(&space).unwrap();
        let (mut edges, mut operations) = ([0; 14], [0; 8]);
        const DRAWS: u64 = 600;
        for seed in 0..DRAWS {
            let genotype = random_genotype(&space, &target, seed);
            assert_eq!(genotype, random_genotype(&space, &target, seed));
            for cell in genotype.cells.values() {
                let nodes: Vec<usize> = cell.edges.iter().map(|edge| edge.to).collect();
                assert_eq!(nodes, [2, 3, 3, 4, 5, 5, 5]);
                for edge in &cell.edges {
                    let at = space
                        .graph
                        .edges()
                        .position(|ends| ends == (edge.from, edge.to))
                        .unwrap();
                    edges[at] += 1;
                    assert_ne!(edge.operations[0], edge.operations[1]);
                    for operation in &edge.operations {
                        operations[space.operations.iter().position(|own| own == operation).unwrap()] += 1;
                    }
                }
            }
        }
        // Three and a half standard deviations.
        let near = |count: usize, all: f64, share: f64| {
            let spread = (all * share * (1.0 - share)).sqrt();
            (count as f64 - all * share).abs() < 3.5 * spread
        };
        for (edge, count) in edges.into_iter().enumerate() {
            let share = [1.0 / 2.0, 2.0 / 3.0, 1.0 / 4.0, 3.0 / 5.0][space.graph.edges().nth(edge).unwrap().1 - 2];
            assert!(near(count, 2.0 * DRAWS as f64, share), "edge {edge}: {count}");
        }
        assert_eq!(operations[0], 0, "the operation none is never kept");
        for count in &operations[1..] {
            assert!(near(*count, 14.0 * DRAWS as f64, 2.0 / 7.0), "{operations:?}");
        }
    }
}
