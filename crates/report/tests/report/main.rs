//! The report of runs: finished, stopped early, undecided, or with hostile text.

mod finished;
mod hostile;
mod page;
mod progress;
#[path = "../support/mod.rs"]
mod support;
