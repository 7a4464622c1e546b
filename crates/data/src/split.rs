//! Divides labelled images, stratified: every part has nearly the same fraction of each class.
//!
//! Each class is shuffled by the seed and divided; the counts per class are rounded cumulatively,
//! so that each is off by less than one image and the total is exact.

use super::error::DataError;
use crate::random::{Purpose, generator};
use da2s_records::counted;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// The training images as used by a search. The parts are disjoint, cover everything, and are in
/// ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchSplit {
    /// Images whose gradients train the weights.
    pub weight_half: Vec<usize>,
    /// Images whose gradients train the architecture parameters.
    pub arch_half: Vec<usize>,
    /// Images without gradients; empty unless requested.
    pub validation: Vec<usize>,
}

impl SearchSplit {
    /// Divides images with these labels: `arch_fraction` of them for the architecture,
    /// `validation_fraction` only for validation, the rest for the weights. `seed` determines the
    /// choice.
    ///
    /// # Errors
    /// [`DataError::Setting`] if a fraction is out of range, or so small that its part would be
    /// empty.
    pub fn new(labels: &[u32], arch_fraction: f64, validation_fraction: f64, seed: u64) -> Result<Self, DataError> {
        let require_arch =
            |allowed, expected: &str| DataError::require("data.arch_fraction", arch_fraction, allowed, expected);
        let require_validation = |allowed, expected: &str| {
            DataError::require("data.validation_fraction", validation_fraction, allowed, expected)
        };
        require_arch(
            arch_fraction > 0.0 && arch_fraction < 1.0,
            "more than 0 and less than 1",
        )?;
        require_validation(
            validation_fraction >= 0.0 && arch_fraction + validation_fraction < 1.0,
            "at least 0, and with data.arch_fraction less than 1",
        )?;
        let total = labels.len() as f64;
        let arch = (total * arch_fraction).round() as usize;
        let validation = (total * validation_fraction).round() as usize;
        let all = counted(labels.len(), "training image");
        let enough = format!("at least one image in each part, of {all} in all");
        require_arch(arch > 0 && arch + validation < labels.len(), &enough)?;
        require_validation(validation > 0 || validation_fraction == 0.0, &enough)?;

        let everything: Vec<usize> = (0..labels.len()).collect();
        let (validation, rest) = divide(labels, everything, validation, seed, Purpose::Validation);
        let (arch_half, weight_half) = divide(labels, rest, arch, seed, Purpose::Split);
        Ok(Self {
            weight_half,
            arch_half,
            validation,
        })
    }
}

/// `count` of the images with these labels, each class in proportion, in ascending order; all of
/// them if there are no more. `seed` determines the choice.
pub fn stratified_subset(labels: &[u32], count: usize, seed: u64) -> Vec<usize> {
    let everything: Vec<usize> = (0..labels.len()).collect();
    let count = count.min(labels.len());
    divide(labels, everything, count, seed, Purpose::Subset).0
}

/// At most `count` of the images at `indices`, the same fraction of each class. `labels` are those
/// of all images.
pub fn stratified_sample(indices: &[usize], labels: &[u32], count: usize, seed: u64) -> Vec<usize> {
    let own: Vec<u32> = indices.iter().map(|&index| labels[index]).collect();
    stratified_subset(&own, count, seed)
        .into_iter()
        .map(|at| indices[at])
        .collect()
}

/// One of this many images is set aside for testing if there are no test images.
const TRAIN_TO_TEST: usize = 5;

/// Splits the images with these labels into those that remain and those for testing: a fifth of
/// each class, rounded, but at least one image of each class that has two or more. Both are in
/// ascending order; `seed` determines the choice.
pub(super) fn set_aside(labels: &[u32], seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let (mut kept, mut aside) = (Vec::new(), Vec::new());
    for (class, mut members) in classes {
        members.shuffle(&mut generator(seed, Purpose::Test, 0, class.into()));
        let share = (members.len() + TRAIN_TO_TEST / 2) / TRAIN_TO_TEST;
        let count = share.max(1).min(members.len() - 1);
        aside.extend(members.drain(..count));
        kept.extend(members);
    }
    kept.sort_unstable();
    aside.sort_unstable();
    (kept, aside)
}

/// Takes `count` of the `candidates`, indices into `labels`; returns them and the others.
fn divide(
    labels: &[u32],
    candidates: Vec<usize>,
    count: usize,
    seed: u64,
    purpose: Purpose,
) -> (Vec<usize>, Vec<usize>) {
    let total = candidates.len();
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for index in candidates {
        classes.entry(labels[index]).or_default().push(index);
    }

    // The fraction of the first n candidates, rounded to the nearest integer: its differences are
    // integers that sum to `count`.
    let share = |n: usize| (2 * n * count + total) / (2 * total);
    let (mut taken, mut others) = (Vec::with_capacity(count), Vec::new());
    let mut before = 0;
    for (class, mut members) in classes {
        members.shuffle(&mut generator(seed, purpose, 0, class.into()));
        let after = before + members.len();
        let (head, tail) = members.split_at(share(after) - share(before));
        taken.extend_from_slice(head);
        others.extend_from_slice(tail);
        before = after;
    }
    taken.sort_unstable();
    others.sort_unstable();
    (taken, others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_class(part: &[usize], labels: &[u32], class: u32) -> usize {
        part.iter().filter(|&&i| labels[i] == class).count()
    }

    #[test]
    fn half_of_ten_balanced_classes_is_half_of_each() {
        let labels: Vec<u32> = (0..1000).map(|i| i % 10).collect();
        let split = SearchSplit::new(&labels, 0.5, 0.0, 1).unwrap();
        assert!(split.validation.is_empty());
        for class in 0..10 {
            assert_eq!(in_class(&split.weight_half, &labels, class), 50);
            assert_eq!(in_class(&split.arch_half, &labels, class), 50);
        }
        assert_ne!(split, SearchSplit::new(&labels, 0.5, 0.0, 2).unwrap());
    }

    #[test]
    fn fractions_out_of_range_are_refused() {
        let labels = [0, 1, 0, 1];
        for (arch, validation) in [
            (0.0, 0.0),
            (1.0, 0.0),
            (-0.5, 0.0),
            (f64::NAN, 0.0),
            (0.5, 0.5),
            (0.5, -0.1),
            (0.5, f64::NAN),
            (0.01, 0.0),
            (0.99, 0.0),
            (0.5, 0.01),
        ] {
            assert!(
                SearchSplit::new(&labels, arch, validation, 0).is_err(),
                "{arch} {validation}"
            );
        }
        assert!(SearchSplit::new(&[], 0.5, 0.0, 0).is_err());
    }

    #[test]
    fn a_fifth_of_each_class_is_set_aside_and_one_at_least() {
        let counts = [12, 1, 2, 3, 8, 100];
        let labels: Vec<u32> = (0..)
            .zip(counts)
            .flat_map(|(class, count)| vec![class; count])
            .collect();
        let (kept, aside) = set_aside(&labels, 7);
        let of_class = |class| in_class(&aside, &labels, class);
        assert_eq!([0, 1, 2, 3, 4, 5].map(of_class), [2, 0, 1, 1, 2, 20]);
        let mut all = [&kept[..], &aside].concat();
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        assert_eq!((kept, aside.clone()), set_aside(&labels, 7));
        assert_ne!(aside, set_aside(&labels, 8).1);
    }

    #[test]
    fn a_subset_is_no_larger_than_the_whole() {
        assert_eq!(stratified_subset(&[0, 0, 1], 7, 0), [0, 1, 2]);
        assert!(stratified_subset(&[], 7, 0).is_empty());
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_stratified(
            labels in prop::collection::vec(0u32..7, 20..300),
            arch in 0.1f64..0.6,
            validation in prop::sample::select(vec![0.0, 0.1, 0.25]),
            seed: u64,
        ) {
            let split = SearchSplit::new(&labels, arch, validation, seed).unwrap();
            prop_assert_eq!(&split, &SearchSplit::new(&labels, arch, validation, seed).unwrap());
            let mut all = [&split.weight_half[..], &split.arch_half, &split.validation].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let size = |fraction: f64| (labels.len() as f64 * fraction).round();
            prop_assert_eq!(split.arch_half.len() as f64, size(arch));
            prop_assert_eq!(split.validation.len() as f64, size(validation));
            for class in 0..7 {
                let members = labels.iter().filter(|&&label| label == class).count() as f64;
                let share = |part: &Vec<usize>| part.len() as f64 / labels.len() as f64 * members;
                for part in [&split.weight_half, &split.arch_half, &split.validation] {
                    let found = in_class(part, &labels, class) as f64;
                    prop_assert!((found - share(part)).abs() < 2.0);
                }
            }
        }
    }
}
