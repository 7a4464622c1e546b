//! da2s: discretization-aware neural architecture search.
//!
//! A super-network is trained, driven toward the requested topology, pruned at almost no cost in
//! accuracy, and the result is retrained. Reference: Tian, Liu, Xie, Jiao, Ye,
//! "Discretization-Aware Architecture Search", Pattern Recognition 2021 (arXiv 2007.03154).
//!
//! The modules form layers, and imports go downward:
//!
//! - [`run`]: all stages, in a run directory; [`planner`]: how long they take here, and the sizes
//!   for a given time; [`config`]: the combined settings of the modules.
//! - [`search`] trains a super-network, [`retrain`] the final network, and [`export`] writes it for
//!   other tools. The loop shared by both trainings is in [`resumable`]; [`discretize`] prunes a
//!   super-network to a genotype.
//! - [`supernet`] and [`network`] build the two networks of a [`space`] on one [`backbone`], and
//!   [`evaluate`] measures their accuracy.
//! - [`objective`] has all losses, [`optim`] the optimisers, [`arch`] α, β and their mixture;
//!   [`memory`] estimates the memory of a step.
//! - [`parallel`] connects processes, an [`observer`] receives progress, and all modules use
//!   [`device`], [`finite`], [`hint`], [`probe`] and [`stage`].
//!
//! [`data`] reads images, and [`records`] defines the files of a run. The library never prints,
//! never exits and never reads the environment.

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
pub mod planner;
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
