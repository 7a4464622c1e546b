//! `da2s run --seeds`: the final network trained several times, and the statistics over these
//! trainings.

use std::fs;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::{TINY, da2s, with};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The seeds of a summary without the times.
fn seeds(run: &Path) -> Value {
    let mut seeds = json(&run.join("summary.json"))["seeds"].clone();
    let trainings = seeds.get_mut("trainings").and_then(Value::as_array_mut);
    for training in trainings.into_iter().flatten() {
        assert!(training["train_time_s"].as_f64().unwrap() > 0.0);
        training["train_time_s"] = Value::Null;
    }
    seeds
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("network/best.safetensors")).unwrap()
}

#[test]
fn the_network_is_trained_from_several_seeds_and_resumed() {
    let temporary = tempfile::tempdir().unwrap();
    let (run, once) = (temporary.path().join("run"), temporary.path().join("once"));
    with("run", &TINY)
        .args(["--seeds", "3", "--out"])
        .arg(&run)
        .assert()
        .success()
        .stdout(contains("  over 3 seeds").and(contains("95 % interval of the mean")))
        .stderr(contains("training 2 of 3, from seed 2").and(contains("other seeds ")));
    with("run", &TINY)
        .args(["--quiet", "--out"])
        .arg(&once)
        .assert()
        .success();
    // The run's own network does not depend on the others, and all of them differ.
    assert!(weights(&run) == weights(&once));
    assert!(seeds(&once).is_null());
    let all: Vec<Vec<u8>> = ["s2", "s3"].map(|seed| weights(&run.join("seeds").join(seed))).into();
    assert!(weights(&run) != all[0] && all[0] != all[1]);

    let first = seeds(&run);
    let accuracies: Vec<f64> = first["trainings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|training| training["accuracy"].as_f64().unwrap())
        .collect();
    assert_eq!(accuracies.len(), 3);
    assert_eq!(accuracies[0], json(&run.join("summary.json"))["network_accuracy"]);
    let mean = accuracies.iter().sum::<f64>() / 3.0;
    assert!((first["mean"].as_f64().unwrap() - mean).abs() < 1e-9, "{first}");
    assert!(first["deviation"].is_f64() && first["interval"][1].is_f64(), "{first}");
    assert!(
        fs::read_to_string(run.join("report.html"))
            .unwrap()
            .contains("mean and deviation")
    );

    // All trainings have the same split of the images; only the seed of the training differs.
    let config: toml::Table = fs::read_to_string(run.join("seeds/s2/config.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(config["run"]["seed"].as_integer(), Some(1));
    assert_eq!(config["network"]["seed"].as_integer(), Some(2));

    // A run that was killed continues with what is missing, and ends with the same bits.
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_dir_all(run.join("seeds/s3")).unwrap();
    let resumed = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["run", "--resume", "--out"]).arg(&run).args(arguments);
        command.assert().success()
    };
    resumed(&[]).stderr(contains("training 2 of 3").not().and(contains("training 3 of 3")));
    assert_eq!(seeds(&run), first);
    assert!(weights(&run.join("seeds/s3")) == all[1]);

    // Nothing is left to do, and `da2s evaluate` keeps the statistics of the seeds.
    resumed(&[]).stderr(contains("training 3 of 3").not());
    da2s()
        .arg("evaluate")
        .arg(&run)
        .assert()
        .success()
        .stdout(contains("over 3 seeds"));
    assert_eq!(seeds(&run), first);

    // A damaged training does not affect the run that contains it, and is repeated when that run
    // resumes.
    for file in ["summary.json", "network/evaluation.json", "config.toml"] {
        fs::write(run.join("seeds/s2").join(file), "{").unwrap();
        let mut evaluate = da2s();
        let evaluated = evaluate.args(["evaluate", "--quiet"]).arg(&run).assert().success();
        evaluated
            .stdout(contains("over 2 seeds"))
            .stderr(contains("seeds/s2 is left out: "));
        resumed(&[]).stderr(contains("training 2 of 3").and(contains("training 3 of 3").not()));
        assert_eq!(seeds(&run), first, "{file}");
        assert!(weights(&run.join("seeds/s2")) == all[0], "{file}");
    }

    // Only the run's own network is timed: the others have the same latency.
    assert!(run.join("network/latency.json").exists() && !run.join("seeds/s2/network/latency.json").exists());

    // The number of trainings may change when a run resumes, and the trainings of another network
    // are removed.
    resumed(&["--seeds", "2", "--quiet"]).stdout(contains("over 2 seeds"));
    assert_eq!(seeds(&run)["trainings"].as_array().unwrap().len(), 2);
    da2s()
        .args(["discretize", "--quiet", "--rule", "sequential"])
        .arg(&run)
        .assert()
        .success();
    assert!(!run.join("seeds").exists());
}

#[test]
fn each_training_is_in_the_results_at_once() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let in_the_way = run.join("seeds/s3/file");
    let execute = |arguments: &[&str]| {
        let mut command = with("run", &TINY);
        command.args(["--quiet", "--out"]).arg(&run).args(arguments).assert()
    };
    execute(&[]).success();
    fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    fs::write(&in_the_way, "").unwrap();
    execute(&["--resume", "--seeds", "3"])
        .code(5)
        .stderr(contains("seeds/s3"));
    let trainings = |run: &Path| seeds(run)["trainings"].as_array().map(Vec::len);
    assert_eq!(trainings(&run), Some(2));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("over 2 trainings, each from its own seed"));
    fs::remove_file(&in_the_way).unwrap();
    execute(&["--resume", "--seeds", "3"]).success();
    assert_eq!(trainings(&run), Some(3));
}

#[test]
fn the_training_has_a_seed_of_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: &str| {
        let out = temporary.path().join(name);
        with("run", &[&TINY[..], &[seed]].concat())
            .args(["--quiet", "--out"])
            .arg(&out)
            .assert()
            .success();
        out
    };
    let (own, same, other) = (
        run("own", "run.seed=1"),
        run("same", "network.seed=1"),
        run("other", "network.seed=7"),
    );
    let genotype = |run: &Path| fs::read(run.join("genotype.json")).unwrap();
    assert!(genotype(&own) == genotype(&other));
    assert!(weights(&own) == weights(&same) && weights(&own) != weights(&other));
}
