//! The parts of Burn that da2s uses, under the paths that the crate `burn` gives them: tensors,
//! automatic differentiation and backends.
//!
//! `burn` itself also brings modules, optimisers, data loaders and a record format. Nothing here
//! uses them, and they, with the crates below them, take about a minute to compile.

#![forbid(unsafe_code)]

/// Tensors and what is computed with them: <https://docs.rs/burn-tensor>.
pub mod tensor {
    pub use burn_tensor::*;
}

/// Backends, for custom operations: <https://docs.rs/burn-backend>.
pub mod backend {
    pub use burn_backend::*;
    pub use burn_dispatch::{backend::*, backends::*, device::*, devices::*, tensor::*};
}
