//! `da2s run --network`: networks by name, trained without a search.

use std::fs;
use std::path::Path;

use da2s::space::NamedNetwork;
use predicates::prelude::*;
use serde_json::Value;

use crate::{TINY, da2s, with};

/// The settings of a tiny run that are not about the network's shape.
fn tiny(network: &str) -> assert_cmd::Command {
    let own = |setting: &&str| !["network.channels=2", "network.cells=3"].contains(setting);
    let settings: Vec<&str> = TINY.into_iter().filter(own).collect();
    let mut command = with("run", &settings);
    command.args(["--network", network]);
    command
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn every_network_is_trained_by_its_name() {
    let temporary = tempfile::tempdir().unwrap();
    for name in NamedNetwork::names() {
        let run = temporary.path().join(name);
        let limit = ["--max-multiply-adds", "300K", "--out"];
        let table = predicate::str::contains(format!("digits, {name}, seed 1"));
        tiny(name)
            .args(["--quiet"])
            .args(limit)
            .arg(&run)
            .assert()
            .success()
            .stdout(table);
        assert!(!run.join("search").exists(), "{name}");
        let summary = summary(&run);
        assert_eq!(summary["network"], name);
        assert!(summary["multiply_adds"].as_u64().unwrap() <= 300_000, "{name}");
    }
}

#[test]
fn a_network_is_as_wide_as_its_limits_allow() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let cost = |out: &Path| summary(out)["parameters"].as_u64().unwrap();
    let limited = ["--max-parameters", "9K"];
    let message = predicate::str::is_match("network.channels is [0-9]+: the widest resnet8 within").unwrap();
    tiny("resnet8")
        .args(limited)
        .arg("--out")
        .arg(&run)
        .assert()
        .success()
        .stderr(message);
    let config: toml::Table = fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
    let channels = config["network"]["channels"].as_integer().unwrap();
    assert!(cost(&run) <= 9_000);

    // The same command continues it, and has nothing left to do.
    tiny("resnet8")
        .args(limited)
        .args(["--quiet", "--resume", "--out"])
        .arg(&run)
        .assert()
        .success();
    tiny("resnet14")
        .args(limited)
        .args(["--quiet", "--resume", "--out"])
        .arg(&run)
        .assert()
        .code(5)
        .stderr(predicate::str::contains("another"));

    // One channel more is over the limit, and is refused when it is requested.
    let wider = temporary.path().join("wider");
    let channels = format!("network.channels={}", channels + 1);
    tiny("resnet8")
        .args(["--set", &channels, "--quiet", "--out"])
        .arg(&wider)
        .assert()
        .success();
    assert!(cost(&wider) > 9_000);
    let refused = temporary.path().join("refused");
    tiny("resnet8")
        .args(["--set", &channels, "--quiet"])
        .args(limited)
        .arg("--out")
        .arg(&refused)
        .assert()
        .code(4)
        .stderr(predicates::str::contains("target.max_parameters"));
    assert!(!refused.exists());
}

#[test]
fn the_run_is_named_after_the_network() {
    let temporary = tempfile::tempdir().unwrap();
    tiny("ds-cnn")
        .current_dir(temporary.path())
        .args(["--quiet", "--seed", "2"])
        .assert()
        .success();
    let run = temporary.path().join("runs/digits-ds-cnn-s2");
    let summary = summary(&run);
    assert_eq!(summary["network"], "ds-cnn");
    assert!(summary["gap"].is_null());
    da2s().args(["export", "--format", "onnx"]).arg(&run).assert().success();
}
