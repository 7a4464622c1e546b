//! Predictions, and pictures that cannot be predicted.

use std::fs;
use std::path::{Path, PathBuf};

use da2s::data::{DataOptions, Format, Image, open};
use predicates::prelude::*;
use serde_json::Value;

use crate::da2s;
use crate::export::{json, trained};

/// The first test images as PNG files, with their labels.
fn pictures(folder: &Path, count: usize) -> Vec<(PathBuf, u32)> {
    fs::create_dir_all(folder).unwrap();
    let options = DataOptions {
        seed: 1,
        test_limit: Some(40),
        ..DataOptions::default()
    };
    let dataset = open(Format::Digits, None, &options).unwrap();
    let write = |index: usize| {
        let image: Image = dataset.test.image(index).unwrap();
        let path = folder.join(format!("{index:02}.png"));
        let (width, height) = (image.shape().width as u32, image.shape().height as u32);
        image::GrayImage::from_raw(width, height, image.pixels().to_vec())
            .unwrap()
            .save(&path)
            .unwrap();
        (path, dataset.test.labels()[index])
    };
    (0..count).map(write).collect()
}

#[test]
fn predictions_are_those_of_the_evaluation() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    let folder = temporary.path().join("pictures");
    let pictures = pictures(&folder, 40);
    let said = da2s()
        .args(["predict", "--json", "--top", "1"])
        .arg(&out)
        .arg(&folder)
        .assert()
        .success();
    let said: Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    let right = pictures
        .iter()
        .zip(said.as_array().unwrap())
        .filter(|((path, label), one)| {
            assert_eq!(one["image"], path.to_str().unwrap());
            one["classes"][0]["name"].as_str() == Some(label.to_string().as_str())
        });
    let accuracy = 100.0 * right.count() as f64 / 40.0;
    assert_eq!(
        json(&out.join("network/evaluation.json"))["accuracy"].as_f64().unwrap(),
        accuracy
    );

    let all = da2s()
        .args(["predict", "--json", "--top", "99"])
        .arg(&out)
        .arg(&pictures[0].0)
        .assert()
        .success();
    let all: Value = serde_json::from_slice(&all.get_output().stdout).unwrap();
    let classes = all[0]["classes"].as_array().unwrap();
    let probabilities: Vec<f64> = classes
        .iter()
        .map(|class| class["probability"].as_f64().unwrap())
        .collect();
    assert_eq!(probabilities.len(), 10);
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5 && probabilities.is_sorted_by(|a, b| a >= b));

    let line = predicate::str::is_match(r"^\S+00\.png( +\d +\d+\.\d\d %){2}\n$").unwrap();
    da2s()
        .args(["predict", "--top", "2"])
        .arg(&out)
        .arg(&pictures[0].0)
        .assert()
        .success()
        .stdout(line);
}

#[test]
fn what_cannot_be_predicted_is_reported() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    let (empty, broken) = (temporary.path().join("empty"), temporary.path().join("a.png"));
    fs::create_dir(&empty).unwrap();
    fs::write(&broken, "no picture").unwrap();
    for (image, say) in [
        (&empty, "contains no files ending in"),
        (&broken, "a.png"),
        (&temporary.path().join("b.png"), "b.png"),
    ] {
        let told = predicate::str::contains(say);
        da2s()
            .arg("predict")
            .arg(&out)
            .arg(image)
            .assert()
            .code(3)
            .stdout("")
            .stderr(told);
    }
    fs::remove_file(out.join("network/preprocessing.json")).unwrap();
    let told = predicate::str::contains("preprocessing.json is missing").and(predicate::str::contains("da2s evaluate"));
    da2s()
        .arg("predict")
        .arg(&out)
        .arg(&broken)
        .assert()
        .code(5)
        .stderr(told);
    da2s().args(["evaluate", "--quiet"]).arg(&out).assert().success();
    assert!(out.join("network/preprocessing.json").is_file());
    fs::remove_file(out.join("network/best.safetensors")).unwrap();
    let told = predicate::str::contains("run `da2s train`");
    da2s()
        .args(["export", "--format", "onnx"])
        .arg(&out)
        .assert()
        .code(5)
        .stderr(told);
}
