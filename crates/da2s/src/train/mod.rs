//! Training and evaluating a backbone.

mod between_steps;
mod retrain;

pub use crate::evaluate::{Evaluation, Mistake, accuracy, evaluate, images_on, labels_on};
pub use crate::optim::Sgd;
pub(crate) use between_steps::between_steps;
pub use retrain::{Retraining, SaveTraining, TrainMetrics, TrainProgress, TrainRecord, TrainState, learning_rate};
