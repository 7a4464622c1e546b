//! Training and evaluating a backbone.

mod retrain;
mod settings;

pub use crate::evaluate::{Evaluation, Mistake, accuracy, evaluate, images_on, labels_on};
pub use crate::optim::Sgd;
pub use retrain::{Retraining, TrainMetrics, TrainProgress, TrainRecord, TrainState, learning_rate};
pub use settings::{Decay, TrainSettings};
