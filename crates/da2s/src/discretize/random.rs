//! Random genotypes, without a search.
//!
//! Contract: uniform over the genotypes of a target (edges of each node, and operations of each
//! edge, without repetition); a pure function of space, target and seed.

use rand::Rng;
use rand::seq::index::sample;

use crate::random::{Purpose, generator};
use crate::space::{Genotype, KeptEdge, Operation, PerKind, Space, Target};

/// The genotype of `target` drawn with `seed`.
pub fn random_genotype(space: &Space, target: &Target, seed: u64) -> Genotype {
    let mut random = generator(seed, Purpose::Genotype, 0, 0);
    loop {
        // All genotypes within the limit stay equally probable.
        let genotype = drawn(space, target, &mut random);
        let most = target.normal.most_skips;
        if most.is_none_or(|most| genotype.cells.normal.count(Operation::SkipConnect) <= most) {
            return genotype;
        }
    }
}

fn drawn(space: &Space, target: &Target, random: &mut impl Rng) -> Genotype {
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
        for group in graph.groups() {
            let of_group = graph.edges_of(group);
            for at in some_of(random, of_group.len(), target.kept(group)) {
                let (from, to) = ends[of_group.start + at];
                let operations = some_of(random, candidates.len(), target.operations);
                edges.push(KeptEdge {
                    from,
                    to,
                    operations: operations.into_iter().map(|at| candidates[at]).collect(),
                });
            }
        }
        space.cell(edges)
    });
    Genotype { cells }
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
        assert_eq!(operations[0], 0, "none never stays");
        for count in &operations[1..] {
            assert!(near(*count, 14.0 * DRAWS as f64, 2.0 / 7.0), "{operations:?}");
        }
    }
}
