//! The worst mistakes of a network: misclassified images, those with the highest loss first.
//!
//! Contract: the earlier image wins ties; correctly classified images are not kept.

use da2s_records::schema::Mistake;

/// Number of mistakes that are kept.
const MOST: usize = 24;

/// The worst mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Mistake>);

impl Worst {
    /// Adds an image: its index, its class, the predicted class and one logit per class.
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
            index: index as u64,
            class,
            predicted,
            class_probability: Some(probability(class)),
            predicted_probability: Some(probability(predicted)),
            loss: Some(sum.ln() - own),
            picture: None,
        };
        let place = self.0.partition_point(|other| other.loss >= mistake.loss);
        self.0.insert(place, mistake);
        self.0.truncate(MOST);
    }

    /// The mistakes, worst first.
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
        let indices: Vec<u64> = list.iter().map(|mistake| mistake.index).collect();
        assert_eq!(list.len(), MOST);
        assert_eq!(indices[..3], [29, 28, 27]);
        assert_eq!(indices[20..], [9, 39, 8, 38], "of two that are alike the earlier one");
        let [loss, own, other] =
            [list[0].loss, list[0].class_probability, list[0].predicted_probability].map(Option::unwrap);
        assert!((loss + own.ln()).abs() < 1e-9);
        assert!((own + other - 1.0).abs() < 1e-12);
    }
}
