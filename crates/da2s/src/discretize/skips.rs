//! A limit on the skip connections of normal cells: the weakest give way to what is next best.
//!
//! Reference: Chen, Xie, Wu, Tian, "Progressive Differentiable Architecture Search" (P-DARTS), ICCV
//! 2019, section 3.2, and its code: while the genotype has more skip connections than the target
//! allows, the weakest of them is excluded and the genotype is read off again. Contract: this works
//! with every rule, which is applied again without the excluded operations. Each time, one
//! operation of one edge is excluded, so the rule is repeated at most once per edge.

use super::strengths::KindStrengths;
use crate::space::{CellGenotype, Genotype, Operation, PerKind, Space, Target};

/// The genotype of `strengths` according to `read`, with at most `target.normal.most_skips` skip
/// connections in its normal cell.
///
/// # Errors
/// Those of `read`.
pub(crate) fn limited<E>(
    strengths: &PerKind<KindStrengths>,
    space: &Space,
    target: &Target,
    read: impl Fn(&PerKind<KindStrengths>) -> Result<Genotype, E>,
) -> Result<Genotype, E> {
    Ok(excluding(strengths, space, target, read)?.0)
}

/// The same genotype, and the edges of the normal cell whose skip connection was excluded.
pub(crate) fn excluding<E>(
    strengths: &PerKind<KindStrengths>,
    space: &Space,
    target: &Target,
    read: impl Fn(&PerKind<KindStrengths>) -> Result<Genotype, E>,
) -> Result<(Genotype, Vec<usize>), E> {
    let (mut genotype, mut excluded) = (read(strengths)?, Vec::new());
    let mut left = strengths.clone();
    while let Some(edge) = exclude_excess(&mut left, &genotype, space, target) {
        excluded.push(edge);
        genotype = read(&left)?;
    }
    Ok((genotype, excluded))
}

/// Excludes the weakest skip connection of `genotype` from `strengths` if its normal cell has more
/// than the target allows, and returns its edge.
fn exclude_excess(
    strengths: &mut PerKind<KindStrengths>,
    genotype: &Genotype,
    space: &Space,
    target: &Target,
) -> Option<usize> {
    let most = target.normal.most_skips?;
    let (edge, skip) = weakest_excess(&genotype.cells.normal, &strengths.normal, space, most)?;
    strengths.normal.exclude(edge, skip, space);
    Some(edge)
}

/// Excludes the excess skip connections of `genotype`, weakest first, and returns their edges: for
/// a rule that is too expensive to be applied again after each exclusion.
pub(crate) fn exclude_all_excess(
    strengths: &mut PerKind<KindStrengths>,
    genotype: &Genotype,
    space: &Space,
    target: &Target,
) -> Vec<usize> {
    let kept = genotype.cells.normal.count(Operation::SkipConnect);
    let excess = target.normal.most_skips.map_or(0, |most| kept.saturating_sub(most));
    (0..excess)
        .map_while(|_| exclude_excess(strengths, genotype, space, target))
        .collect()
}

/// The edge of `cell` with the weakest skip connection, and the candidate that is this operation;
/// `None` if there are at most `most`, or if all of them have been excluded already.
fn weakest_excess(
    cell: &CellGenotype,
    strengths: &KindStrengths,
    space: &Space,
    most: usize,
) -> Option<(usize, usize)> {
    let skip = space
        .operations
        .iter()
        .position(|&operation| operation == Operation::SkipConnect)?;
    let has_skip = |(from, to): (usize, usize)| {
        let kept = cell.edges.iter().find(|kept| (kept.from, kept.to) == (from, to));
        kept.is_some_and(|kept| kept.operations.contains(&Operation::SkipConnect))
    };
    let ends = space.graph.edges().enumerate();
    let skips: Vec<usize> = ends.filter(|&(_, ends)| has_skip(ends)).map(|(edge, _)| edge).collect();
    if skips.len() <= most {
        return None;
    }
    let rank = |edge: usize| strengths.operation_rank[edge][skip];
    let there = skips.into_iter().filter(|&edge| rank(edge) != f32::NEG_INFINITY);
    // Of equally weak ones, the earliest stays in the genotype.
    let weakest = there.reduce(|best, edge| if rank(edge) <= rank(best) { edge } else { best })?;
    Some((weakest, skip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discretize::strongest;
    use crate::space::{CellKind, TargetSpec};
    use proptest::prelude::*;

    fn target(text: &str, space: &Space) -> Target {
        toml::from_str::<TargetSpec>(text).unwrap().resolve(space).unwrap()
    }

    #[test]
    fn the_weakest_skip_gives_way_to_the_next_operation_and_its_edge_to_the_next_edge() {
        let space = Space::own(
            2,
            vec![Operation::SkipConnect, Operation::SepConv3x3, Operation::MaxPool3x3],
        );
        let mut strengths = KindStrengths::even(&space);
        // Edges 0→2, 1→2, 0→3, 1→3, 2→3: skips on 0→2, 1→3 and 2→3; 2→3 is the weakest.
        strengths.operation_rank = vec![
            vec![0.8, 0.1, 0.1],
            vec![0.1, 0.7, 0.2],
            vec![0.2, 0.35, 0.45],
            vec![0.7, 0.1, 0.2],
            vec![0.5, 0.1, 0.4],
        ];
        strengths.p = strengths.operation_rank.clone();
        let best = |row: &Vec<f32>| row.iter().copied().fold(0.0, f32::max);
        let ranked: Vec<f32> = strengths.operation_rank.iter().map(best).collect();
        let cell = |edge_rank: Vec<f32>, most: &str| {
            let strengths = KindStrengths {
                edge_rank,
                ..strengths.clone()
            };
            let target = target(most, &space);
            let genotype = strongest(&PerKind::new(space.kinds(), |_| strengths.clone()), &space, &target);
            let of = |cell: &CellGenotype| -> Vec<(usize, usize, Operation)> {
                cell.edges
                    .iter()
                    .map(|edge| (edge.from, edge.to, edge.operations[0]))
                    .collect()
            };
            assert_eq!(genotype.kind(CellKind::Reduction).count(Operation::SkipConnect), 3);
            of(&genotype.cells.normal)
        };
        let (skip, pool, conv) = (Operation::SkipConnect, Operation::MaxPool3x3, Operation::SepConv3x3);
        let first = [(0, 2, skip), (1, 2, conv)];
        // Edges are ranked by their strongest operation: without its skip, 2→3 is weaker than 0→3.
        assert_eq!(cell(ranked.clone(), "")[2..], [(1, 3, skip), (2, 3, skip)]);
        assert_eq!(
            cell(ranked.clone(), "most_skips = 2"),
            [first[0], first[1], (1, 3, skip), (0, 3, pool)]
        );
        // Edges have ranks of their own: the edge stays, with its next operation.
        let beta = vec![0.5, 0.5, 0.1, 0.9, 0.8];
        assert_eq!(
            cell(beta, "most_skips = 2"),
            [first[0], first[1], (1, 3, skip), (2, 3, pool)]
        );
        // Nothing is excluded that the limit allows.
        assert_eq!(cell(ranked.clone(), "most_skips = 3"), cell(ranked, ""));
    }

    #[test]
    fn all_excess_skips_are_excluded_at_once() {
        let space = Space::own(2, vec![Operation::SkipConnect, Operation::SepConv3x3]);
        let mut even = KindStrengths::even(&space);
        for (row, skip) in even.operation_rank.iter_mut().zip([0.7, 0.9, 0.1, 0.8, 0.6]) {
            *row = vec![skip, 1.0 - skip];
        }
        even.edge_rank = vec![0.5, 0.5, 0.1, 0.9, 0.8];
        let strengths = PerKind::new(space.kinds(), |_| even.clone());
        let genotype = strongest(&strengths, &space, &target("", &space));
        let excluded = |most: &str| {
            let mut left = strengths.clone();
            let edges = exclude_all_excess(&mut left, &genotype, &space, &target(most, &space));
            let gone = |edge: &usize| left.normal.operation_rank[*edge][0] == f32::NEG_INFINITY;
            assert!(edges.iter().all(gone) && left.normal.operation_rank[1][0] == 0.9);
            edges
        };
        // The skips of 0→2, 1→2, 1→3 and 2→3, weakest first.
        assert_eq!(excluded("most_skips = 1"), [4, 0, 3]);
        assert_eq!(excluded("most_skips = 3"), [4]);
        assert!(excluded("most_skips = 4").is_empty() && excluded("").is_empty());
    }

    proptest! {
        #[test]
        fn a_limit_is_kept_and_the_target_too(
            values in prop::collection::vec(0.0f32..1.0, 14 * 7 + 14),
            most in 0usize..=9,
            operations in 1usize..=3,
        ) {
            let space = Space::darts(false);
            let target = target(&format!("edges = [1, 2, 1, 3]\noperations = {operations}\nmost_skips = {most}"), &space);
            let mut strengths = KindStrengths::even(&space);
            strengths.operation_rank = values[..98].chunks(7).map(<[f32]>::to_vec).collect();
            strengths.edge_rank = values[98..].to_vec();
            let genotype = strongest(&PerKind::new(space.kinds(), |_| strengths.clone()), &space, &target);
            prop_assert!(genotype.cells.normal.count(Operation::SkipConnect) <= most);
            for (node, count) in (2..6).zip([1, 2, 1, 3]) {
                let into = genotype.cells.normal.edges.iter().filter(|edge| edge.to == node);
                prop_assert_eq!(into.clone().count(), count);
                prop_assert!(into.into_iter().all(|edge| edge.operations.len() == operations));
            }
        }
    }
}
