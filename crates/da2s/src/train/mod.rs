//! Training and evaluating a backbone.

mod between_steps;
mod evaluate;
mod mistakes;
mod retrain;
mod sgd;

pub(crate) use between_steps::between_steps;
pub(crate) use evaluate::unless;
pub use evaluate::{Evaluation, accuracy, evaluate, images_on, labels_on};
pub use mistakes::Mistake;
pub use retrain::{Retraining, SaveTraining, TrainMetrics, TrainProgress, TrainRecord, TrainState, learning_rate};
pub use sgd::Sgd;
