//! `da2s profile`: a table for the blocks of a space, which a search under a limit reads.

use std::fs;
use std::process::Command;

use predicates::prelude::*;

use crate::python::python_with;
use crate::with;

const SMALL: [&str; 4] = [
    "space.preset=32px",
    "search.channels=8",
    "network.channels=8",
    "run.threads=1",
];

/// The blocks as files, and what onnxruntime makes of them: a table that a search reads.
#[test]
fn onnxruntime_measures_the_blocks_of_the_space() {
    let temporary = tempfile::tempdir().unwrap();
    let (folder, table) = (temporary.path().join("blocks"), temporary.path().join("table.csv"));
    let profile = || {
        let mut command = with("profile", &SMALL);
        command
            .args(["--space", "mobile", "--check", "2", "--onnx"])
            .arg(&folder);
        command
    };
    profile()
        .assert()
        .success()
        .stdout(predicate::str::contains("measure.py --out latency.csv"));
    let blocks = fs::read_to_string(folder.join("blocks.csv")).unwrap();
    assert!(blocks.contains(",mbconv_k7_e6,"), "{blocks}");
    for line in blocks.lines().skip(1) {
        assert!(folder.join(line.split(',').next().unwrap()).is_file(), "{line}");
    }
    profile()
        .assert()
        .code(7)
        .stderr(predicate::str::contains("is not empty: choose another folder"));

    let Some(python) = python_with("onnxruntime", "onnxruntime_measures_the_blocks_of_the_space") else {
        return;
    };
    let measure = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command
            .arg(folder.join("measure.py"))
            .args(arguments)
            .arg("--out")
            .arg(&table);
        command.output().unwrap()
    };
    let measured = measure(&["--repeat", "2", "--machine", "a machine"]);
    let [out, error] = [&measured.stdout, &measured.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(measured.status.success(), "{error}");
    assert!(
        out.contains("network-01.onnx: predicted") && out.contains("median error"),
        "{out}"
    );
    assert!(!measure(&["--provider", "NoSuchProvider"]).status.success());
    let text = fs::read_to_string(&table).unwrap();
    assert_eq!(text.lines().count(), blocks.lines().count(), "{text}");
    let mut search = with("search", &SMALL);
    search
        .args(["--space", "mobile", "--max-latency", "0.1us", "--latency-table"])
        .arg(&table)
        .arg("--out")
        .arg(temporary.path().join("run"))
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "target.max_latency_ms = 0.0001 ms cannot be kept",
        ));
}

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
