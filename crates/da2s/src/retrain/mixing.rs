//! Mixes the images of a batch with others of the batch, and their labels in the same proportion.
//!
//! Reference: mixup, Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
//! ICLR 2018, equations 1 and 2; CutMix, Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization
//! Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019, equations 1 and 2.
//! As in the code of both, there is one λ ~ Beta(α, α) per batch, and the batch is mixed with a
//! permutation of itself. Contract: a pure function of batch and generator; every process mixes the
//! images of its own part of a batch, all with the same λ.

use da2s_settings::{Problem, UP_TO_1, settings, up_to};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Beta, Distribution};

use crate::data::Batch;

/// The smallest α that is not 0: below it, the draws of a Beta distribution are not reliable.
const LEAST_ALPHA: f64 = 0.01;

settings! {
    /// Mixes the images of a batch with others, and their labels in the same proportion. By default
    /// nothing is mixed. The training accuracy of a mixed image counts the class with the larger
    /// share as correct.
    #[derive(Copy)]
    pub struct Mixing {
        /// α of mixup, which averages two images with the weights λ and 1 − λ, where λ ~ Beta(α,
        /// α); 0 turns it off.
        mixup: f64 = 0.0, in up_to(100.0);
        /// α of CutMix, which replaces a rectangle, 1 − λ of the area, by the same rectangle of
        /// another image; 0 turns it off. If mixup is on too, each batch uses one of the two at
        /// random.
        cutmix: f64 = 0.0, in up_to(100.0);
        /// Share of the batches that are mixed.
        probability: f64 = 1.0, in UP_TO_1;
    }
}

/// A batch in which each image may be a mix of two.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedBatch {
    /// The images and their own labels.
    pub batch: Batch,
    /// The others that are mixed in; `None` if the batch is not mixed.
    pub other: Option<Other>,
}

/// What is mixed into a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The label of what is mixed into each image.
    pub labels: Vec<u32>,
    /// The share λ of the image itself; the other has 1 − λ.
    pub own_share: f64,
}

impl Mixing {
    /// Checks that each α is 0 or large enough to draw from.
    ///
    /// # Errors
    /// For the first that is not.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let alphas = [("mixup", self.mixup), ("cutmix", self.cutmix)];
        match alphas
            .into_iter()
            .find(|(_, alpha)| *alpha > 0.0 && *alpha < LEAST_ALPHA)
        {
            Some((name, alpha)) => {
                let expected = format!("0, which leaves it out, or at least {LEAST_ALPHA}");
                Err(Problem::refused(format!("network.mixing.{name}"), alpha, expected))
            }
            None => Ok(()),
        }
    }

    /// Mixes `batch`, or leaves it as it is.
    pub fn apply(&self, batch: Batch, random: &mut impl Rng) -> MixedBatch {
        let is_mixed = (self.mixup > 0.0 || self.cutmix > 0.0) && random.random_bool(self.probability);
        let cuts = self.cutmix > 0.0 && (self.mixup == 0.0 || random.random());
        let alpha = if cuts { self.cutmix } else { self.mixup };
        match Beta::new(alpha, alpha) {
            Ok(shares) if is_mixed => {
                let share = shares.sample(random);
                let rectangle = cuts.then(|| Rectangle::drawn(share, batch.shape, random));
                mixed(batch, share, rectangle, random)
            }
            _ => MixedBatch { batch, other: None },
        }
    }
}

impl MixedBatch {
    /// For each image, the label of the larger share.
    pub fn main_labels(&self) -> &[u32] {
        match &self.other {
            Some(other) if other.own_share < 0.5 => &other.labels,
            _ => &self.batch.labels,
        }
    }
}

/// A part of an image, in pixels.
struct Rectangle {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
}

impl Rectangle {
    /// A rectangle around a random pixel. Its sides are √(1 − `share`) times those of the image;
    /// what is outside of the image is cut off.
    fn drawn(share: f64, [_, _, height, width]: [usize; 4], random: &mut impl Rng) -> Self {
        let part = (1.0 - share).sqrt();
        let mut side = |size: usize| {
            let half = (size as f64 * part) as usize / 2;
            let centre = random.random_range(0..size);
            centre.saturating_sub(half)..(centre + half).min(size)
        };
        Self {
            rows: side(height),
            columns: side(width),
        }
    }
}

/// Mixes each image with another: in the `rectangle`, or everywhere if it is `None`.
fn mixed(mut batch: Batch, share: f64, rectangle: Option<Rectangle>, random: &mut impl Rng) -> MixedBatch {
    let [images, channels, height, width] = batch.shape;
    let mut others: Vec<usize> = (0..images).collect();
    others.shuffle(random);
    let before = batch.images.clone();
    let (size, row_len) = (channels * height * width, channels * width);
    let pairs = batch.images.chunks_exact_mut(size).zip(&others);
    let pairs = pairs.map(|(image, &other)| (image, &before[other * size..][..size]));
    let own_share = match rectangle {
        None => {
            let (own, rest) = (share as f32, (1.0 - share) as f32);
            for (image, other) in pairs {
                for (value, other) in image.iter_mut().zip(other) {
                    *value = own * *value + rest * other;
                }
            }
            share
        }
        Some(Rectangle { rows, columns }) => {
            for (image, other) in pairs {
                for row in rows.clone() {
                    let [start, end] = [columns.start, columns.end].map(|column| row * row_len + column * channels);
                    image[start..end].copy_from_slice(&other[start..end]);
                }
            }
            1.0 - (rows.len() * columns.len()) as f64 / (height * width) as f64
        }
    };
    let labels = others.iter().map(|&other| batch.labels[other]).collect();
    MixedBatch {
        batch,
        other: Some(Other { labels, own_share }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    /// All values of an image are the same: its index plus one, which is also its label.
    fn batch() -> Batch {
        let (images, size) = (6, 2 * 8 * 10);
        Batch {
            images: (0..images).flat_map(|image| vec![image as f32 + 1.0; size]).collect(),
            labels: (1..=images as u32).collect(),
            shape: [images, 2, 8, 10],
            indices: (0..images).collect(),
        }
    }

    fn draws(mixing: Mixing) -> impl Iterator<Item = MixedBatch> {
        (0..300).map(move |step| mixing.apply(batch(), &mut generator(1, Purpose::Mix, 1, step)))
    }

    #[test]
    fn an_alpha_that_is_too_small_is_refused() {
        let of = |mixup| Mixing {
            mixup,
            ..Mixing::default()
        };
        assert!(of(0.0).check().is_ok() && of(0.01).check().is_ok());
        let problem = of(0.001).check().unwrap_err().to_string();
        let expected = "network.mixing.mixup = 0.001: expected 0, which leaves it out, or at least 0.01";
        assert_eq!(problem, expected);
    }

    #[test]
    fn without_a_setting_nothing_is_mixed() {
        assert!(draws(Mixing::default()).all(|mixed| mixed.other.is_none() && mixed.batch == batch()));
    }

    #[test]
    fn mixup_is_a_weighted_mean_of_images_and_labels() {
        let mixing = Mixing {
            mixup: 0.5,
            ..Mixing::default()
        };
        let (mut sum, mut squares) = (0.0, 0.0);
        for mixed in draws(mixing) {
            let Other { labels, own_share } = mixed.other.unwrap();
            let images = mixed.batch.images.chunks_exact(2 * 8 * 10);
            for ((image, &own), other) in images.zip(&mixed.batch.labels).zip(labels) {
                let expected = own_share * f64::from(own) + (1.0 - own_share) * f64::from(other);
                assert!(image.iter().all(|&value| (f64::from(value) - expected).abs() < 1e-5));
            }
            sum += own_share / 300.0;
            squares += own_share * own_share / 300.0;
        }
        // Beta(1/2, 1/2) has the mean 1/2 and the variance 1/8.
        assert!((sum - 0.5).abs() < 0.06, "{sum}");
        assert!((squares - sum * sum - 0.125).abs() < 0.02, "{squares}");
    }

    #[test]
    fn the_share_of_cutmix_matches_the_area_of_its_rectangle() {
        let mixing = Mixing {
            cutmix: 1.0,
            ..Mixing::default()
        };
        for mixed in draws(mixing) {
            let MixedBatch { batch, other } = mixed;
            let Other { labels, own_share } = other.unwrap();
            for (image, (own, other)) in batch.images.chunks_exact(160).zip(batch.labels.iter().zip(labels)) {
                let count = |label: u32| image.iter().filter(|&&value| value == label as f32).count();
                if *own != other {
                    assert_eq!(count(*own) as f64, (own_share * 160.0).round());
                    assert_eq!(count(*own) + count(other), 160);
                }
                // Both channels are alike.
                assert!(image.chunks_exact(2).all(|pixel| pixel[0] == pixel[1]));
            }
        }
    }

    #[test]
    fn the_larger_share_has_the_main_label() {
        let other = |own_share| MixedBatch {
            batch: batch(),
            other: Some(Other {
                labels: vec![9; 6],
                own_share,
            }),
        };
        assert_eq!(other(0.5).main_labels(), batch().labels);
        assert_eq!(other(0.4).main_labels(), [9; 6]);
    }

    #[test]
    fn each_batch_uses_mixup_or_cutmix_or_neither() {
        let mixing = Mixing {
            mixup: 1.0,
            cutmix: 1.0,
            probability: 0.8,
        };
        let (mut none, mut cut, mut averaged) = (0, 0, 0);
        for mixed in draws(mixing) {
            let whole = mixed.batch.images.iter().all(|value| value.fract() == 0.0);
            match mixed.other {
                None => none += 1,
                Some(_) if whole => cut += 1,
                Some(_) => averaged += 1,
            }
        }
        assert!((35..=85).contains(&none) && (90..=150).contains(&cut) && (90..=150).contains(&averaged));
    }
}
