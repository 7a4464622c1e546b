//! TrivialAugment: one operation, of a strength drawn at random, on each image.
//!
//! Reference: Müller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation",
//! ICCV 2021, algorithm 1, with the operations and ranges of its table "wide" as torchvision's
//! `TrivialAugmentWide` has them. Contract: every image gets one of the fourteen operations with
//! one of 31 strengths, each equally likely, as are the two directions of operations that have two.
//! Colour is the identity on grey images.

use da2s_images::Image;
use da2s_settings::words;
use rand::Rng;

use crate::pixel_operations as pixels;

/// Number of strengths.
const STRENGTHS: usize = 31;

words! {
    /// The operations of TrivialAugment.
    #[strum(serialize_all = "snake_case")]
    pub(crate) enum Operation {
        /// The image itself.
        Identity,
        /// Moves each row sideways, by up to 0.99 times its index.
        ShearX,
        /// Moves each column up or down, by up to 0.99 times its index.
        ShearY,
        /// Moves the image sideways, by up to 32 pixels.
        TranslateX,
        /// Moves the image up or down, by up to 32 pixels.
        TranslateY,
        /// Rotates the image around its centre, by up to 135 degrees.
        Rotate,
        /// Brightness times 0.01 to 1.99.
        Brightness,
        /// Saturation times 0.01 to 1.99.
        Color,
        /// Contrast times 0.01 to 1.99.
        Contrast,
        /// From almost smoothed (0.01) to sharpened (1.99).
        Sharpness,
        /// Keeps the upper 8 to 2 bits.
        Posterize,
        /// Inverts values from a threshold on, which is between 255 and 0.
        Solarize,
        /// Stretches each channel to the whole range.
        AutoContrast,
        /// Equalises each channel's histogram.
        Equalize,
    }
}

impl Operation {
    /// The magnitude at `part` (0 to 1) of the range, and whether it has a direction.
    fn magnitude(self, part: f64) -> (f64, bool) {
        match self {
            Self::ShearX | Self::ShearY | Self::Brightness | Self::Color | Self::Contrast | Self::Sharpness => {
                (0.99 * part, true)
            }
            Self::TranslateX | Self::TranslateY => (32.0 * part, true),
            Self::Rotate => (135.0 * part, true),
            Self::Posterize => (8.0 - (6.0 * part).round_ties_even(), false),
            Self::Solarize => (255.0 - 255.0 * part, false),
            Self::Identity | Self::AutoContrast | Self::Equalize => (0.0, false),
        }
    }

    /// Applies the operation to `image`, with a magnitude from the table.
    fn apply(self, image: Image, magnitude: f64) -> Image {
        match self {
            Self::Identity => image,
            Self::ShearX => pixels::affine(&image, [1.0, magnitude, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY => pixels::affine(&image, [1.0, 0.0, 0.0, magnitude, 1.0, 0.0]),
            Self::TranslateX => pixels::affine(&image, [1.0, 0.0, magnitude.trunc(), 0.0, 1.0, 0.0]),
            Self::TranslateY => pixels::affine(&image, [1.0, 0.0, 0.0, 0.0, 1.0, magnitude.trunc()]),
            Self::Rotate => pixels::rotate(&image, magnitude),
            Self::Brightness => pixels::brightness(image, 1.0 + magnitude),
            Self::Color => pixels::color(image, 1.0 + magnitude),
            Self::Contrast => pixels::contrast(image, 1.0 + magnitude),
            Self::Sharpness => pixels::sharpness(image, 1.0 + magnitude),
            Self::Posterize => pixels::posterize(image, magnitude as u32),
            Self::Solarize => pixels::solarize(image, magnitude),
            Self::AutoContrast => pixels::auto_contrast(image),
            Self::Equalize => pixels::equalize(image),
        }
    }
}

/// Applies an operation drawn at random.
pub(crate) fn trivial_augment(image: Image, random: &mut impl Rng) -> Image {
    let (operation, magnitude) = drawn(random);
    operation.apply(image, magnitude)
}

fn drawn(random: &mut impl Rng) -> (Operation, f64) {
    let operation = Operation::ALL[random.random_range(0..Operation::ALL.len())];
    let strength = random.random_range(0..STRENGTHS);
    let (magnitude, directed) = operation.magnitude(strength as f64 / (STRENGTHS - 1) as f64);
    let back = directed && random.random();
    (operation, if back { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageShape;
    use crate::random::{Purpose, generator};
    use std::cmp::Ordering;
    use std::collections::HashSet;

    /// Inputs and outputs of Pillow, in the repository; `trivial_augment.py` beside it wrote them.
    const GOLDEN: &str = include_str!("../../../fixtures/golden/trivial_augment.csv");

    struct Row {
        operation: String,
        magnitude: f64,
        image: Image,
    }

    fn golden() -> Vec<Row> {
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let [channels, height, width] = [2, 3, 4].map(|field: usize| fields[field].parse().unwrap());
            let bytes = (0..fields[5].len() / 2).map(|at| u8::from_str_radix(&fields[5][2 * at..2 * at + 2], 16));
            let shape = ImageShape {
                channels,
                height,
                width,
            };
            Row {
                operation: fields[0].to_owned(),
                magnitude: fields[1].parse().unwrap(),
                image: Image::new(shape, bytes.collect::<Result<_, _>>().unwrap()),
            }
        };
        GOLDEN.lines().skip(1).map(row).collect()
    }

    #[test]
    fn every_operation_gives_the_bytes_of_pillow() {
        let mut picture = None;
        let mut seen = HashSet::new();
        for row in golden() {
            if row.operation == "picture" {
                picture = Some(row.image);
                continue;
            }
            let input = picture.clone().unwrap();
            let operation = Operation::from_name(&row.operation).unwrap();
            let ours = operation.apply(input.clone(), row.magnitude);
            let (channels, name) = (input.shape().channels, row.operation);
            assert!(ours == row.image, "{name} {} on {channels} channels", row.magnitude);
            // Each has an effect, except the identity, and colour on grey images.
            if ours != input {
                seen.insert((channels, operation));
            }
        }
        let effective =
            |channels, operation| operation != Operation::Identity && (channels, operation) != (1, Operation::Color);
        for channels in [1, 3] {
            for operation in Operation::ALL {
                let is = seen.contains(&(channels, operation));
                assert_eq!(
                    is,
                    effective(channels, operation),
                    "{operation:?} on {channels} channels"
                );
            }
        }
    }

    #[test]
    fn strengths_are_those_of_the_table() {
        let ends = |operation: Operation| [0.0, 1.0].map(|part| operation.magnitude(part).0);
        assert_eq!(ends(Operation::ShearY), [0.0, 0.99]);
        assert_eq!(ends(Operation::TranslateX), [0.0, 32.0]);
        assert_eq!(ends(Operation::Rotate), [0.0, 135.0]);
        assert_eq!(ends(Operation::Sharpness), [0.0, 0.99]);
        assert_eq!(ends(Operation::Posterize), [8.0, 2.0]);
        assert_eq!(ends(Operation::Solarize), [255.0, 0.0]);
        // torchvision: 8 − (arange(31) / 5).round().
        let bits: Vec<f64> = (0..31)
            .map(|bin| Operation::Posterize.magnitude(f64::from(bin) / 30.0).0)
            .collect();
        assert_eq!(bits[..9], [8.0, 8.0, 8.0, 7.0, 7.0, 7.0, 7.0, 7.0, 6.0]);
    }

    #[test]
    fn every_operation_is_drawn_and_the_shape_stays() {
        let picture = golden().pop().unwrap().image;
        let mut seen = HashSet::new();
        for seed in 0..600 {
            let (operation, magnitude) = drawn(&mut generator(seed, Purpose::Augment, 0, 0));
            seen.insert((operation, magnitude.total_cmp(&0.0)));
            assert_eq!(operation.apply(picture.clone(), magnitude).shape(), picture.shape());
        }
        for operation in Operation::ALL {
            let (_, directed) = operation.magnitude(1.0);
            let has = |sign| seen.contains(&(operation, sign));
            assert!(has(Ordering::Greater) || has(Ordering::Equal), "{operation:?}");
            assert_eq!(has(Ordering::Less), directed, "{operation:?}");
        }
    }
}
