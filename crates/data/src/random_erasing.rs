//! Random erasing: replaces a rectangle of an image by noise.
//!
//! Reference: Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", AAAI 2020,
//! algorithm 1, with random values ("RE-R"); the defaults are those of its section 4.2, and, as in
//! its published code, an image is left alone if 100 rectangles in a row do not fit.

use std::ops::Bound::{Included, Unbounded};

use da2s_images::Image;
use da2s_settings::{UP_TO_1, interval, settings};
use rand::Rng;

use crate::error::DataError;

/// Number of rectangles drawn before the image is left alone.
const ATTEMPTS: usize = 100;

settings! {
    /// Replaces a rectangle by noise. Setting any of these turns it on.
    #[derive(Copy)]
    pub struct RandomErasing {
        /// Share of the images in which a rectangle is replaced; 0.5 if only the others are set.
        probability: f32 = 0.5, in UP_TO_1;
        /// Minimum and maximum share of the image's area in the rectangle; [0.02, 0.4] if unset.
        area: [f32; 2] = [0.02, 0.4], in interval(Included(1.0));
        /// Minimum and maximum height ÷ width of the rectangle; [0.3, 1/0.3] if unset.
        ratio: [f32; 2] = [0.3, 1.0 / 0.3], in interval(Unbounded);
    }
}

impl RandomErasing {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`DataError::Setting`] for the first that is out of range.
    pub(crate) fn validate(&self) -> Result<(), DataError> {
        let Self {
            probability,
            area,
            ratio,
        } = *self;
        let allowed = (0.0..=1.0).contains(&probability);
        DataError::require("random_erasing.probability", probability, allowed, "0 to 1")?;
        let allowed = area[0] > 0.0 && area[0] <= area[1] && area[1] <= 1.0;
        let expected = "minimum and maximum, more than 0 and at most 1";
        DataError::require("random_erasing.area", format!("{area:?}"), allowed, expected)?;
        let allowed = ratio[0] > 0.0 && ratio[0] <= ratio[1] && ratio[1].is_finite();
        let expected = "minimum and maximum, more than 0";
        DataError::require("random_erasing.ratio", format!("{ratio:?}"), allowed, expected)
    }

    /// Replaces a rectangle of `image`, or leaves it alone.
    pub(crate) fn apply(&self, image: &mut Image, random: &mut impl Rng) {
        if !random.random_bool(self.probability.into()) {
            return;
        }
        let (height, width) = (image.shape().height, image.shape().width);
        for _ in 0..ATTEMPTS {
            let area = (height * width) as f32 * random.random_range(self.area[0]..=self.area[1]);
            let ratio = random.random_range(self.ratio[0]..=self.ratio[1]);
            let rows = (area * ratio).sqrt().round() as usize;
            let columns = (area / ratio).sqrt().round() as usize;
            if rows > height || columns > width {
                continue;
            }
            let top = random.random_range(0..=height - rows);
            let left = random.random_range(0..=width - columns);
            for plane in image.pixels_mut().chunks_exact_mut(height * width) {
                for row in plane.chunks_exact_mut(width).skip(top).take(rows) {
                    random.fill(&mut row[left..left + columns]);
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageShape;
    use crate::random::{Purpose, generator};

    #[test]
    fn rectangles_have_the_sizes_and_shares_of_the_paper() {
        let shape = ImageShape {
            channels: 3,
            height: 32,
            width: 24,
        };
        let erasing = RandomErasing::default();
        let (mut erased, images) = (0, 400);
        for seed in 0..images {
            // A value that noise rarely has in three channels.
            let mut image = Image::new(shape, vec![77; shape.values()]);
            erasing.apply(&mut image, &mut generator(seed, Purpose::Augment, 0, 0));
            let plane = shape.height * shape.width;
            let at = |at: usize| (0..3).any(|channel| image.pixels()[channel * plane + at] != 77);
            let changed: Vec<usize> = (0..plane).filter(|&place| at(place)).collect();
            if changed.is_empty() {
                continue;
            }
            erased += 1;
            let rows = changed.iter().map(|place| place / shape.width);
            let columns = changed.iter().map(|place| place % shape.width);
            let side = |places: Vec<usize>| places.iter().max().unwrap() - places.iter().min().unwrap() + 1;
            let (rows, columns) = (side(rows.collect()), side(columns.collect()));
            assert_eq!(changed.len(), rows * columns, "a rectangle is replaced completely");
            let (share, ratio) = ((rows * columns) as f64 / plane as f64, rows as f64 / columns as f64);
            // Sides are rounded to pixels.
            assert!((0.012..=0.43).contains(&share), "{share}");
            assert!((0.25..=4.0).contains(&ratio), "{ratio}");
        }
        assert!((160..=240).contains(&erased), "{erased} of {images}");
    }

    #[test]
    fn an_image_that_no_rectangle_fits_stays_unchanged() {
        let shape = ImageShape {
            channels: 1,
            height: 2,
            width: 40,
        };
        let before = Image::new(shape, vec![7; shape.values()]);
        let erasing = RandomErasing {
            probability: 1.0,
            area: [1.0, 1.0],
            ratio: [1.0, 1.0],
        };
        let mut image = before.clone();
        erasing.apply(&mut image, &mut generator(1, Purpose::Augment, 0, 0));
        assert_eq!(image, before);
    }
}
