//! Scores per class from the confusion matrix. If a class is rare, the accuracy alone hides that
//! the network never finds it.
//!
//! Contract: in percent, by the usual definitions (scikit-learn's
//! `precision_recall_fscore_support`), except that a fraction with denominator 0 is `None`, not 0:
//! the precision of a class that is never predicted, the recall of one without images.

use serde::{Deserialize, Serialize};

/// The scores of one class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The class's name.
    pub class: String,
    /// Number of images of the class.
    #[serde(default)]
    pub images: u64,
    /// Number of images predicted as the class.
    #[serde(default)]
    pub predicted: u64,
    /// Fraction of the images predicted as the class that belong to it.
    pub precision: Option<f64>,
    /// Fraction of its images that are predicted as the class.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
}

impl ClassScores {
    /// Whether the class has images but is never predicted.
    pub fn is_never_predicted(&self) -> bool {
        self.images > 0 && self.predicted == 0
    }
}

/// The scores of every class; `confusion[true class][predicted class]` counts images, with one row
/// and one column per class.
pub fn class_scores(classes: &[String], confusion: &[Vec<u64>]) -> Vec<ClassScores> {
    let share = |part: u64, whole: u64| (whole > 0).then(|| 100.0 * part as f64 / whole as f64);
    let at = |row: usize, column: usize| confusion.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0);
    // Counts may come from files, so any value is possible.
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.fold(0, u64::saturating_add);
    let score = |(class, name): (usize, &String)| {
        let images = sum(&mut (0..classes.len()).map(|predicted| at(class, predicted)));
        let predicted = sum(&mut (0..classes.len()).map(|row| at(row, class)));
        let right = at(class, class);
        ClassScores {
            class: name.clone(),
            images,
            predicted,
            precision: share(right, predicted),
            recall: share(right, images),
            f1: share(right.saturating_mul(2), images.saturating_add(predicted)),
        }
    };
    classes.iter().enumerate().map(score).collect()
}

/// The mean recall of the classes that have images; `None` if there are none.
pub fn balanced_accuracy(scores: &[ClassScores]) -> Option<f64> {
    let recalls: Vec<f64> = scores.iter().filter_map(|score| score.recall).collect();
    (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// `precision_recall_fscore_support` of scikit-learn on the same labels.
    #[test]
    fn scores_are_those_of_the_definitions() {
        let confusion = [vec![5, 1, 0], vec![2, 3, 1], vec![0, 0, 4]];
        let scores = class_scores(&names(&["a", "b", "c"]), &confusion);
        let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} != {b}");
        for (score, (precision, recall, f1, images)) in scores.iter().zip([
            (100.0 * 5.0 / 7.0, 100.0 * 5.0 / 6.0, 100.0 * 10.0 / 13.0, 6),
            (75.0, 50.0, 60.0, 6),
            (80.0, 100.0, 100.0 * 8.0 / 9.0, 4),
        ]) {
            near(score.precision, precision);
            near(score.recall, recall);
            near(score.f1, f1);
            assert_eq!(score.images, images);
        }
        near(balanced_accuracy(&scores), (100.0 * 5.0 / 6.0 + 50.0 + 100.0) / 3.0);
    }

    #[test]
    fn a_rare_class_that_is_never_predicted_shows() {
        let scores = class_scores(
            &names(&["common", "rare", "absent"]),
            &[vec![38, 0, 0], vec![2, 0, 0], vec![0, 0, 0]],
        );
        let never: Vec<bool> = scores.iter().map(ClassScores::is_never_predicted).collect();
        assert_eq!(never, [false, true, false]);
        let rare = &scores[1];
        assert_eq!((rare.precision, rare.recall, rare.f1), (None, Some(0.0), Some(0.0)));
        let absent = &scores[2];
        assert_eq!((absent.precision, absent.recall, absent.f1), (None, None, None));
        assert_eq!(balanced_accuracy(&scores), Some(50.0));
        assert_eq!(balanced_accuracy(&[]), None);
    }
}
