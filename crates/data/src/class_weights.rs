//! The weight of each class in the loss of a training, for data sets with rare classes.
//!
//! Contract: one weight per class, used like those of PyTorch's `CrossEntropyLoss(weight=…)`; only
//! their ratios matter. `"balanced"` is scikit-learn's: n / (classes · n of the class).

use da2s_settings::{Allowed, FieldKind, Setting, positive_up_to, words};
use serde::{Deserialize, Serialize};

use super::dataset::class_counts;
use super::error::DataError;
use std::collections::BTreeMap;

/// With a larger weight, a class would be the only one that counts.
const WEIGHT: Allowed = positive_up_to(1e6).in_f32();
/// Maximum number of names listed in a message.
const NAMED: usize = 12;

/// The setting: a word, or weights by the names of the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// From the number of images of each class.
    Scheme(Scheme),
    /// As given; classes that are not named have weight 1.
    Given(BTreeMap<String, f64>),
}

words! {
    /// How the weights of the classes are chosen.
    #[strum(serialize_all = "lowercase")]
    pub enum Scheme {
        /// Every image counts alike.
        None,
        /// Every class counts alike.
        Balanced,
    }
}

impl Setting for ClassWeights {
    const KIND: FieldKind = FieldKind::Value(Allowed::AnyOf(&[Scheme::KIND.value(), Allowed::Named(&WEIGHT)]));
}

impl ClassWeights {
    /// The weight of each class of training images with these labels; `None` if all images have the
    /// same weight.
    ///
    /// # Errors
    /// [`DataError::Setting`] if a name is not that of a class.
    pub fn of(&self, class_names: &[String], labels: &[u32]) -> Result<Option<Vec<f32>>, DataError> {
        match self {
            Self::Scheme(Scheme::None) => Ok(None),
            Self::Scheme(Scheme::Balanced) => {
                let counts = class_counts(labels, class_names.len());
                let even = labels.len() as f64 / class_names.len() as f64;
                // A class without images never contributes to a loss.
                let weight = |count: usize| {
                    if count == 0 { 1.0 } else { (even / count as f64) as f32 }
                };
                Ok(Some(counts.into_iter().map(weight).collect()))
            }
            Self::Given(given) => {
                if let Some(unknown) = given.keys().find(|name| !class_names.contains(name)) {
                    let named = class_names[..class_names.len().min(NAMED)].join(", ");
                    let more = if class_names.len() > NAMED { ", …" } else { "" };
                    let expected = format!("weights of the classes {named}{more}");
                    return Err(DataError::setting("data.class_weights", unknown, expected));
                }
                let weight = |name: &String| given.get(name).map_or(1.0, |&weight| weight as f32);
                Ok(Some(class_names.iter().map(weight).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_scikit_learn_or_as_given() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2];
        let of = |weights: &str| {
            let weights: ClassWeights = toml::from_str::<toml::Table>(&format!("w = {weights}")).unwrap()["w"]
                .clone()
                .try_into()
                .unwrap();
            weights.of(&names, &labels)
        };
        assert_eq!(of("\"none\"").unwrap(), None);
        // compute_class_weight("balanced", …): 12 / (3 · 6), 12 / (3 · 2), 12 / (3 · 4).
        assert_eq!(of("\"balanced\"").unwrap(), Some(vec![(2.0f64 / 3.0) as f32, 2.0, 1.0]));
        assert_eq!(of("{ b = 7.5 }").unwrap(), Some(vec![1.0, 7.5, 1.0]));
        assert_eq!(
            of("{ d = 2.0 }").unwrap_err().to_string(),
            "data.class_weights = d: expected weights of the classes a, b, c"
        );
    }
}
