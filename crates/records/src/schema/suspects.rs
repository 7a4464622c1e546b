//! Images whose label a network doubts: where wrong labels are looked for first.
//!
//! Reference: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset
//! Labels", JAIR 2021. Images are ranked by their self-confidence, the probability of the given
//! label. A label is *contradicted* if the network predicts another class with at least that
//! class's threshold t_j, its mean probability on the images that are labelled with it (of the
//! classes above their thresholds, only the predicted one is considered). Contract: contradicted
//! labels come first, since a class that was not learnt has low probabilities too. Images that the
//! network was trained on are ranked apart from others, since a network learns wrong labels by
//! heart.

use serde::{Deserialize, Serialize};

use super::JudgedImage;

/// The images of a run whose labels its network doubts most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspects {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Among images that the network was not trained on.
    pub held_out: Doubted,
    /// Among those that it was trained on.
    pub trained: Doubted,
}

/// The most doubted of some images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Doubted {
    /// Number of images that were examined.
    pub images: u64,
    /// Number of them whose label is contradicted.
    pub contradicted: u64,
    /// The images, contradicted labels first, each by the probability of their label.
    pub suspects: Vec<Suspect>,
}

/// An image whose label is doubted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its part of the data set: `train`, `validation` or `test`.
    pub part: String,
    /// Whether its label is contradicted.
    pub contradicted: bool,
    /// The image.
    #[serde(flatten)]
    pub image: JudgedImage,
}

impl Suspect {
    /// Its file, or its part and number if it has none.
    pub fn name(&self) -> String {
        match &self.image.path {
            Some(path) => path.clone(),
            None => format!("{} {}", self.part, self.image.name()),
        }
    }
}

impl Doubted {
    /// The `most` most doubted of `images`, each with its part, of classes below `classes`.
    pub fn of(images: Vec<(&str, JudgedImage)>, classes: usize, most: usize) -> Self {
        let thresholds = thresholds(images.iter().map(|(_, image)| image), classes);
        let contradicted = |image: &JudgedImage| {
            let threshold = thresholds.get(image.predicted).copied().flatten();
            let probability = image.predicted_probability;
            image.is_mistake() && threshold.zip(probability).is_some_and(|(least, found)| found >= least)
        };
        let mut doubted = Self {
            images: images.len() as u64,
            contradicted: images.iter().filter(|(_, image)| contradicted(image)).count() as u64,
            suspects: Vec::new(),
        };
        let rank = |image: &JudgedImage| {
            let confidence = image.class_probability.unwrap_or(f64::INFINITY);
            (!contradicted(image), confidence)
        };
        let mut ranked = images;
        // Whatever its probability, a label that is also the prediction is not doubted.
        ranked.retain(|(_, image)| image.is_mistake());
        // The sort is stable, so equal images stay in their order.
        ranked.sort_by(|(_, a), (_, b)| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        ranked.truncate(most);
        doubted.suspects = ranked
            .into_iter()
            .map(|(part, image)| Suspect {
                part: part.to_owned(),
                contradicted: contradicted(&image),
                image,
            })
            .collect();
        doubted
    }
}

/// The mean probability of each class on images with its label; `None` for a class without images.
fn thresholds<'a>(images: impl Iterator<Item = &'a JudgedImage>, classes: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0u64); classes];
    for image in images {
        if let (Some((sum, count)), Some(probability)) = (sums.get_mut(image.class), image.class_probability) {
            *sum += probability;
            *count += 1;
        }
    }
    let mean = |(sum, count): (f64, u64)| (count > 0).then(|| sum / count as f64);
    sums.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(index: u64, class: usize, predicted: usize, [own, other]: [f64; 2]) -> (&'static str, JudgedImage) {
        let image = JudgedImage {
            index,
            class,
            predicted,
            class_probability: Some(own),
            predicted_probability: Some(other),
            ..JudgedImage::default()
        };
        ("test", image)
    }

    #[test]
    fn contradicted_labels_come_first_then_the_least_probable() {
        let images = vec![
            image(0, 0, 0, [0.9, 0.9]),
            image(1, 1, 1, [0.7, 0.7]),
            // Class 1 is more probable here than in the average image labelled 1.
            image(2, 0, 1, [0.25, 0.75]),
            // Class 0 is less probable here than in the average image labelled 0.
            image(3, 1, 0, [0.2, 0.46]),
            image(4, 1, 1, [0.7, 0.7]),
        ];
        let doubted = Doubted::of(images, 3, 3);
        let order: Vec<(u64, bool)> = doubted
            .suspects
            .iter()
            .map(|suspect| (suspect.image.index, suspect.contradicted))
            .collect();
        assert_eq!(order, [(2, true), (3, false)]);
        assert_eq!((doubted.images, doubted.contradicted), (5, 1));
    }

    #[test]
    fn a_class_without_images_contradicts_nothing() {
        let doubted = Doubted::of(vec![image(0, 0, 2, [0.1, 0.9])], 3, 10);
        assert_eq!((doubted.contradicted, doubted.suspects.len()), (0, 1));
        assert_eq!(Doubted::of(Vec::new(), 0, 10), Doubted::default());
    }
}
