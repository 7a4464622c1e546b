//! Why there is no search with these settings on these images.

use da2s_records::Kind;

use crate::data::DataError;
use crate::network::AuxiliaryError;
use crate::space::TopologyError;

/// Why there is no search with these settings on these images.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A target that the space does not allow.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// An auxiliary head on too small an image, in the network that a limit is on.
    #[error(transparent)]
    Auxiliary(#[from] AuxiliaryError),
    /// A limit that no network of the target can keep.
    #[error(
        "{setting} = {limit} cannot be kept: the smallest network of this target needs {least} {what}; allow more, or fewer channels or cells"
    )]
    LimitTooLow {
        /// `multiply-adds` or `parameters`.
        what: &'static str,
        /// What the smallest network needs.
        least: u64,
        /// What is allowed.
        limit: u64,
        /// The setting.
        setting: &'static str,
    },
    /// An architecture that no step moves.
    #[error(
        "search.arch_every = {arch_every}: expected less, so that one of the {steps} steps after the warm-up is a multiple of it: α would \
         never move"
    )]
    NeverMoves {
        /// Steps from one of the architecture to the next.
        arch_every: u64,
        /// Steps after the warm-up.
        steps: u64,
    },
    /// Images that cannot be read, or are too few for a batch.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl SearchError {
    /// What it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Topology(_) | Self::Auxiliary(_) | Self::LimitTooLow { .. } | Self::NeverMoves { .. } => Kind::Usage,
            Self::Data(error) => error.kind(),
        }
    }
}
