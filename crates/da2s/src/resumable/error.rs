//! Why a stage ends before its last epoch.

use std::fmt;

use da2s_records::Kind;

use crate::data::DataError;
use crate::evaluate::EvaluateError;
use crate::finite::NotFinite;
use crate::hint::Hint;
use crate::parallel::Apart;
use crate::stage::Stage;

/// Why a stage ends before its last epoch.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// An image that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A loss, a gradient or a tensor that is NaN or infinite.
    #[error("{at}{}", after(*.rollbacks))]
    NotFinite {
        /// What is not finite, and where.
        at: Divergence,
        /// How often the stage had already returned to a checkpoint.
        rollbacks: u32,
    },
    /// Processes of a group with different states.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// The observer requested a stop; a checkpoint was written.
    #[error("stopped in epoch {epoch}")]
    Stopped {
        /// Epoch, from 1.
        epoch: usize,
    },
}

/// A value that is not finite, and where it occurred.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The value.
    pub found: NotFinite,
    /// The stage.
    pub stage: Stage,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step, from 1.
    pub step: usize,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            found: NotFinite { what, value },
            stage,
            epoch,
            step,
        } = self;
        write!(
            f,
            "{what} became {value} in epoch {epoch}, step {step} of {}",
            stage.activity()
        )
    }
}

/// How often a stage had returned to a checkpoint.
fn after(rollbacks: u32) -> String {
    match rollbacks {
        0 => String::new(),
        1 => " after going back to a checkpoint once".to_owned(),
        times => format!(" after going back to a checkpoint {times} times"),
    }
}

impl StageError {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Data(error) => error.kind(),
            Self::Evaluate(error) => error.kind(),
            Self::NotFinite { .. } => Kind::Numbers,
            Self::Apart(_) => Kind::Processes,
            Self::Stopped { .. } => Kind::Stopped,
        }
    }

    /// What the user can do about it, beyond the message itself.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Data(_) | Self::Apart(_) => Vec::new(),
            Self::Evaluate(error) => error.hints(),
            Self::NotFinite { at, rollbacks } => {
                let lower: Option<&[&str]> = match at.stage {
                    Stage::Search => Some(&["search.learning_rate", "search.regulariser.lambda"]),
                    // Its learning rate follows from that of the search, which is finished.
                    Stage::Discretize => None,
                    Stage::Train | Stage::Evaluate => Some(&["network.learning_rate"]),
                };
                let roll_back = (*rollbacks == 0).then_some(Hint::Set("run.on_nan", "rollback"));
                lower.map(Hint::Lower).into_iter().chain(roll_back).collect()
            }
            Self::Stopped { .. } => vec![Hint::Resume],
        }
    }

    /// Whether every process of a group gets this error at the same point, so that none waits for
    /// another.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::NotFinite { .. } | Self::Apart(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_names_its_place() {
        let place = Divergence {
            found: NotFinite {
                what: "x".to_owned(),
                value: f64::NEG_INFINITY,
            },
            stage: Stage::Search,
            epoch: 2,
            step: 7,
        };
        assert_eq!(place.to_string(), "x became -inf in epoch 2, step 7 of the search");
        let hints = |stage, rollbacks| {
            let at = Divergence { stage, ..place.clone() };
            StageError::NotFinite { at, rollbacks }.hints()
        };
        assert_eq!(hints(Stage::Search, 0).len(), 2);
        // The settings of a finished search cannot be changed.
        assert_eq!(hints(Stage::Discretize, 0), [Hint::Set("run.on_nan", "rollback")]);
        assert_eq!(hints(Stage::Discretize, 5), []);
    }
}
