//! Stateless randomness: every use has its own generator, keyed by (seed, purpose, epoch, step).
//!
//! The generator is ChaCha with 8 rounds; its 32-byte key is the concatenation of the four values,
//! so that two different quadruples never share a stream and no draw depends on earlier draws
//! elsewhere. A run that is resumed at step n therefore draws the same numbers as a run that was
//! never stopped, bit for bit.

use da2s_settings::strum::VariantArray;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The purpose of a random draw. The codes are part of the meaning of a seed: they never change,
/// and a new purpose gets the next free code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, VariantArray)]
#[strum(crate = "da2s_settings::strum")]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights of the super-network.
    Weights = 1,
    /// Initial architecture parameters.
    ArchParams = 2,
    /// Division of the training images into a part for the weights and a part for the architecture.
    Split = 3,
    /// The order of the samples in an epoch.
    Shuffle = 4,
    /// Augmentation of one sample.
    Augment = 5,
    /// Choice of the paths that are dropped while the final network trains.
    DropPath = 6,
    /// Gumbel noise of the methods that sample operations.
    Gumbel = 7,
    /// Any other draw of a search method.
    Method = 8,
    /// Choice of a subset of a data set.
    Subset = 9,
    /// Initial weights of the discretized network.
    NetworkWeights = 10,
    /// Complete genotypes drawn at random.
    Genotype = 11,
    /// Choice of the training images that are set aside for validation.
    Validation = 12,
    /// Choice of the images that are set aside for testing, if there are no test images.
    Test = 13,
    /// How the images of a batch are mixed with others.
    Mix = 14,
    /// Choice of the training images that calibrate a network in int8.
    Calibration = 15,
}

impl Purpose {
    /// Every purpose, in the order of the codes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The code in the generator's key.
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// The generator of one use. `epoch` and `step` count the uses of this purpose (0 if there is only
/// one): an epoch and a step, or the index of a tensor, a class, a sample.
pub fn generator(seed: u64, purpose: Purpose, epoch: u64, step: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, purpose.code(), epoch, step]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngCore;
    use std::collections::HashSet;

    #[test]
    fn first_draws_are_pinned() {
        let first = |seed, purpose, epoch, step| generator(seed, purpose, epoch, step).next_u64();
        assert_eq!(
            [
                first(0, Purpose::Weights, 0, 0),
                first(1, Purpose::Weights, 0, 0),
                first(0, Purpose::Shuffle, 3, 1),
                first(42, Purpose::Augment, 7, 1234),
            ],
            [
                4_606_029_925_845_525_861,
                4_344_717_217_939_160_907,
                7_830_820_376_274_746_238,
                5_710_140_894_513_005_439
            ]
        );
    }

    #[test]
    fn codes_count_from_one_in_the_listed_order() {
        for (purpose, code) in Purpose::ALL.iter().zip(1..) {
            assert_eq!(purpose.code(), code);
        }
    }

    #[test]
    fn neighbouring_keys_give_different_streams() {
        let mut seen = HashSet::new();
        for seed in 0..4 {
            for &purpose in Purpose::ALL {
                for epoch in 0..4 {
                    for step in 0..4 {
                        assert!(seen.insert(generator(seed, purpose, epoch, step).next_u64()));
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_decides_its_stream(a: [u64; 3], b: [u64; 3]) {
            let draw = |[seed, epoch, step]: [u64; 3]| {
                let mut rng = generator(seed, Purpose::Method, epoch, step);
                [rng.next_u64(), rng.next_u64()]
            };
            prop_assert_eq!(draw(a), draw(a));
            prop_assert_eq!(a == b, draw(a) == draw(b));
        }
    }
}
