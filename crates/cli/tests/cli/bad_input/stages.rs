//! Failures after the first command: a full disk, and damage to a finished search.

use std::fs;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

/// A file size limit stands in for a full disk: both make the write fail. The signal that comes
/// with the limit must not end the process, whether or not the parent process ignored it.
#[cfg(unix)]
#[test]
fn a_full_disk_is_reported_and_leaves_no_run() {
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

/// One search, followed by everything that can be wrong with its files.
#[test]
fn existing_runs_that_do_not_fit_or_are_damaged_are_refused() {
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
        "already contains a run; resume with --resume, or choose another directory with --out DIR",
    );
    again().assert().code(5).stderr(exists);
    let other = predicate::str::contains(
        "run.seed = 1, but 3 was requested; leave that setting out, or choose another directory",
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
    // There is no previous checkpoint either.
    fs::remove_file(out.join("search/checkpoint.safetensors.previous")).unwrap();
    let damaged = predicate::str::contains("checkpoint.safetensors is damaged");
    again().arg("--resume").assert().code(5).stderr(damaged.clone());
    fs::write(&checkpoint, &bytes[..middle]).unwrap();
    da2s().arg("discretize").arg(&out).assert().code(5).stderr(damaged);
    // A lost checkpoint does not discard the search results.
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
