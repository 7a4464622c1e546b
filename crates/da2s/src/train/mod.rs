//! Training and evaluating a backbone.

mod evaluate;
mod retrain;
mod sgd;

pub use evaluate::{Evaluation, accuracy, evaluate, images_on, labels_on};
pub use retrain::{Retraining, SaveTraining, TrainMetrics, TrainProgress, TrainRecord, TrainState, learning_rate};
pub use sgd::Sgd;
