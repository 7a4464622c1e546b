//! da2s: discretization-aware neural architecture search.
//!
//! A super-network is trained, driven toward the topology that was asked for, pruned at almost no cost in
//! accuracy, and the result is trained anew. Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware
//! Architecture Search", Pattern Recognition 2021 (arXiv 2007.03154).
//!
//! The modules are the concepts of the field: a [`space`] and a target ([`objective`]) make a [`supernet`],
//! which [`search`] trains and [`discretize`] prunes to a genotype; [`network`] builds that genotype and [`train`]
//! trains it, and [`export`] hands it on. [`run`] does all of it in a run directory. The library never prints, never exits and never reads the
//! environment; progress goes out through an [`observer`].

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
pub mod network;
pub mod objective;
pub mod observer;
pub mod optim;
pub mod parallel;
pub mod probe;
pub mod resumable;
pub mod run;
pub mod search;
pub mod stage;
pub mod supernet;
pub mod train;

pub use da2s_data as data;
pub use da2s_data::random;
pub use da2s_records as records;
pub use da2s_space as space;
pub use hint::Hint;
pub use run::Error;
