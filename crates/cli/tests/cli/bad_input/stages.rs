//! What is wrong behind the first command: a disk that is full, and one search after which
//! everything goes wrong.

use std::fs;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

/// A limit on the size of files stands for a disk that is full: both refuse the write. The signal
/// that comes with it ends nothing, whether it was ignored by who started the program or not.
#[cfg(unix)]
#[test]
fn a_disk_without_space() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let sets: String = TINY.iter().map(|setting| format!(" --set {setting}")).collect();
    for before in ["trap '' XFSZ; ", ""] {
        let script = format!("{before}ulimit -f 0; exec \"$0\" search{sets} --out \"$1\"");
        let mut command = assert_cmd::Command::new("sh");
        command
            .arg("-c")
            .arg(script)
            .arg(assert_cmd::cargo::cargo_bin("da2s"))
            .arg(&out);
        command
            .assert()
            .code(7)
            .stderr(predicate::str::contains("da2s: cannot write").and(predicate::str::contains("config.toml")));
        assert!(!out.exists());
    }
}

/// One search, then everything that can be wrong with what it left.
#[test]
fn runs_that_exist_do_not_fit_or_are_damaged() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    with("search", &TINY)
        .arg("--quiet")
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stderr("");

    let again = || {
        let mut command = with("search", &TINY);
        command.arg("--quiet").arg("--out").arg(&out);
        command
    };
    let exists = predicate::str::contains(
        "already holds a run; resume with --resume, or choose another directory with --out DIR",
    );
    again().assert().code(5).stderr(exists);
    let other = predicate::str::contains(
        "run.seed = 1, but 3 was asked for; leave that setting out, or choose another directory",
    );
    again().args(["--resume", "--seed", "3"]).assert().code(5).stderr(other);
    da2s()
        .arg("evaluate")
        .arg(&out)
        .assert()
        .code(5)
        .stderr(predicate::str::contains(
            "genotype.json is missing; run `da2s discretize` on this directory first",
        ));

    let checkpoint = out.join("search/checkpoint.safetensors");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let middle = bytes.len() - bytes.len() / 4;
    bytes[middle] ^= 0x40;
    fs::write(&checkpoint, &bytes).unwrap();
    // Nor is there an earlier one.
    fs::remove_file(out.join("search/checkpoint.safetensors.previous")).unwrap();
    let damaged = predicate::str::contains("checkpoint.safetensors is damaged");
    again().arg("--resume").assert().code(5).stderr(damaged.clone());
    fs::write(&checkpoint, &bytes[..middle]).unwrap();
    da2s().arg("discretize").arg(&out).assert().code(5).stderr(damaged);
    // What was searched is not thrown away because its checkpoint is lost.
    fs::remove_file(&checkpoint).unwrap();
    let lost = predicate::str::contains("checkpoint.safetensors is missing, so there is nothing to resume from");
    again().arg("--resume").assert().code(5).stderr(lost);
    assert!(out.join("search/metrics.jsonl").exists());

    fs::write(out.join("config.toml"), "[search]\nepochs = \"two\"\n").unwrap();
    let told = || {
        predicate::str::starts_with("da2s: the run is damaged: ")
            .and(predicate::str::contains("config.toml, line 2: search.epochs = \"two\""))
    };
    da2s().arg("discretize").arg(&out).assert().code(5).stderr(told());
    again().arg("--resume").assert().code(5).stderr(told());
}
