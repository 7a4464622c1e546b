//! A searched network that becomes as wide as its limits allow, and the later stages that use it.

use std::fs;
use std::path::Path;

use predicates::str::contains;
use serde_json::Value;

use crate::{TINY, da2s, with};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_reports_its_new_width_and_all_later_stages_have_it() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let own = |setting: &&str| !["network.channels=2", "network.cells=3"].contains(setting);
    let mut settings: Vec<&str> = TINY.into_iter().filter(own).collect();
    settings.extend([
        "space.stages=[[8, 2, 2], [16, 2, 2]]",
        "space.stem_channels=8",
        "space.head_channels=16",
        "space.operations=[\"mbconv_k3_e1\", \"mbconv_k3_e3\"]",
        "network.channels=8",
        "network.widen_up_to=4",
        "network.seeds=2",
        "network.baselines=[\"ds-cnn\"]",
    ]);
    let request = |more: &[&str]| {
        let mut command = with("run", &settings);
        command.args(["--space", "mobile", "--max-multiply-adds", "150K"]);
        command.args(more).arg("--out").arg(&run);
        command
    };
    let row = contains("width                     widened from 8 to ");
    let live = contains("the final network is widened from 8 to ");
    request(&[]).assert().success().stdout(row).stderr(live);
    let (summary, genotype) = (json(&run.join("summary.json")), json(&run.join("genotype.json")));
    assert_eq!(summary["widened"], genotype["widened"]);
    let channels = summary["widened"]["channels"].as_u64().unwrap();
    assert!(
        channels > 8 && summary["multiply_adds"].as_u64().unwrap() <= 150_000,
        "{summary}"
    );
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains(&format!("widened from 8 to {channels} channels")));
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("channels = 8\n"), "{config}");

    // The training from another seed is of the same network, and the baseline costs no more.
    assert_eq!(summary["seeds"]["trainings"].as_array().unwrap().len(), 2);
    let other = json(&run.join("seeds/s2/summary.json"));
    assert_eq!(other["parameters"], summary["parameters"]);
    let baseline = &summary["baselines"][0];
    assert!(baseline["multiply_adds"].as_u64() <= summary["multiply_adds"].as_u64());

    // The same command has nothing left to do, and later stages have the same network.
    request(&["--resume"]).assert().success();
    assert_eq!(json(&run.join("summary.json"))["genotype"], summary["genotype"]);
    da2s().arg("evaluate").arg(&run).assert().success();
    assert_eq!(
        json(&run.join("summary.json"))["network_accuracy"],
        summary["network_accuracy"]
    );
    da2s().args(["export", "--format", "onnx"]).arg(&run).assert().success();
    da2s().args(["front", "--widths", "1"]).arg(&run).assert().success();
    let points = json(&run.join("front/front.json"))["points"].clone();
    let own = points
        .as_array()
        .unwrap()
        .iter()
        .find(|point| point["directory"] == ".");
    let own = own.unwrap();
    assert_eq!(
        (own["channels"].as_u64(), own["width"].as_f64()),
        (Some(channels), Some(channels as f64 / 8.0))
    );
    assert_eq!(points.as_array().unwrap().len(), 2);
}
