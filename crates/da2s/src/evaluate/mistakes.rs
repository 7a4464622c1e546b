//! The worst mistakes of a network: the images that it takes for another class, those with the highest loss first.
//!
//! Contract: ties go to the earlier image; nothing is kept of images that are classified rightly.

use serde::{Deserialize, Serialize};

/// Mistakes that are kept.
const MOST: usize = 24;

/// An image that was taken for another class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its place among the images, from 0.
    pub index: usize,
    /// Its class.
    pub class: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// Probability that the network gives its class.
    pub class_probability: f64,
    /// Probability that the network gives what it was taken for.
    pub predicted_probability: f64,
    /// Cross-entropy of the image in nats.
    pub loss: f64,
}

/// The worst of the mistakes that were met so far.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Mistake>);

impl Worst {
    /// Looks at one image: its place, its class, what it was taken for and a logit a class.
    pub(super) fn look(&mut self, index: usize, class: usize, predicted: usize, logits: &[f32]) {
        if class == predicted {
            return;
        }
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let power = |logit: f32| f64::from(logit - top).exp();
        let sum: f64 = logits.iter().map(|&logit| power(logit)).sum();
        let probability = |class: usize| logits.get(class).map_or(0.0, |&logit| power(logit) / sum);
        let own = logits
            .get(class)
            .map_or(f64::NEG_INFINITY, |&logit| f64::from(logit - top));
        let mistake = Mistake {
            index,
            class,
            predicted,
            class_probability: probability(class),
            predicted_probability: probability(predicted),
            loss: sum.ln() - own,
        };
        let place = self.0.partition_point(|other| other.loss >= mistake.loss);
        self.0.insert(place, mistake);
        self.0.truncate(MOST);
    }

    /// Them, the worst first.
    pub(super) fn into_list(self) -> Vec<Mistake> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_mistakes_come_first_and_right_images_never() {
        let mut worst = Worst::default();
        worst.look(0, 1, 1, &[0.0, 5.0]);
        for index in 1..40 {
            worst.look(index, 0, 1, &[0.0, (index % 30) as f32]);
        }
        let list = worst.into_list();
        let indices: Vec<usize> = list.iter().map(|mistake| mistake.index).collect();
        assert_eq!(list.len(), MOST);
        assert_eq!(indices[..3], [29, 28, 27]);
        assert_eq!(indices[20..], [9, 39, 8, 38], "of two that are alike the earlier one");
        let sure = list[0];
        assert!((sure.loss + sure.class_probability.ln()).abs() < 1e-9);
        assert!((sure.class_probability + sure.predicted_probability - 1.0).abs() < 1e-12);
    }
}
