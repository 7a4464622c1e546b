//! Training and evaluating a backbone.

mod retrain;
mod settings;

pub use crate::evaluate::{accuracy, evaluate, images_on, labels_on};
pub use crate::optim::Sgd;
pub use retrain::{Retraining, TrainProgress, TrainRecord, TrainState, learning_rate};
pub use settings::{Decay, TrainSettings};
