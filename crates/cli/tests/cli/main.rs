//! Tests of the command line as a user sees it: arguments, files, messages and exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod attacks;
mod bad_input;
mod baselines;
mod bench;
mod browser;
mod compare;
mod config;
mod data;
mod export;
mod faults;
mod folders;
mod front;
mod genotypes;
mod import;
mod kill;
mod lookup;
mod metrics;
mod network;
mod plan;
mod predict;
mod profile;
mod python;
mod quantise;
mod report;
mod run;
mod seeds;
mod serve;
mod server;
mod shell;
mod suspects;
mod unsafe_code;
mod watch;
mod widening;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;

/// Settings of the smallest run on the embedded digits that still goes through every stage.
const TINY: [&str; 11] = [
    "data.limit=64",
    "data.test_limit=40",
    "search.epochs=2",
    "search.warmup_epochs=1",
    "search.channels=2",
    "search.batch_size=16",
    "network.epochs=2",
    "network.channels=2",
    "network.cells=3",
    "network.batch_size=16",
    "run.threads=1",
];

/// The command, without arguments.
fn da2s() -> Command {
    Command::cargo_bin("da2s").unwrap()
}

/// `da2s VERB` with a `--set` for each of `settings`.
fn with(verb: &str, settings: &[&str]) -> Command {
    let mut command = da2s();
    command.arg(verb);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// A finished run in a directory named `run`, for tests that only read it.
fn finished() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finished");
        // Left over from an earlier run of the tests.
        let _ = fs::remove_dir_all(&folder);
        let run = folder.join("run");
        with("run", &TINY)
            .args(["--quiet", "--out"])
            .arg(&run)
            .assert()
            .success();
        run
    })
}
