//! `da2s compare` and `da2s runs`: complete comparisons of tiny runs.

mod beside;
mod stops;

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_comparison_trains_each_network_once() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("mine");
    for arguments in [&["--set", "network.seeds=5"][..], &["--vary", "network.seeds=1,5"]] {
        let refused = predicate::str::contains("network.seeds is 5, but a comparison trains each network once");
        let mut command = with("compare", &TINY);
        command
            .args(arguments)
            .arg("--out")
            .arg(&out)
            .assert()
            .code(2)
            .stderr(refused);
    }
    assert!(!out.exists());
}

#[test]
fn a_comparison_continues_and_grows() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("mine");
    let told = predicate::str::contains("da2s-s1: gap ").and(predicate::str::contains("darts-s1: gap "));
    let table = predicate::str::contains("p of Wilcoxon").and(predicate::str::contains("mine/compare.html"));
    with("compare", &TINY)
        .args(["--seeds", "1", "--jobs", "2", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told)
        .stdout(table);
    // Runs in parallel slow each other down.
    assert!(json(&out.join("da2s-s1/summary.json"))["measured_latency_ms"].is_null());
    let kept = fs::read(out.join("da2s-s1/summary.json")).unwrap();
    let first = json(&out.join("compare.json"));
    assert_eq!(first["runs"].as_array().unwrap().len(), 2);
    assert_eq!(first["runs"][1]["directory"], "darts-s1");
    let summary = json(&out.join("darts-s1/summary.json"));
    for key in ["gap", "network_accuracy", "parameters"] {
        assert_eq!(first["runs"][1]["values"][key].as_f64(), summary[key].as_f64(), "{key}");
        assert_eq!(
            first["groups"][1]["spreads"][key]["mean"].as_f64(),
            summary[key].as_f64(),
            "{key}"
        );
    }
    for name in [
        "compare.csv",
        "compare.md",
        "compare.html",
        "compare.toml",
        "settings.toml",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let warned = fs::read_to_string(out.join("da2s-s1.log")).unwrap();
    assert!(warned.starts_with("da2s: the search ended undecided "), "{warned}");

    // Finished runs are not repeated, and the command line need not repeat any settings.
    let all_done = predicate::str::diff("2 of 2 runs are done already\n");
    da2s()
        .args(["compare", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(all_done);
    assert_eq!(json(&out.join("compare.json")), first);

    // One more seed, with the methods in another order.
    da2s()
        .args(["compare", "--quiet", "--seeds", "2", "--methods", "darts,da2s", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(predicate::str::diff(
            "darts-s2: its warnings are in darts-s2.log\nda2s-s2: its warnings are in da2s-s2.log\n",
        ));
    assert_eq!(json(&out.join("compare.json"))["runs"].as_array().unwrap().len(), 4);
    assert_eq!(fs::read(out.join("da2s-s1/summary.json")).unwrap(), kept);

    for (arguments, said) in [
        (
            &["--search-epochs", "3"][..],
            "it has search.epochs = 2, but 3 was requested",
        ),
        (&["--seeds", "1"], "it has 2 seeds, but 1"),
        (&["--methods", "da2s"], "it compares darts"),
        (&["--vary", "target.edges=1,2"], "varies other settings"),
    ] {
        let refused = predicate::str::contains("belongs to another comparison").and(predicate::str::contains(said));
        let mut command = da2s();
        command.arg("compare").args(arguments).arg("--out").arg(&out);
        command.assert().code(5).stdout("").stderr(refused);
    }

    // A run copied into the folder from elsewhere is not part of the comparison.
    let config = out.join("da2s-s1/config.toml");
    let other = fs::read_to_string(&config)
        .unwrap()
        .replace("weight_decay = ", "weight_decay = 1");
    fs::write(&config, other).unwrap();
    let refused = predicate::str::contains("da2s-s1").and(predicate::str::contains("weight_decay"));
    da2s()
        .args(["compare", "--out"])
        .arg(&out)
        .assert()
        .code(5)
        .stderr(refused);
}

#[test]
fn settings_are_varied_and_networks_not_retrained() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("edges");
    let row = predicate::str::contains("da2s, target.edges=2  da2s, target.edges=1")
        .and(predicate::str::contains("retrained").not());
    with("compare", &TINY)
        .args([
            "--search-only",
            "--methods",
            "da2s",
            "--seeds",
            "1",
            "--vary",
            "target.edges=1,2",
            "--out",
        ])
        .arg(&out)
        .assert()
        .success()
        .stdout(row);
    let runs = json(&out.join("compare.json"));
    for (run, edges) in [(0, "1"), (1, "2")] {
        assert_eq!(runs["groups"][run]["setup"]["settings"]["target.edges"], edges);
        assert!(runs["runs"][run]["values"]["search_time_s"].as_f64().unwrap() > 0.0);
    }
    assert!(!out.join("da2s-target.edges=1-s1/network").exists());

    // The folder of a comparison is also a folder of runs.
    let listed = predicate::str::contains("da2s-target.edges=1-s1  digits    da2s       1  discretized");
    da2s().arg("runs").arg(&out).assert().success().stdout(listed);
    let output = da2s()
        .args([
            "runs",
            "--json",
            "--filter",
            "state=discretized",
            "--filter",
            "target.edges=2",
        ])
        .args(["--sort", "parameters", "--reverse"])
        .arg(&out)
        .assert()
        .success();
    let rows: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let names: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert_eq!(names, ["da2s-target.edges=2-s1"]);
    let refused = predicate::str::contains("--filter colour=red: expected KEY=VALUE");
    da2s()
        .args(["runs", "--filter", "colour=red"])
        .arg(&out)
        .assert()
        .code(2)
        .stderr(refused);
}

/// A run's log contains the warnings of all its processes; an empty log is removed.
#[test]
fn a_run_that_warns_leaves_a_log() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("schedules");
    let told = predicate::str::is_match("published-s1: gap .*; its warnings are in da2s-.*published-s1.log\n")
        .unwrap()
        .and(predicate::str::is_match("adaptive-s1: gap [-0-9.]+ points\n").unwrap());
    with("compare", &TINY)
        .args(["--search-only", "--methods", "da2s", "--seeds", "1"])
        .args(["--vary", "search.schedule=published,adaptive", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told);
    let log = |schedule: &str| out.join(format!("da2s-search.schedule={schedule}-s1.log"));
    let warned = fs::read_to_string(log("published")).unwrap();
    assert!(warned.contains("the search ended undecided"), "{warned}");
    assert!(!log("adaptive").exists(), "a run without a warning leaves no log");
}

/// A shared number of tuning epochs applies only to the runs whose rule tunes. Varying it for a
/// rule that does not tune is refused, whatever the order of the flags.
#[test]
fn rules_that_do_not_tune_have_no_epochs_of_tuning() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("rules");
    with("compare", &TINY)
        .args([
            "--set",
            "discretize.rule=perturbation",
            "--set",
            "discretize.tuning_epochs=1",
        ])
        .args(["--rules", "strongest,perturbation", "--search-only", "--quiet"])
        .args(["--methods", "darts", "--seeds", "1", "--out"])
        .arg(&out)
        .assert()
        .success();
    for (rule, epochs) in [("strongest", 0), ("perturbation", 1)] {
        let config = fs::read_to_string(out.join(format!("darts-discretize.rule={rule}-s1/config.toml"))).unwrap();
        assert!(config.contains(&format!("tuning_epochs = {epochs}\n")), "{config}");
    }
    for vary in [
        ["discretize.rule=strongest,perturbation", "discretize.tuning_epochs=0,2"],
        ["discretize.tuning_epochs=0,2", "discretize.rule=strongest,perturbation"],
    ] {
        let mut command = with("compare", &TINY);
        command.args(["--vary", vary[0], "--vary", vary[1], "--out"]);
        let refused = predicate::str::contains("no effect with the rule strongest");
        command
            .arg(temporary.path().join("none"))
            .assert()
            .code(2)
            .stderr(refused);
    }
}

/// Other runs at the same time slow a measurement down. The value of `--jobs` alone does not.
#[test]
fn the_latency_is_measured_if_nothing_else_runs() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("alone");
    with("compare", &TINY)
        .args(["--methods", "darts", "--seeds", "1", "--jobs", "4", "--quiet", "--out"])
        .arg(&out)
        .assert()
        .success();
    let summary = json(&out.join("darts-s1/summary.json"));
    assert!(summary["measured_latency_ms"].as_f64().unwrap() > 0.0, "{summary}");
}

#[test]
fn the_latency_is_not_measured_beside_other_runs() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("beside");
    for asked in [
        ["--set", "run.measure_latency=true"],
        ["--vary", "run.measure_latency=true,false"],
    ] {
        with("compare", &TINY)
            .args(["--methods", "darts", "--seeds", "2", "--jobs", "2", "--out"])
            .arg(&out)
            .args(asked)
            .assert()
            .code(2)
            .stderr(predicate::str::contains("use --jobs 1"));
        assert!(!out.exists());
    }
}
