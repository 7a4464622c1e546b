//! From logits to classes and probabilities.

use serde::Serialize;

/// A class and its probability, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its probability.
    pub probability: f32,
}

/// The `count` most probable of `classes`, most probable first.
pub fn most_probable(classes: &[String], logits: &[f32], count: usize) -> Vec<Class> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let named = classes.iter().zip(&weights).map(|(name, weight)| Class {
        name: name.clone(),
        probability: weight / sum,
    });
    let mut all: Vec<Class> = named.collect();
    all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax_in_order() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let classes = most_probable(&names, &[1000.0, 1001.0, 999.0], 2);
        let sum = 1.0 + (-1.0f32).exp() + (-2.0f32).exp();
        assert_eq!([&*classes[0].name, &*classes[1].name], ["b", "a"]);
        assert!((classes[0].probability - 1.0 / sum).abs() < 1e-6);
        assert_eq!(classes.len(), 2);
    }
}
