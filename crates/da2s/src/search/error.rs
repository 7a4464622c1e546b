//! Why a search cannot start with these settings and images.

use da2s_records::Kind;

use crate::data::DataError;
use crate::network::{AuxiliaryError, LatencyError, Resource};
use crate::space::TopologyError;

/// Why a search cannot start with these settings and images.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A target that the space does not allow.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A space without a choice.
    #[error(
        "space.name = {0}: expected a space to search, such as darts or mobile; networks of this one are trained without a search"
    )]
    NotSearched(&'static str),
    /// An auxiliary head on too small an image, in the network whose cost is limited.
    #[error(transparent)]
    Auxiliary(#[from] AuxiliaryError),
    /// A limit that no network of the target satisfies.
    #[error(
        "{} = {} cannot be kept: the smallest network of this target needs {}; allow more, or fewer channels or cells",
        resource.setting(), resource.amount(*limit), resource.need(*least)
    )]
    LimitTooLow {
        /// What is limited.
        resource: Resource,
        /// The cost of the smallest network.
        least: f64,
        /// The limit.
        limit: f64,
    },
    /// A limit in int8 for networks with squeeze-and-excitation.
    #[error(
        "target.precision = \"int8\": expected \"float32\", as there are no int8 kernels for squeeze-and-excitation"
    )]
    NoInt8,
    /// A network without a latency.
    #[error(transparent)]
    Latency(#[from] LatencyError),
    /// An architecture that never moves.
    #[error(
        "search.arch_every = {arch_every}: expected less: none of the {steps} steps after the warm-up is a multiple of it, so α would \
         never move"
    )]
    NeverMoves {
        /// Number of steps from one architecture step to the next.
        arch_every: u64,
        /// Steps after the warm-up.
        steps: u64,
    },
    /// A custom method with other stages than the method of the settings.
    #[error(
        "this method has other stages than search.method = {0}: set search.method to a method with the same stages"
    )]
    Stages(&'static str),
    /// Images that cannot be read, or are too few for a batch.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl SearchError {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Topology(_)
            | Self::NotSearched(_)
            | Self::Auxiliary(_)
            | Self::LimitTooLow { .. }
            | Self::NoInt8
            | Self::Stages(_)
            | Self::NeverMoves { .. } => Kind::Usage,
            Self::Latency(error) => error.kind(),
            Self::Data(error) => error.kind(),
        }
    }
}
