//! Golden values: numbers that public PyTorch implementations computed in float64, which ours must reproduce.
//!
//! The folder is `$DA2S_GOLDEN_DIR` (absolute, or relative to the workspace), `../shared/golden` by default; a test
//! whose file is not there says so by name and passes. `$DA2S_TEST_DEVICE` is the device, `cpu` by default. Sizes come from the files. Tolerances: logits and losses 1e-4
//! relative, gradients 1e-3 of their norm, the trajectory 1e-3.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod file;
mod nas_bench_201;
mod network;
mod regulariser;
mod schedules;
mod supernet;
