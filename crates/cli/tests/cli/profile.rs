//! `da2s profile`: a table for the blocks of a space, which a search under a limit reads.

use std::fs;

use predicates::prelude::*;

use crate::with;

const SMALL: [&str; 4] = [
    "space.preset=32px",
    "search.channels=8",
    "network.channels=8",
    "run.threads=1",
];

#[test]
fn a_table_has_every_block_of_the_space() {
    let temporary = tempfile::tempdir().unwrap();
    let table = temporary.path().join("table.csv");
    let profile = |settings: &[&str]| {
        let mut command = with("profile", settings);
        command
            .args(["--space", "mobile", "--repeat", "1", "--machine", "a machine", "--out"])
            .arg(&table);
        command
    };
    let told = predicate::str::contains("1 thread, da2s-infer").and(predicate::str::contains("median error"));
    profile(&SMALL).args(["--check", "2"]).assert().success().stdout(told);
    let text = fs::read_to_string(&table).unwrap();
    assert!(text.starts_with("block,inputs,outputs,height,width,stride,ms,threads,engine,machine\n"));
    assert!(text.lines().skip(1).all(|line| line.ends_with(",a machine")), "{text}");
    for kernel in [3, 5, 7] {
        for expansion in [1, 3, 6] {
            assert!(text.contains(&format!("\nmbconv_k{kernel}_e{expansion},")), "{text}");
        }
    }
    assert!(text.contains("\nclassifier,"), "{text}");

    // No network is as fast as the limit, which the search knows before it begins.
    let run = |limit: &str| {
        let mut command = with("search", &SMALL);
        command
            .args(["--space", "mobile", "--max-latency", limit, "--latency-table"])
            .arg(&table);
        command.arg("--out").arg(temporary.path().join("run"));
        command
    };
    let refused = predicate::str::contains("target.max_latency_ms = 0.0001 ms cannot be kept");
    run("0.1us").assert().code(2).stderr(refused);
}
