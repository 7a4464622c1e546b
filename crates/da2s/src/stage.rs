//! The stages of a run: their names.

/// The stages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Training the super-network.
    Search,
    /// Pruning it and measuring the gap.
    Discretize,
    /// Training the final network.
    Train,
    /// Measuring it on the test images.
    Evaluate,
}

impl Stage {
    /// Its name in commands and functions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Discretize => "discretize",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
        }
    }

    /// Its name in a sentence.
    pub(crate) const fn activity(self) -> &'static str {
        match self {
            Self::Search => "the search",
            Self::Discretize => "the discretization",
            Self::Train => "the training",
            Self::Evaluate => "the evaluation",
        }
    }
}
