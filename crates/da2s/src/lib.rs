//! da2s: discretization-aware neural architecture search.
//!
//! A super-network is trained, driven toward the topology that was asked for, pruned at almost no
//! cost in accuracy, and the result is trained anew. Reference: Tian, Liu, Xie, Jiao, Ye,
//! "Discretization-Aware Architecture Search", Pattern Recognition 2021 (arXiv 2007.03154).
//!
//! The modules are floors, and imports go downward:
//!
//! - [`run`]: all of it, in a run directory; [`config`]: the settings of the modules, put together.
//! - [`search`] trains a super-network, [`retrain`] the final network, [`export`] hands it on. The
//!   loop that both trainings share is in [`resumable`]; [`discretize`] prunes a super-network to a
//!   genotype.
//! - [`supernet`] and [`network`] build the two networks of a [`space`] on one [`backbone`], and
//!   [`evaluate`] measures them.
//! - [`objective`] has every loss, [`optim`] the optimisers, [`arch`] α, β and the mixture they
//!   become; [`memory`] says what a step will need.
//! - [`parallel`] joins processes, an [`observer`] is told of progress, and [`device`], [`finite`],
//!   [`hint`], [`probe`] and [`stage`] are what all of them use.
//!
//! Images come from [`data`], what is in the files of a run from [`records`]. The library never
//! prints, never exits and never reads the environment.

#![forbid(unsafe_code)]

pub mod arch;
pub mod backbone;
pub mod config;
pub mod device;
pub mod discretize;
pub mod evaluate;
pub mod export;
pub mod finite;
pub mod hint;
pub mod memory;
pub mod network;
pub mod objective;
pub mod observer;
pub mod optim;
pub mod parallel;
pub mod probe;
pub mod resumable;
pub mod retrain;
pub mod run;
pub mod search;
pub mod stage;
pub mod supernet;

pub use da2s_data as data;
pub use da2s_data::random;
pub use da2s_records as records;
pub use da2s_space as space;
pub use hint::Hint;
pub use run::Error;
