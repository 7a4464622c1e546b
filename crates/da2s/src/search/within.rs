//! Limits on the cost of the final network when a mixture becomes a genotype: choices that are too
//! expensive give way to cheaper ones.
//!
//! The strongest network within limits is a multiple-choice knapsack (Sinha, Zoltners, Operations
//! Research 1979), solved greedily: while the strongest network is above a limit on a sum, the kept
//! operation that loses the least rank per unit of cost gives way to a cheaper one of its edge.
//! Memory is a maximum: a choice that alone needs more than allowed is never kept. Contract:
//! choices are only excluded, so the loop ends; every edge keeps as many operations as the target
//! needs, without counting skip connections if their number is limited. If the greedy choices do
//! not get below all limits, the result exceeds at least one of them. Costs are from the tables
//! that the loss uses.

use crate::discretize::{KindStrengths, strongest};
use crate::objective::{CostLimit, Needs};
use crate::space::{CellKind, Genotype, Operation, PerKind, Space, Target};

/// By how much sums of shares may be above 1 because they are rounded.
const ROUNDING: f64 = 1e-12;

/// The operation of an edge that may not be kept.
struct Excluded {
    kind: CellKind,
    edge: usize,
    /// Its index among the candidates.
    candidate: usize,
}

/// Excludes from `strengths` what a network within `limit` does not keep; returns what is excluded.
pub(super) fn exclude_expensive(
    limit: &CostLimit,
    strengths: &mut PerKind<KindStrengths>,
    (space, target): (&Space, &Target),
) -> PerKind<Vec<(usize, Operation)>> {
    let mut all = PerKind::new(space.kinds(), |_| Vec::new());
    let mut exclude = |strengths: &mut PerKind<KindStrengths>, excluded: Vec<Excluded>| {
        for one in excluded {
            strengths.kind_mut(one.kind).exclude(one.edge, one.candidate, space);
            all.kind_mut(one.kind).push((one.edge, space.operations[one.candidate]));
        }
    };
    for needs in limit.needs() {
        let too_large = too_large(needs, strengths, (space, target));
        exclude(strengths, too_large);
    }
    loop {
        let genotype = strongest(strengths, space, target);
        let sums = limit.needs().filter(|needs| needs.beside.is_none());
        let shares = sums.map(|needs| (needs, needs.of(&genotype, space)));
        let mut above: Vec<_> = shares.filter(|(_, share)| *share > 1.0 + ROUNDING).collect();
        above.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut excluded = above
            .iter()
            .map(|(needs, _)| next(needs, &genotype, strengths, (space, target)));
        let Some(excluded) = excluded.find(|excluded| !excluded.is_empty()) else {
            break;
        };
        exclude(strengths, excluded);
    }
    all
}

/// Whether an edge can always keep the operation `candidate`, whatever other edges keep: not a skip
/// connection if the number of skip connections is limited.
fn counts(candidate: usize, kind: CellKind, (space, target): (&Space, &Target)) -> bool {
    let is_limited = kind == CellKind::Normal && target.normal.most_skips.is_some();
    !(is_limited && space.operations[candidate] == Operation::SkipConnect)
}

/// The choices that alone need more memory than allowed, on edges that have enough others.
fn too_large(needs: &Needs, strengths: &PerKind<KindStrengths>, (space, target): (&Space, &Target)) -> Vec<Excluded> {
    let Some(beside) = needs.beside else { return Vec::new() };
    let of_edge = |kind: CellKind, edge: usize| {
        let (large, small): (Vec<usize>, Vec<usize>) = strengths
            .kind(kind)
            .may_stay(edge, space)
            .into_iter()
            .partition(|&candidate| beside + needs.choice(kind, edge, candidate) > 1.0 + ROUNDING);
        let small = small
            .into_iter()
            .filter(|&candidate| counts(candidate, kind, (space, target)));
        let enough = small.count() >= target.kind(kind).operations;
        large
            .into_iter()
            .filter(move |_| enough)
            .map(move |candidate| Excluded { kind, edge, candidate })
    };
    let kinds = space.kinds().iter();
    kinds
        .flat_map(|&kind| (0..space.graph.edge_count()).flat_map(move |edge| of_edge(kind, edge)))
        .collect()
}

/// What is excluded next, so that `genotype` needs less. On each edge, the most expensive kept
/// operation could give way; the edge is chosen that loses the least rank per unit of cost. On this
/// edge, that operation and all that cost at least as much are excluded, or only that operation if
/// too few would be left.
fn next(
    needs: &Needs,
    genotype: &Genotype,
    strengths: &PerKind<KindStrengths>,
    (space, target): (&Space, &Target),
) -> Vec<Excluded> {
    let ends: Vec<(usize, usize)> = space.graph.edges().collect();
    let kept = genotype.cells.iter().flat_map(|(kind, cell)| {
        let ends = &ends;
        cell.edges.iter().filter_map(move |kept| {
            let edge = ends.iter().position(|&ends| ends == (kept.from, kept.to))?;
            Some((kind, edge, &kept.operations))
        })
    });
    // Loss per cost, and what is excluded.
    let mut best: Option<(f64, Vec<Excluded>)> = None;
    for (kind, edge, operations) in kept {
        let cost = |candidate: usize| needs.choice(kind, edge, candidate);
        let of_kind = strengths.kind(kind);
        let rank = |candidate: usize| f64::from(of_kind.operation_rank[edge][candidate]);
        let may_stay = of_kind.may_stay(edge, space);
        let is_kept = |candidate: usize| operations.contains(&space.operations[candidate]);
        let counts = |candidate: usize| counts(candidate, kind, (space, target));
        // The most expensive one; of equals the weakest.
        let Some(most) = may_stay
            .iter()
            .copied()
            .filter(|&candidate| is_kept(candidate))
            .max_by(|&a, &b| cost(a).total_cmp(&cost(b)).then(rank(b).total_cmp(&rank(a))))
        else {
            continue;
        };
        let is_cheaper = |candidate: usize| cost(candidate) < cost(most) && counts(candidate);
        let instead = may_stay.iter().copied().filter(|&one| is_cheaper(one) && !is_kept(one));
        let Some(instead) = instead.max_by(|&a, &b| rank(a).total_cmp(&rank(b))) else {
            continue;
        };
        let enough = |gone: &[usize]| {
            let left = may_stay.iter().filter(|one| !gone.contains(one) && counts(**one));
            left.count() >= target.kind(kind).operations
        };
        let expensive: Vec<usize> = may_stay
            .iter()
            .copied()
            .filter(|&one| cost(one) >= cost(most))
            .collect();
        let gone = [expensive, vec![most]].into_iter().find(|gone| enough(gone));
        let Some(gone) = gone else { continue };
        let loss = (rank(most) - rank(instead)) / (cost(most) - cost(instead));
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            let excluded = gone.into_iter().map(|candidate| Excluded { kind, edge, candidate });
            best = Some((loss, excluded.collect()));
        }
    }
    best.map_or_else(Vec::new, |(_, excluded)| excluded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{CostTable, LimitTable, PeakTable};
    use crate::space::{All, EdgeCount, TargetSpec};
    use proptest::prelude::*;

    proptest! {
        /// With any strengths and costs, the strongest network that remains is within the limits,
        /// as long as the cheapest one is; and nothing gives way without need.
        #[test]
        fn what_remains_is_within_the_limits(
            (p, sums, peaks) in (
                prop::collection::vec(0.01f32..1.0, 6 * 3),
                prop::collection::vec(prop_oneof![0.1f64..1.0, Just(0.1), Just(0.5)], 6 * 3),
                prop::collection::vec(0.1f64..1.0, 6 * 3),
            ),
            (share, peak_share) in (0.0f64..1.2, 0.0f64..1.2),
            kept in 1..3usize,
        ) {
            let operations = vec![Operation::MbConvK3E1, Operation::MbConvK3E3, Operation::MbConvK5E6];
            let space = Space::mobile([2, 2], operations);
            let target = TargetSpec { edges: EdgeCount::All(All::All), operations: kept, ..TargetSpec::default() }.resolve(&space).unwrap();
            let edges = space.graph.edge_count();
            let rows = |values: &[f64]| values.iter().copied().cycle().take(3 * edges).collect::<Vec<f64>>();
            let (sums, peaks) = (rows(&sums), rows(&peaks));
            let p: Vec<Vec<f32>> = p.chunks(3).cycle().take(edges).map(<[f32]>::to_vec).collect();
            let strengths = PerKind::new(space.kinds(), |_| KindStrengths { operation_rank: p.clone(), p: p.clone(), ..KindStrengths::even(&space) });
            let table = |choices: &[f64]| PerKind::new(space.kinds(), |_| choices.to_vec());
            let sum = LimitTable::Sum(CostTable { fixed: 0.5, choices: table(&sums) });
            let peak = LimitTable::Peak(PeakTable { fixed: 0.05, beside: 0.0, choices: table(&peaks) });
            let most = 0.5 + edges as f64;
            let limits = [
                (sum.clone(), sum.least(&space, &target) + share * most / 3.0 + 1e-9),
                (peak.clone(), peak.least(&space, &target) + peak_share + 1e-9),
            ];
            // The smallest peak is that of one operation per edge.
            for limits in [&limits[..1], &limits[1..]].into_iter().take(3 - kept) {
                let limit = CostLimit::new(&space, &target, 1.0, limits).unwrap();
                let within = |strengths: &PerKind<KindStrengths>| {
                    let genotype = strongest(strengths, &space, &target);
                    limit.needs().all(|needs| needs.of(&genotype, &space) <= 1.0)
                };
                let mut left = strengths.clone();
                let excluded = exclude_expensive(&limit, &mut left, (&space, &target));
                prop_assert!(within(&left));
                let is_sum = limit.needs().all(|needs| needs.beside.is_none());
                if is_sum {
                    prop_assert_eq!(within(&strengths), excluded.values().all(Vec::is_empty));
                }
            }
        }
    }
}
