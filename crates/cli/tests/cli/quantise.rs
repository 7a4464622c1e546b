//! Trained networks become int8.

use std::fs;

use predicates::prelude::*;

use crate::export::{json, trained};
use crate::{da2s, with};

#[test]
fn a_network_is_quantised_measured_and_written() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    let quantise = || {
        let mut command = da2s();
        command.args(["quantise", "--quiet", "--images", "48"]).arg(&out);
        command
    };
    let said = predicate::str::contains("int8 ")
        .and(predicate::str::contains(
            "calibrated on             48 training images, range mse",
        ))
        .and(predicate::str::contains("network-int8.onnx"));
    quantise().assert().success().stdout(said);

    let summary = json(&out.join("summary.json"));
    let int8 = json(&out.join("network/int8.json"));
    assert_eq!(summary["int8_accuracy"], int8["accuracy"]);
    assert_eq!(summary["network_accuracy"], int8["float32_accuracy"]);
    let number = |key: &str| summary[key].as_f64().unwrap();
    let points = number("network_accuracy") - number("int8_accuracy");
    assert!((points - number("int8_gap")).abs() < 1e-9, "{summary}");

    // Quantised again, the network has the same bytes, even with a different number of threads.
    let network = out.join("export/network-int8.safetensors");
    let files = || {
        [
            fs::read(&network).unwrap(),
            fs::read(out.join("export/network-int8.onnx")).unwrap(),
        ]
    };
    let before = files();
    quantise().args(["--threads", "2"]).assert().success();
    assert!(before == files());
    quantise().args(["--range", "minmax"]).assert().success();
    assert!(before != files());
    assert!(da2s_infer::Network::read(&network).unwrap().int8().is_some());

    // Evaluated again, it is still quantised; the table and the report say so.
    let table = predicate::str::contains("  in int8 ");
    da2s()
        .args(["evaluate", "--quiet"])
        .arg(&out)
        .assert()
        .success()
        .stdout(table);
    assert_eq!(
        json(&out.join("summary.json"))["int8_accuracy"],
        json(&out.join("network/int8.json"))["accuracy"]
    );
    da2s().arg("report").arg(&out).assert().success();
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("test accuracy in int8"));

    // A new training gives another network. The int8 form of the previous network is removed, and
    // the new network is not evaluated yet.
    da2s().args(["train", "--quiet"]).arg(&out).assert().success();
    assert!(!out.join("network/int8.json").exists());
    let told = predicate::str::contains("evaluation.json is missing");
    quantise().assert().code(5).stderr(told);
}

#[test]
fn squeeze_and_excitation_has_no_int8_form() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let settings = [
        "space.stages=[[8, 1, 2]]",
        "space.head_channels=8",
        "network.channels=8",
        "network.epochs=1",
        "data.limit=64",
        "data.test_limit=32",
    ];
    let run = |precision: &str| {
        with("run", &settings)
            .args(["--space", "mobile", "--quiet", "--precision", precision])
            .args(["--genotype", "Genotype(stages=[['mbconv_k3_e1_se']])", "--out"])
            .arg(&out)
            .assert()
    };
    let told = predicate::str::contains("no int8 kernels for squeeze-and-excitation, which mbconv_k3_e1_se has");
    run("int8").code(4).stderr(told);
    run("float32").success();
    let told = predicate::str::contains(
        "the network cannot be quantised: layers.0.0 has squeeze-and-excitation, for which there are no int8 kernels",
    );
    da2s().arg("quantise").arg(&out).assert().code(4).stderr(told);
    assert!(!out.join("network/int8.json").exists());
}
