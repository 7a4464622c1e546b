//! Exports of trained networks, and their import.

use std::fs;
use std::path::{Path, PathBuf};

use da2s::export::ExportFormat;
use da2s_records::{Named, WeightsFile};
use predicates::prelude::*;
use serde_json::Value;

use crate::{TINY, da2s, finished, with};

pub const CELL: &str = "[('sep_conv_3x3', 0), ('max_pool_3x3', 1)]";

pub fn genotype() -> String {
    format!("Genotype(normal={CELL}, normal_concat=[2], reduce={CELL}, reduce_concat=[2])")
}

/// A run in `folder` with a given genotype.
pub fn trained(folder: &Path) -> PathBuf {
    let out = folder.join("run");
    let table = predicate::str::contains("retrained").and(predicate::str::contains("super-network").not());
    with("run", &TINY)
        .args(["--quiet", "--genotype", &genotype(), "--out"])
        .arg(&out)
        .assert()
        .success()
        .stdout(table);
    out
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_network_is_exported_and_imported_again() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    for (format, file) in [
        ("onnx", "network.onnx"),
        ("pytorch", "pytorch"),
        ("safetensors", "network.safetensors"),
    ] {
        let path = out.join("export").join(file);
        let said = format!("{}\n", path.display());
        da2s()
            .args(["export", "--format", format])
            .arg(&out)
            .assert()
            .success()
            .stdout(said);
        assert!(path.exists());
    }
    let told = predicate::str::contains("--fold-batch-norms is for --format onnx");
    let folded = ["export", "--format", "pytorch", "--fold-batch-norms"];
    da2s().args(folded).arg(&out).assert().code(2).stderr(told);
    let told = predicate::str::contains("--with-preprocessing is for --format onnx");
    let whole = ["export", "--format", "safetensors", "--with-preprocessing"];
    da2s().args(whole).arg(&out).assert().code(2).stderr(told);

    // `preprocessing.json` is written next to every export; one that belongs to another network is
    // not replaced.
    let stated = fs::read(out.join("export/preprocessing.json")).unwrap();
    assert_eq!(stated, fs::read(out.join("export/pytorch/preprocessing.json")).unwrap());
    let elsewhere = temporary.path().join("elsewhere");
    let whole = || {
        let mut command = da2s();
        command
            .args(["export", "--format", "onnx", "--with-preprocessing"])
            .arg(&out)
            .arg("--out")
            .arg(elsewhere.join("n.onnx"));
        command
    };
    whole().assert().success();
    assert_eq!(stated, fs::read(elsewhere.join("preprocessing.json")).unwrap());
    let bytes = fs::read(elsewhere.join("n.onnx")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("images: uint8, batch × height × width × 3"));
    fs::write(elsewhere.join("preprocessing.json"), "{}").unwrap();
    let told = predicate::str::contains("preprocessing.json already exists and belongs to another network");
    whole().assert().code(7).stderr(told);

    let folder = ["export", "--format", "pytorch", "--out"];
    let told = predicate::str::contains("preprocessing.json already exists and belongs to another network");
    da2s()
        .args(folder)
        .arg(&elsewhere)
        .arg(&out)
        .assert()
        .code(7)
        .stderr(told);
    // A run's own files are not replaced, and nothing is written beside them.
    for own in ["config.toml", "network/best.safetensors", "search/n.onnx"] {
        let before = fs::read(out.join(own)).ok();
        let told = predicate::str::contains("is a file of a run");
        da2s()
            .args(["export", "--format", "onnx", "--out"])
            .arg(out.join(own))
            .arg(&out)
            .assert()
            .code(7)
            .stderr(told);
        assert_eq!(fs::read(out.join(own)).ok(), before);
        assert!(!out.join("preprocessing.json").exists());
    }

    let weights = out.join("export/network.safetensors");
    let import = |name: &str, weights: &Path, settings: &[&str]| {
        let mut command = with("import", &[&TINY[..], settings].concat());
        command
            .args(["--quiet", "--genotype-file"])
            .arg(out.join("genotype.json"))
            .arg("--weights")
            .arg(weights)
            .arg("--out")
            .arg(temporary.path().join(name));
        command
    };
    import("back", &weights, &[])
        .assert()
        .success()
        .stdout(predicate::str::contains("retrained"));
    // Which images imported weights were trained on is unknown.
    let evaluation = |run: &Path| {
        let mut evaluation = json(&run.join("network/evaluation.json"));
        let keys = evaluation.as_object_mut().unwrap();
        let of_training = [keys.remove("train_accuracy"), keys.remove("train_images")];
        assert_eq!(of_training.iter().all(Option::is_some), run == out);
        evaluation
    };
    assert_eq!(evaluation(&out), evaluation(&temporary.path().join("back")));

    // Resuming finds the training complete.
    let back = temporary.path().join("back");
    da2s()
        .args(["train", "--quiet", "--resume"])
        .arg(&back)
        .assert()
        .success();
    da2s().args(["evaluate", "--quiet"]).arg(&back).assert().success();
    assert_eq!(evaluation(&out), evaluation(&back));

    // With other images, the network would be evaluated and used on data that it was not trained
    // for.
    let others = predicate::str::contains("network.safetensors does not fit this run: it was exported with mean = [0.")
        .and(predicate::str::contains(
            "import it with the images that it was trained on",
        ));
    import("others", &weights, &["data.limit=48"])
        .assert()
        .code(5)
        .stderr(others);

    // NaN is refused where the value is used and ignored where it is not.
    let rewritten = |name: &str, change: &dyn Fn(&mut Vec<Named>)| {
        let mut tensors = WeightsFile::read(&weights).unwrap().tensors;
        change(&mut tensors);
        let file = temporary.path().join(format!("{name}.safetensors"));
        let bytes = WeightsFile::to_bytes(&tensors, "from", "elsewhere".to_owned()).unwrap();
        fs::write(&file, bytes).unwrap();
        file
    };
    let spoilt = rewritten("spoilt", &|tensors| {
        let used = tensors.iter_mut().find(|tensor| tensor.name == "stem.0.weight");
        used.unwrap().data[3] = f32::NAN;
    });
    let named = predicate::str::contains("spoilt.safetensors is damaged: stem.0.weight contains NaN");
    import("spoilt", &spoilt, &[]).assert().code(5).stderr(named);
    let variance = rewritten("variance", &|tensors| {
        let used = tensors.iter_mut().find(|tensor| tensor.name == "stem.1.running_var");
        used.unwrap().data[1] = -1.0;
    });
    let named = predicate::str::contains("stem.1.running_var contains -1e0, but a variance is at least 0");
    import("variance", &variance, &[]).assert().code(5).stderr(named);
    let unused = rewritten("unused", &|tensors| {
        tensors.push(Named {
            name: "auxiliary".to_owned(),
            shape: vec![1],
            data: vec![f32::INFINITY],
        });
    });
    import("unused", &unused, &[]).assert().success();

    // Every mismatch is named and leaves no files.
    let shape = predicate::str::contains("its network has 2 channels, and network.channels = 3 here");
    import("wide", &weights, &["network.channels=3"])
        .assert()
        .code(5)
        .stderr(shape);
    let missing = predicate::str::contains("the tensor cells.3.preprocess0");
    import("deep", &weights, &["network.cells=4"])
        .assert()
        .code(5)
        .stderr(missing);
    let none = predicate::str::contains("is not a safetensors file");
    import("none", &out.join("config.toml"), &[])
        .assert()
        .code(5)
        .stderr(none);
    import("absent", &out.join("absent"), &[]).assert().code(7);
    for name in ["others", "wide", "deep", "none", "absent", "spoilt", "variance"] {
        assert!(!temporary.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_network_is_exported_even_if_its_kernels_cannot_run() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    fs::create_dir_all(run.join("network")).unwrap();
    for name in [
        "genotype.json",
        "network/best.safetensors",
        "network/preprocessing.json",
    ] {
        fs::copy(finished().join(name), run.join(name)).unwrap();
    }
    // Vector instructions of the other processor family.
    let other = if cfg!(target_arch = "aarch64") {
        "avx512"
    } else {
        "neon"
    };
    let settings = fs::read_to_string(finished().join("config.toml")).unwrap();
    let elsewhere = settings.replace("engine = \"auto\"", &format!("engine = \"{other}\""));
    assert_ne!(settings, elsewhere);
    fs::write(run.join("config.toml"), elsewhere).unwrap();
    for format in ExportFormat::ALL {
        da2s()
            .args(["export", "--format", format.name()])
            .arg(&run)
            .assert()
            .success();
    }
}
