//! Training and evaluating a backbone.

mod retrain;
mod settings;

pub use retrain::{Retraining, TrainProgress, TrainRecord, TrainState, learning_rate};
pub use settings::{Decay, TrainSettings};
