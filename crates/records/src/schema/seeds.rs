//! The final network trained from several seeds: part of `summary.json`.

use serde::{Deserialize, Serialize};

use crate::statistics::Spread;

/// Trainings of one network that differ in their seeds: of the first weights, the order of the
/// images, and augmentation. They have the same training and test images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seeds {
    /// The trainings; the first is that of the run's own network.
    pub trainings: Vec<SeedTraining>,
    /// Mean accuracy on the test images, percent.
    pub mean: Option<f64>,
    /// Standard deviation, with n − 1, points.
    pub deviation: Option<f64>,
    /// Student's 95 % interval of the mean, percent.
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
        Some(Self {
            trainings,
            mean: Some(spread.mean),
            deviation: Some(spread.deviation),
            interval: Some(spread.interval),
        })
    }
}
