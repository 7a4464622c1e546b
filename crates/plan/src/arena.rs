//! The offsets of activations in one block of memory. Activations that are never needed at the same
//! time may overlap.
//!
//! Reference: Pisarchyk, Lee, "Efficient memory management for deep neural net inference", 2020,
//! section 5: offset calculation with best fit, greedy by size and greedy by breadth, and its lower
//! bound, the largest operator breadth. Contract: no two activations whose steps overlap share a
//! value; the result depends on nothing but the activations. Offsets are not aligned.

use std::cmp::Reverse;

use crate::activations::Activation;

/// The offsets of activations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Offset of each activation, in values.
    pub offsets: Vec<usize>,
    /// Number of values of the whole block of memory.
    pub len: usize,
}

impl Arena {
    /// Places the activations in both orders, and returns the smaller result.
    pub fn new(activations: &[Activation]) -> Self {
        let by_size = Self::placed(activations, by_size(activations));
        let by_breadth = Self::placed(activations, by_breadth(activations));
        if by_breadth.len < by_size.len {
            by_breadth
        } else {
            by_size
        }
    }

    /// Places the activations in this order. Each goes into the smallest gap that is large enough,
    /// between the placed ones that are needed at the same time; without such a gap, after them.
    fn placed(activations: &[Activation], order: Vec<usize>) -> Self {
        let mut offsets = vec![0_usize; activations.len()];
        // In the order of their offsets.
        let mut placed: Vec<usize> = Vec::with_capacity(order.len());
        let mut len = 0;
        for at in order {
            let one = activations[at];
            let mut best: Option<(usize, usize)> = None;
            let mut end = 0;
            for &other in placed.iter().filter(|&&other| activations[other].overlaps(&one)) {
                let gap = offsets[other].saturating_sub(end);
                if gap >= one.len && best.is_none_or(|(smallest, _)| gap < smallest) {
                    best = Some((gap, end));
                }
                end = end.max(offsets[other] + activations[other].len);
            }
            offsets[at] = best.map_or(end, |(_, offset)| offset);
            len = len.max(offsets[at] + one.len);
            let position = placed.partition_point(|&other| offsets[other] <= offsets[at]);
            placed.insert(position, at);
        }
        Self { offsets, len }
    }
}

/// The largest first.
fn by_size(activations: &[Activation]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..activations.len()).collect();
    order.sort_by_key(|&at| Reverse(activations[at].len));
    order
}

/// Those of the step that needs the most memory first, and among them the largest.
fn by_breadth(activations: &[Activation]) -> Vec<usize> {
    let breadths = breadths(activations);
    let widest = |one: &Activation| breadths[one.first..=one.last].iter().copied().max();
    let mut order = by_size(activations);
    // A stable sort: activations whose widest steps need the same memory stay in order of size.
    order.sort_by_key(|&at| Reverse(widest(&activations[at])));
    order
}

/// The number of values in memory at each step.
fn breadths(activations: &[Activation]) -> Vec<usize> {
    let steps = activations.iter().map(|one| one.last + 1).max().unwrap_or(0);
    let mut breadths = vec![0_usize; steps];
    for one in activations {
        for breadth in &mut breadths[one.first..=one.last] {
            *breadth += one.len;
        }
    }
    breadths
}

/// The most values that are in memory at one step: no arena can be smaller.
pub fn breadth(activations: &[Activation]) -> usize {
    breadths(activations).into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudorandom numbers for small plans: splitmix64.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, most: u64) -> usize {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((mixed ^ (mixed >> 31)) % most) as usize
        }
    }

    /// The length of the smallest arena. Tries every order, and places each activation as low as
    /// possible; one of these orders is that of the offsets in an optimal arena.
    fn smallest(activations: &[Activation]) -> usize {
        fn place(activations: &[Activation], offsets: &mut Vec<(usize, usize)>, best: &mut usize) {
            let len = offsets.iter().map(|&(at, offset)| offset + activations[at].len).max();
            if len.unwrap_or(0) >= *best {
                return;
            }
            if offsets.len() == activations.len() {
                *best = len.unwrap_or(0);
                return;
            }
            for at in 0..activations.len() {
                if offsets.iter().any(|&(other, _)| other == at) {
                    continue;
                }
                let mut taken: Vec<(usize, usize)> = offsets
                    .iter()
                    .filter(|&&(other, _)| activations[other].overlaps(&activations[at]))
                    .map(|&(other, offset)| (offset, offset + activations[other].len))
                    .collect();
                taken.sort_unstable();
                let lowest = taken.into_iter().fold(0, |end, (from, to)| {
                    if from >= end + activations[at].len {
                        end
                    } else {
                        end.max(to)
                    }
                });
                offsets.push((at, lowest));
                place(activations, offsets, best);
                offsets.pop();
            }
        }
        let mut best = activations.iter().map(|one| one.len).sum::<usize>() + 1;
        place(activations, &mut Vec::new(), &mut best);
        best
    }

    #[test]
    fn small_plans_are_near_their_optimum_and_activations_in_use_never_overlap() {
        let mut draw = Draw(1);
        let (mut optimal, mut worst) = (0, 1.0f64);
        const PLANS: usize = 300;
        for _ in 0..PLANS {
            let activations: Vec<Activation> = (0..2 + draw.below(5))
                .map(|_| {
                    let first = draw.below(6);
                    Activation {
                        len: 1 + draw.below(9),
                        first,
                        last: first + draw.below(4),
                    }
                })
                .collect();
            let arena = Arena::new(&activations);
            for (at, one) in activations.iter().enumerate() {
                for (other, offset) in activations.iter().zip(&arena.offsets).take(at) {
                    let apart = arena.offsets[at] >= offset + other.len || *offset >= arena.offsets[at] + one.len;
                    assert!(apart || !one.overlaps(other), "{activations:?}: {arena:?}");
                }
                assert!(arena.offsets[at] + one.len <= arena.len);
            }
            let best = smallest(&activations);
            assert!(breadth(&activations) <= best && best <= arena.len, "{activations:?}");
            optimal += usize::from(best == arena.len);
            worst = worst.max(arena.len as f64 / best as f64);
        }
        assert!(
            optimal >= PLANS * 9 / 10 && worst < 1.5,
            "{optimal} of {PLANS}, at worst {worst}"
        );
    }

    #[test]
    fn the_better_of_two_orders_is_used() {
        // Two bottlenecks of a chain: by size, the third hidden tensor gets offset 0, which leaves
        // no gap for the output between the bottlenecks.
        let one = |len, first, last| Activation { len, first, last };
        let all = [
            one(8, 0, 4),
            one(48, 1, 2),
            one(48, 2, 3),
            one(8, 3, 5),
            one(48, 5, 6),
            one(12, 6, 7),
        ];
        assert_eq!(Arena::placed(&all, by_size(&all)).len, 112);
        assert_eq!((Arena::new(&all).len, breadth(&all)), (104, 104));
    }

    #[test]
    fn an_activation_takes_the_smallest_gap_that_it_fits() {
        let one = |len, first, last| Activation { len, first, last };
        // 9 and 8 are never needed together, so both have offset 0. 5 is needed with both, and so
        // comes after 9. 2 is only needed with 9, so its offset may be that of 5.
        let all = [one(9, 0, 1), one(8, 2, 3), one(5, 1, 2), one(2, 0, 0)];
        assert_eq!(
            Arena::new(&all),
            Arena {
                offsets: vec![0, 0, 9, 9],
                len: 14
            }
        );
        assert_eq!((Arena::new(&[]).len, breadth(&[])), (0, 0));
    }
}
