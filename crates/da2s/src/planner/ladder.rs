//! The sizes of networks from which a plan chooses: those of the settings, and smaller ones.
//!
//! Contract: a size has fewer cells before it has fewer than 16 channels, which fill a vector
//! register of AVX-512: narrow networks have less arithmetic, but do not save as much time (see the
//! book, *Runs end in time*).

use std::collections::BTreeMap;

use super::Lesson;
use crate::memory::Needs;

/// The sizes of a stage that are possible, the largest first, with what is known of them.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    sizes: Vec<[usize; 2]>,
    /// Multiply-adds of each for one image.
    pub multiply_adds: Vec<f64>,
    /// Memory of a step, for the sizes that were measured.
    needs: BTreeMap<usize, Needs>,
}

impl Ladder {
    /// Whether there is no size yet.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Adds a smaller size with these multiply-adds.
    pub fn push(&mut self, size: [usize; 2], multiply_adds: f64) {
        self.sizes.push(size);
        self.multiply_adds.push(multiply_adds);
    }

    /// The channels and cells with this index.
    pub fn size(&self, index: usize) -> [usize; 2] {
        self.sizes[index]
    }

    /// Records the memory that a step of this size needs.
    pub fn needs(&mut self, index: usize, needs: Needs) {
        self.needs.insert(index, needs);
    }

    /// A training of this size: `epochs` epochs of `steps` steps, each step with `batch` images and
    /// `step_s` seconds long.
    pub fn lesson(&self, index: usize, [epochs, steps, batch]: [usize; 3], step_s: f64) -> Lesson {
        let [channels, cells] = self.sizes[index];
        Lesson {
            channels,
            cells,
            depth: Vec::new(),
            epochs,
            steps,
            batch,
            step_s,
            needs: self.needs.get(&index).copied().unwrap_or_default(),
            is_smallest: index + 1 == self.sizes.len(),
            is_short: false,
        }
    }
}

/// Channels and cells as fractions of those of the settings, the largest first.
const RUNGS: [(f64, f64); 6] = [
    (1.0, 1.0),
    (0.75, 0.65),
    (0.5, 0.5),
    (0.5, 0.4),
    (0.34, 0.25),
    (0.25, 0.15),
];
/// Channels of a smaller size are multiples of this number, if possible.
pub(super) const CHANNEL_STEP: usize = 8;
/// The fewest channels, except in the last size, which has [`CHANNEL_STEP`].
const FEW_CHANNELS: usize = 2 * CHANNEL_STEP;
/// The fewest cells: two reduction cells and a normal one between them.
const FEWEST_CELLS: usize = 3;

/// Channels and cells, the largest first. `free` says which of the two may change; channels are
/// multiples of `multiple`.
pub(super) fn sizes(largest: [usize; 2], free: [bool; 2], multiple: usize) -> Vec<[usize; 2]> {
    let [channels, cells] = largest;
    let fewer = |all: usize, share: f64, multiple: usize, fewest: usize| {
        let units = (all as f64 * share / multiple as f64).round() as usize;
        (units * multiple).max(fewest.next_multiple_of(multiple)).min(all)
    };
    let mut sizes = vec![largest];
    let wide = RUNGS.map(|shares| (shares, FEW_CHANNELS));
    for ((of_channels, of_cells), fewest) in wide.into_iter().chain([((0.0, 0.0), CHANNEL_STEP)]) {
        let size = [
            if free[0] {
                fewer(channels, of_channels, multiple, fewest)
            } else {
                channels
            },
            if free[1] {
                fewer(cells, of_cells, 1, FEWEST_CELLS)
            } else {
                cells
            },
        ];
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_become_fewer_before_channels_do() {
        let network = sizes([36, 20], [true, true], 8);
        let expected = [[36, 20], [24, 13], [16, 10], [16, 8], [16, 5], [16, 3], [8, 3]];
        assert_eq!(network, expected);
        let search = sizes([16, 8], [true, true], 8);
        assert_eq!(search, [[16, 8], [16, 5], [16, 4], [16, 3], [8, 3]]);
        assert_eq!(sizes([36, 1], [true, false], 8), [[36, 1], [24, 1], [16, 1], [8, 1]]);
        assert_eq!(sizes([36, 20], [false, false], 8), [[36, 20]]);
    }

    proptest! {
        #[test]
        fn sizes_fall_and_never_exceed_the_largest(
            channels in 1usize..300,
            cells in 1usize..40,
            free in any::<[bool; 2]>(),
            multiple in 1usize..17,
        ) {
            let sizes = sizes([channels, cells], free, multiple);
            prop_assert_eq!(sizes[0], [channels, cells]);
            for pair in sizes.windows(2) {
                prop_assert!(pair[1][0] <= pair[0][0] && pair[1][1] <= pair[0][1] && pair[1] != pair[0]);
                prop_assert!(pair[1][0] == channels || pair[1][0].is_multiple_of(multiple));
            }
            prop_assert!(sizes.iter().all(|size| (free[0] || size[0] == channels) && (free[1] || size[1] == cells)));
        }
    }
}
