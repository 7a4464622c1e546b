//! `da2s run --baselines`: plain networks trained after the searched one, and the verdict on the
//! search.

use std::fs;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::{TINY, da2s, with};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn baselines(run: &Path) -> Vec<Value> {
    json(&run.join("summary.json"))["baselines"].as_array().unwrap().clone()
}

/// The baselines without the time that they took.
fn timeless(run: &Path) -> Vec<Value> {
    let mut all = baselines(run);
    for baseline in &mut all {
        for key in ["train_time_s", "measured_latency_ms"] {
            baseline[key] = Value::Null;
        }
    }
    all
}

#[test]
fn baselines_are_trained_compared_and_resumed() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let verdict = predicate::str::is_match(
        "(is (better|worse) than|No significant difference from) the best baseline, (resnet8|ds-cnn)",
    )
    .unwrap();
    with("run", &TINY)
        .args(["--baselines", "resnet8,ds-cnn,mobilenet-v2", "--out"])
        .arg(&run)
        .assert()
        .success()
        .stdout(contains("\nbaselines ").and(contains("\n  resnet8 ")).and(verdict))
        .stderr(contains("the baseline mobilenet-v2 is left out").and(contains("baseline resnet8, ")));
    let summary = json(&run.join("summary.json"));
    let limit = summary["multiply_adds"].as_u64().unwrap();
    let first = timeless(&run);
    let names: Vec<&str> = first
        .iter()
        .map(|baseline| baseline["network"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["resnet8", "ds-cnn"]);
    for baseline in &first {
        assert!(baseline["multiply_adds"].as_u64().unwrap() <= limit, "{baseline}");
        let own = run.join("baselines").join(baseline["network"].as_str().unwrap());
        let own = json(&own.join("summary.json"));
        for key in ["accuracy", "parameters", "size_bytes"] {
            let of_run = if key == "accuracy" { "network_accuracy" } else { key };
            assert_eq!(baseline[key], own[of_run], "{key}");
        }
        let p = baseline["p"].as_f64().unwrap();
        assert!(
            (0.0..=1.0).contains(&p) && baseline["accuracy_interval"][1].is_f64(),
            "{baseline}"
        );
    }
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Was the search worth it?") && page.contains("McNemar"));
    assert!(page.contains("Without a search, the same time would have bought"));

    // A run that was killed continues with what is missing, and ends with the same bits.
    let resnet = fs::read(run.join("baselines/resnet8/network/best.safetensors")).unwrap();
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(run.join("baselines/resnet8/summary.json")).unwrap();
    fs::remove_dir_all(run.join("baselines/ds-cnn")).unwrap();
    let resumed = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["run", "--resume", "--out"]).arg(&run).args(arguments);
        command.assert().success()
    };
    resumed(&[]);
    assert_eq!(timeless(&run), first);
    assert!(resnet == fs::read(run.join("baselines/resnet8/network/best.safetensors")).unwrap());

    // Nothing is left to do, and `da2s evaluate` keeps the results of the baselines.
    resumed(&[]).stderr(contains("baseline resnet8").not());
    da2s()
        .arg("evaluate")
        .arg(&run)
        .assert()
        .success()
        .stdout(contains("baselines"));
    assert_eq!(timeless(&run), first);

    // A command that resumes a run may request other baselines.
    resumed(&["--baselines", "ds-cnn", "--baseline-width", "0.5", "--quiet"]);
    let wide = baselines(&run);
    assert_eq!((wide.len(), wide[0]["channels"].as_u64()), (1, Some(32)));
    resumed(&["--quiet"]);
    assert_eq!(timeless(&run)[0]["channels"], 32);

    // The baselines of another network have other widths.
    da2s()
        .args(["discretize", "--rule", "sequential"])
        .arg(&run)
        .assert()
        .success();
    let same = json(&run.join("genotype.json"))["genotype"] == summary["genotype"];
    assert!(!same && !run.join("baselines").exists());
}

#[test]
fn a_network_by_name_has_baselines_too() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let own = |setting: &&str| !["network.channels=2", "network.cells=3"].contains(setting);
    let settings: Vec<&str> = TINY.into_iter().filter(own).collect();
    with("run", &settings)
        .args(["--network", "resnet8", "--set", "network.channels=4", "--quiet"])
        .args([
            "--baselines",
            "ds-cnn",
            "--set",
            "network.baseline_match=parameters",
            "--out",
        ])
        .arg(&run)
        .assert()
        .success()
        .stdout(contains("resnet8, seed 1").and(contains("the search was").not()));
    let baseline = &baselines(&run)[0];
    assert_eq!(baseline["network"], "ds-cnn");
    let own = &json(&run.join("summary.json"))["parameters"];
    assert!(baseline["parameters"].as_u64() <= own.as_u64(), "{baseline}");
    // It has as many channels as fit: with one more, it would have more parameters than the run's
    // network.
    assert!(
        20 * baseline["parameters"].as_u64().unwrap() > 15 * own.as_u64().unwrap(),
        "{baseline}"
    );
}

#[test]
fn baselines_are_as_fast_or_as_small_as_the_network() {
    let temporary = tempfile::tempdir().unwrap();
    let [run, table] = ["run", "latency.csv"].map(|name| temporary.path().join(name));
    let own = |setting: &&str| *setting != "network.channels=2";
    let settings: Vec<&str> = TINY.into_iter().filter(own).chain(["network.channels=8"]).collect();
    with("profile", &settings)
        .args([
            "--baselines",
            "resnet8",
            "--widths",
            "0.25,0.5,1",
            "--repeat",
            "3",
            "--out",
        ])
        .arg(&table)
        .assert()
        .success();
    let by = |arguments: &[&str]| {
        let mut command = with("run", &settings);
        command
            .args(["--resume", "--quiet", "--baselines", "resnet8", "--latency-table"])
            .arg(&table);
        command.args(arguments).arg("--out").arg(&run).assert().success();
        (json(&run.join("summary.json")), baselines(&run)[0].clone())
    };
    fs::create_dir(&run).unwrap();
    let (own, baseline) = by(&["--set", "network.baseline_match=latency"]);
    // Widths that the table has.
    assert!(
        [4, 8, 16].contains(&baseline["channels"].as_u64().unwrap()),
        "{baseline}"
    );
    assert!(
        baseline["latency_ms"].as_f64().unwrap() <= own["latency_ms"].as_f64().unwrap(),
        "{baseline}"
    );

    let (own, baseline) = by(&["--set", "network.baseline_match=size"]);
    assert!(
        baseline["size_bytes"].as_u64().unwrap() <= own["size_bytes"].as_u64().unwrap(),
        "{baseline}"
    );
    let channels = baseline["channels"].as_u64().unwrap();
    // If the table lacks the blocks of a baseline, the run does not fail.
    assert_eq!(
        baseline["latency_ms"].is_null(),
        ![4, 8, 16].contains(&channels),
        "{baseline}"
    );

    let missing = contains("network.baseline_match = \"latency\" needs it");
    with("run", &settings)
        .args(["--baselines", "resnet8", "--set", "network.baseline_match=latency"])
        .assert()
        .code(2)
        .stderr(missing);
}
