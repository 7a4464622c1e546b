//! Exports, predictions, imports and genotype forms.

use std::fs;
use std::path::{Path, PathBuf};

use da2s::data::{DataOptions, Format, Image, open};
use da2s::export::ExportFormat;
use da2s_records::{Named, WeightsFile};
use predicates::prelude::*;
use serde_json::Value;

use crate::{TINY, da2s, finished, with};

const CELL: &str = "[('sep_conv_3x3', 0), ('max_pool_3x3', 1)]";

fn genotype() -> String {
    format!("Genotype(normal={CELL}, normal_concat=[2], reduce={CELL}, reduce_concat=[2])")
}

/// What belongs to a genotype does not outlive it.
#[test]
fn another_genotype_removes_what_the_one_before_left() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    crate::bad_input::finished_copy(temporary.path());
    for command in [&["export", "--format", "onnx"][..], &["draw"], &["report"]] {
        da2s().args(command).arg(&run).assert().success();
    }
    let left = ["report.html", "summary.json", "export", "drawings", "network"];
    assert!(left.iter().all(|name| run.join(name).exists()));
    let discretize = || {
        let mut command = da2s();
        command.arg("discretize").arg(&run);
        command
    };
    // The same genotype takes nothing away.
    discretize().assert().success();
    assert!(run.join("network/best.safetensors").exists());
    let told = predicate::str::contains("the trained network of the earlier one is removed");
    discretize()
        .args(["--genotype", &genotype()])
        .assert()
        .success()
        .stderr(told);
    for name in left {
        assert!(!run.join(name).exists(), "{name}");
    }
}

/// A run in `folder` with a given genotype.
fn trained(folder: &Path) -> PathBuf {
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

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

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
fn a_genotype_is_trained_without_a_search() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    assert!(
        !out.join("search").exists() && out.join("environment.json").is_file() && out.join("report.html").is_file()
    );
    let summary = json(&out.join("summary.json"));
    assert_eq!(summary["genotype"], genotype());
    assert!(summary["network_accuracy"].is_number() && summary["gap"].is_null());

    // The same genotype from a file in another form, in a separate run.
    let file = temporary.path().join("nni.json");
    let nni = da2s().args(["genotype", "--form", "nni"]).arg(&out).assert().success();
    fs::write(&file, &nni.get_output().stdout).unwrap();
    let again = temporary.path().join("again");
    with("run", &TINY)
        .args(["--quiet", "--out"])
        .arg(&again)
        .arg("--genotype-file")
        .arg(&file)
        .assert()
        .success();
    let evaluation = |run: &Path| json(&run.join("network/evaluation.json"));
    assert_eq!(evaluation(&out), evaluation(&again));

    // A resumed run keeps its genotype and skips the search.
    let resume = || {
        let mut command = da2s();
        command.args(["run", "--quiet", "--resume", "--out"]).arg(&out);
        command
    };
    resume().assert().success();
    assert!(!out.join("search").exists());
    assert_eq!(json(&out.join("summary.json"))["genotype"], genotype());
    let other = genotype().replace("sep_conv_3x3", "skip_connect");
    let told = predicate::str::contains("the run has another genotype");
    resume().args(["--genotype", &other]).assert().code(5).stderr(told);
    assert_eq!(json(&out.join("genotype.json"))["genotype"], genotype());
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
fn what_cannot_be_predicted_is_told() {
    let temporary = tempfile::tempdir().unwrap();
    let out = trained(temporary.path());
    let (empty, broken) = (temporary.path().join("empty"), temporary.path().join("a.png"));
    fs::create_dir(&empty).unwrap();
    fs::write(&broken, "no picture").unwrap();
    for (image, say) in [
        (&empty, "holds no files ending in"),
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

#[test]
fn a_network_goes_out_and_comes_back() {
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

    // `preprocessing.json` is written next to every export; that of another network is not
    // replaced.
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
    let told = predicate::str::contains("preprocessing.json is there and belongs to another network");
    whole().assert().code(7).stderr(told);

    let folder = ["export", "--format", "pytorch", "--out"];
    let told = predicate::str::contains("preprocessing.json is there and belongs to another network");
    da2s()
        .args(folder)
        .arg(&elsewhere)
        .arg(&out)
        .assert()
        .code(7)
        .stderr(told);
    // What a run consists of is not replaced, nor is anything written beside it.
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
    let evaluation = |run: &Path| json(&run.join("network/evaluation.json"));
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
    let named = predicate::str::contains("spoilt.safetensors is damaged: stem.0.weight holds NaN");
    import("spoilt", &spoilt, &[]).assert().code(5).stderr(named);
    let variance = rewritten("variance", &|tensors| {
        let used = tensors.iter_mut().find(|tensor| tensor.name == "stem.1.running_var");
        used.unwrap().data[1] = -1.0;
    });
    let named = predicate::str::contains("stem.1.running_var holds -1e0, where a variance is at least 0");
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
    let shape =
        predicate::str::contains("the tensor stem.0.weight has the shape [6, 1, 3, 3] where [9, 1, 3, 3] is needed");
    import("wide", &weights, &["network.channels=3"])
        .assert()
        .code(5)
        .stderr(shape);
    let missing = predicate::str::contains("the tensor cells.3.preprocess0");
    import("deep", &weights, &["network.cells=4"])
        .assert()
        .code(5)
        .stderr(missing);
    let none = predicate::str::contains("is no safetensors file");
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
fn a_network_is_exported_where_its_kernels_cannot_run() {
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

#[test]
fn a_super_network_from_elsewhere_is_discretized() {
    let temporary = tempfile::tempdir().unwrap();
    let (own, other) = (temporary.path().join("own"), temporary.path().join("other"));
    with("search", &TINY)
        .args(["--quiet", "--method", "darts", "--out"])
        .arg(&own)
        .assert()
        .success();
    da2s().args(["discretize", "--quiet"]).arg(&own).assert().success();

    // The checkpoint under PyTorch's parameter names.
    let read = WeightsFile::read(&own.join("search/checkpoint.safetensors")).unwrap();
    let renamed = |tensor: &Named| Named {
        name: tensor
            .name
            .replace("arch.normal.alpha", "alphas_normal")
            .replace("arch.reduction.alpha", "alphas_reduce"),
        ..tensor.clone()
    };
    let tensors: Vec<Named> = read.tensors.iter().map(renamed).collect();
    let file = temporary.path().join("supernet.safetensors");
    let write = |tensors: &[Named]| {
        fs::write(
            &file,
            WeightsFile::to_bytes(tensors, "from", "elsewhere".to_owned()).unwrap(),
        )
    };
    write(&tensors).unwrap();
    let import = || {
        let mut command = with("import", &TINY);
        command
            .args(["--quiet", "--method", "darts", "--supernet"])
            .arg(&file)
            .arg("--out")
            .arg(&other);
        command
    };
    import()
        .assert()
        .success()
        .stdout(predicate::str::contains("super-network"));
    for name in ["genotype.json", "gap.json"] {
        assert_eq!(json(&own.join(name)), json(&other.join(name)), "{name}");
    }
    // A second import does not resume it; `run` does, after the search.
    let told = predicate::str::contains("an import creates a run of its own");
    import().arg("--resume").assert().code(2).stderr(told);
    da2s()
        .args(["run", "--quiet", "--resume", "--out"])
        .arg(&other)
        .assert()
        .success();
    fs::remove_dir_all(&other).unwrap();

    let mut spoilt = tensors.clone();
    let alpha = spoilt.iter_mut().find(|tensor| tensor.name == "alphas_normal");
    alpha.unwrap().data[5] = f32::NAN;
    write(&spoilt).unwrap();
    let named = predicate::str::contains("α of the normal cells holds NaN");
    import().assert().code(5).stderr(named);
    assert!(!other.exists());

    for (name, value, said) in [
        (
            "classifier.bias",
            -3e38,
            "classifier.bias holds -3e38, whose square is infinite",
        ),
        (
            "stem.1.running_var",
            -0.5,
            "stem.1.running_var holds -5e-1, where a variance is at least 0",
        ),
    ] {
        let mut spoilt = tensors.clone();
        let changed = spoilt.iter_mut().find(|tensor| tensor.name == name);
        changed.unwrap().data[0] = value;
        write(&spoilt).unwrap();
        import().assert().code(5).stderr(predicate::str::contains(said));
        assert!(!other.exists());
    }

    let without: Vec<Named> = tensors
        .iter()
        .filter(|tensor| tensor.name != "alphas_reduce")
        .cloned()
        .collect();
    write(&without).unwrap();
    import()
        .assert()
        .code(5)
        .stderr(predicate::str::contains("the tensor alphas_reduce is missing"));
    assert!(!other.exists());
    let told = predicate::str::contains("--supernet takes no genotype");
    import().args(["--genotype", &genotype()]).assert().code(2).stderr(told);
}

#[test]
fn genotypes_are_printed_in_every_form() {
    let print = |form: &str, what: &str| {
        let said = da2s().args(["genotype", what, "--form", form]).assert().success();
        String::from_utf8(said.get_output().stdout.clone()).unwrap()
    };
    let genotype = genotype();
    let compact = print("naslib", &genotype);
    assert_eq!(compact, "(((0, 3), (1, 0)), ((0, 3), (1, 0)))\n");
    for form in ["darts", "nni", "nni2", "naslib", "nas-bench-301"] {
        assert_eq!(
            print("darts", &print(form, &genotype)),
            format!("{genotype}\n"),
            "{form}"
        );
    }
    let bench = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|";
    da2s()
        .args(["genotype", bench])
        .assert()
        .success()
        .stdout(format!("{bench}\n"));
    let told = predicate::str::contains("the form darts cannot say this genotype");
    da2s()
        .args(["genotype", bench, "--form", "darts"])
        .assert()
        .code(4)
        .stderr(told);
    assert_eq!(print("nas-bench-201", &print("naslib", bench)), format!("{bench}\n"));
    let told = predicate::str::contains("the form nni cannot say this genotype");
    da2s()
        .args(["genotype", bench, "--form", "nni"])
        .assert()
        .code(4)
        .stderr(told);
    let told = predicate::str::contains("genotype, character 0");
    da2s().args(["genotype", "no such file"]).assert().code(4).stderr(told);
}

#[test]
fn one_of_several_genotypes_is_trained_with_an_operation_twice_on_an_edge() {
    let temporary = tempfile::tempdir().unwrap();
    // The structure of NASNet's normal cell: its third and fourth nodes each read one node twice.
    let normal = "[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), \
        ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)]";
    let wide = format!("Genotype(normal={normal}, normal_concat=[2, 3, 4, 5], reduce={CELL}, reduce_concat=[2])");
    let file = temporary.path().join("genotypes.py");
    fs::write(
        &file,
        format!("# -*- coding: utf-8 -*-\r\nSmall = {}\r\nWide = {wide}\r\n", genotype()),
    )
    .unwrap();
    let run = |name: &str| {
        let mut command = with("run", &TINY);
        command.args([
            "--quiet",
            "--genotype-file",
            &format!("{}{name}", file.display()),
            "--out",
        ]);
        command.arg(temporary.path().join("run"));
        command
    };
    let told = predicate::str::contains("Small (line 2), Wide (line 3); pick one as FILE:NAME");
    run("").assert().code(4).stderr(told);
    run(":Wide").assert().success();
    let summary = json(&temporary.path().join("run/summary.json"));
    assert_eq!(summary["genotype"], wide);
    assert!(summary["network_accuracy"].as_f64().unwrap() > 0.0);
    assert!(temporary.path().join("run/report.html").is_file());
}

#[test]
fn weights_of_another_genotype_are_not_imported() {
    let temporary = tempfile::tempdir().unwrap();
    // Entries that are not sorted by the node they read. The NAS-Bench-301 form does not keep that
    // order.
    let own = genotype().replace(
        "[('sep_conv_3x3', 0), ('max_pool_3x3', 1)]",
        "[('sep_conv_3x3', 1), ('max_pool_3x3', 0)]",
    );
    let run = temporary.path().join("run");
    with("run", &TINY)
        .args(["--quiet", "--genotype", &own, "--out"])
        .arg(&run)
        .assert()
        .success();
    let weights = temporary.path().join("weights.safetensors");
    da2s()
        .args(["export", "--format", "safetensors", "--out"])
        .args([&weights, &run])
        .assert()
        .success();
    let loses = predicate::str::contains("warning: the form nas-bench-301 does not keep the order");
    let form = da2s()
        .args(["genotype", "--form", "nas-bench-301"])
        .arg(&run)
        .assert()
        .success()
        .stderr(loses);
    let sorted = String::from_utf8(form.get_output().stdout.clone()).unwrap();
    let import = |genotype: &str| {
        let mut command = with("import", &TINY);
        command
            .args(["--quiet", "--genotype", genotype, "--out"])
            .arg(temporary.path().join("taken"));
        command.arg("--weights").arg(&weights);
        command
    };
    let told = predicate::str::contains(
        "its weights were trained under another genotype, Genotype(normal=[('sep_conv_3x3', 1)",
    );
    import(&sorted).assert().code(5).stderr(told);
    assert!(!temporary.path().join("taken").exists());
    import(&own).assert().success();
    let accuracy = |run: &str| json(&temporary.path().join(run).join("network/evaluation.json"))["accuracy"].clone();
    assert_eq!(accuracy("taken"), accuracy("run"));
}

#[test]
fn of_a_genotype_that_is_given_only_what_runs_has_to_fit() {
    let temporary = tempfile::tempdir().unwrap();
    let skip = "[('skip_connect', 0), ('skip_connect', 1)]";
    let genotype = format!("Genotype(normal={skip}, normal_concat=[2], reduce={CELL}, reduce_concat=[2])");
    // A search would need twice as many images, one batch for each half.
    let settings = [&TINY[..], &["search.batch_size=64"]].concat();
    let told = predicate::str::contains("the normal cells are skip connections alone")
        .and(predicate::str::contains("the reduction cells").not());
    let out = temporary.path().join("run");
    with("run", &settings)
        .args(["-q", "--genotype", &genotype, "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told);
    let other = temporary.path().join("other");
    let refused = predicate::str::contains("search.batch_size");
    with("search", &settings)
        .args(["-q", "--out"])
        .arg(&other)
        .assert()
        .code(2)
        .stderr(refused);
}
