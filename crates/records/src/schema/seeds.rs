//! The final network trained from several seeds: part of `summary.json`.

use serde::{Deserialize, Serialize};

use crate::statistics::Spread;

/// Trainings of one network that differ in their seeds: of the initial weights, the order of the
/// images, and augmentation. They have the same training and test images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seeds {
    /// The trainings; the first is that of the run's own network.
    pub trainings: Vec<SeedTraining>,
    /// Mean accuracy on the test images, percent.
    pub mean: Option<f64>,
    /// Standard deviation, with n − 1, points.
    pub deviation: Option<f64>,
    /// Student's 95 % interval of the mean, percent, cut off at 0 and 100: with two or three
    /// trainings it would often reach beyond 100.
    pub interval: Option<[f64; 2]>,
}

/// A training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeedTraining {
    /// Its seed.
    pub seed: u64,
    /// Accuracy on the test images, percent.
    pub accuracy: Option<f64>,
    /// Its time in seconds.
    pub train_time_s: Option<f64>,
}

impl Seeds {
    /// The spread of `trainings`; `None` for fewer than two accuracies.
    pub fn new(trainings: Vec<SeedTraining>) -> Option<Self> {
        let accuracies: Vec<f64> = trainings.iter().filter_map(|training| training.accuracy).collect();
        let spread = Spread::of(&accuracies)?;
        let (deviation, interval) = (spread.std?, spread.interval()?);
        Some(Self {
            trainings,
            mean: Some(spread.mean),
            deviation: Some(deviation),
            interval: Some(interval.map(|end| end.clamp(0.0, 100.0))),
        })
    }

    /// For two trainings that differ only in their seeds: the bound, in points, below which their
    /// difference stays in 95 % of all cases, and the number of trainings from which it is
    /// estimated. `None` for fewer than two accuracies.
    pub fn by_chance(&self) -> Option<(f64, usize)> {
        let accuracies: Vec<f64> = self.trainings.iter().filter_map(|training| training.accuracy).collect();
        Some((Spread::of(&accuracies)?.difference()?, accuracies.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_accuracies_ends_at_100_percent() {
        let seeds = |accuracies: &[f64]| {
            let training = |&accuracy: &f64| SeedTraining {
                accuracy: Some(accuracy),
                ..SeedTraining::default()
            };
            Seeds::new(accuracies.iter().map(training).collect())
        };
        let two = seeds(&[99.44, 98.33]).unwrap();
        let [from, to] = two.interval.unwrap();
        assert!((91.0..92.0).contains(&from) && to == 100.0, "{from} {to}");
        assert_eq!(seeds(&[1.0, 3.0]).unwrap().interval.unwrap()[0], 0.0);
        assert_eq!(seeds(&[99.0]), None);
    }
}
