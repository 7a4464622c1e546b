//! The taps of a convolution: the table or matrix that each uses, and the offset at which it reads.
//!
//! Every call must check that all taps stay within its slices. The bounds needed for that, the
//! furthest reads in both directions and the largest table, are computed once when the taps are
//! created and not per call: on small images a call is only a few hundred products. Contract: there
//! are as many tables as offsets. Other modules cannot change tables and offsets, so the stored
//! bounds stay correct.

use std::borrow::Cow;

/// Taps in the order of summation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taps {
    tables: Cow<'static, [usize]>,
    offsets: Cow<'static, [isize]>,
    first: isize,
    last: isize,
    needed: usize,
    rows: Option<Rows>,
}

/// Square taps whose horizontal neighbours all read the same distance apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    side: usize,
    distance: isize,
}

impl Taps {
    /// The only tap of a pointwise convolution.
    pub fn point() -> &'static Self {
        static POINT: Taps = Taps {
            tables: Cow::Borrowed(&[0]),
            offsets: Cow::Borrowed(&[0]),
            first: 0,
            last: 0,
            needed: 1,
            rows: None,
        };
        &POINT
    }

    /// Taps that use `tables` and read at `offsets`, in floats from the pixel under the window's
    /// origin.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn new(tables: Vec<usize>, offsets: Vec<isize>) -> Self {
        assert_eq!(tables.len(), offsets.len(), "a tap has a table and an offset");
        let end = |found: Option<&isize>| found.copied().unwrap_or(0);
        Self {
            first: end(offsets.iter().min()),
            last: end(offsets.iter().max()),
            needed: tables.iter().max().map_or(0, |table| table.saturating_add(1)),
            rows: [3, 5].into_iter().find_map(|side| Rows::of(&offsets, side)),
            tables: tables.into(),
            offsets: offsets.into(),
        }
    }

    /// Number of taps.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are no taps.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The table or matrix that each tap uses.
    pub fn tables(&self) -> &[usize] {
        &self.tables
    }

    /// The offset at which each tap reads.
    pub fn offsets(&self) -> &[isize] {
        &self.offsets
    }

    /// Whether all taps read `channels` floats within `len`, for windows whose origins lie between
    /// the `ends`.
    pub(crate) fn stay_within(&self, ends: [usize; 2], channels: usize, len: usize) -> bool {
        let [first, last] = ends.map(|end| isize::try_from(end).unwrap_or(isize::MAX));
        let (first, last) = (first.saturating_add(self.first), last.saturating_add(self.last));
        first >= 0 && usize::try_from(last).is_ok_and(|last| last.saturating_add(channels) <= len)
    }

    /// The number of tables that must exist.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    /// For `side` × `side` taps, how many steps apart horizontal neighbours read; `None` for other
    /// taps.
    pub(crate) fn neighbours(&self, side: usize, step: usize) -> Option<usize> {
        let rows = self.rows.filter(|rows| rows.side == side)?;
        let (distance, apart) = (rows.distance.unsigned_abs(), rows.distance.unsigned_abs() / step);
        (apart > 0 && apart * step == distance).then_some(apart)
    }
}

impl Rows {
    fn of(offsets: &[isize], side: usize) -> Option<Self> {
        if offsets.len() != side * side {
            return None;
        }
        let distance = offsets[1] - offsets[0];
        let even = offsets
            .chunks(side)
            .all(|row| row.windows(2).all(|pair| pair[1] - pair[0] == distance));
        even.then_some(Self { side, distance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_bounds_are_those_of_the_taps() {
        let offsets = vec![-12, -10, -8, -2, 0, 2, 8, 10, 12];
        let taps = Taps::new((0..9).rev().collect(), offsets);
        assert_eq!((taps.needed(), taps.len()), (9, 9));
        let within = |ends, len| taps.stay_within(ends, 2, len);
        assert!(
            within([12, 20], 34) && !within([12, 20], 33) && !within([11, 20], 34) && !within([12, usize::MAX], 34)
        );
        assert_eq!(
            [(3, 1), (3, 2), (3, 4), (5, 2)].map(|(side, step)| taps.neighbours(side, step)),
            [Some(2), Some(1), None, None]
        );
        let uneven = Taps::new(vec![0; 9], vec![0, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(uneven.neighbours(3, 1), None);
        let none = Taps::new(Vec::new(), Vec::new());
        assert!(none.stay_within([0, 3], 1, 4) && none.needed() == 0 && none.is_empty());
        assert_eq!(Taps::point(), &Taps::new(vec![0], vec![0]));
    }
}
