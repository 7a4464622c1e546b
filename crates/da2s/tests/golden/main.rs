//! Golden values: numbers computed in float64 by PyTorch implementations, which da2s must
//! reproduce.
//!
//! They are in `fixtures/golden`, whose README gives their origin. `$DA2S_GOLDEN_DIR` (absolute, or
//! relative to the workspace) names another folder with the same files; sizes come from the files.
//! `$DA2S_TEST_DEVICE` is the device, `cpu` by default. Tolerances: logits and losses 1e-4
//! relative, gradients 1e-3 of their norm, the trajectory 1e-3.

#![allow(clippy::unwrap_used)]

mod file;
mod mobile;
mod nas_bench_201;
mod network;
mod plain;
mod regulariser;
mod schedules;
mod supernet;
