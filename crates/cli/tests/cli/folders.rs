//! Folders of the user's own images from start to finish: `da2s run FOLDER`, its messages, moved
//! images, rare classes, bad files.

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::{Value, json};

/// Noise around a colour that encodes the class.
fn image(path: &Path, class: u8, number: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let noise = |x: u32, y: u32, channel: u32| {
        let bits = (x * 7 + y * 13 + channel * 29 + number * 101).wrapping_mul(2_654_435_761) >> 24;
        (60 + 100 * u32::from(class) / 2 + bits % 60) as u8
    };
    image::RgbImage::from_fn(12, 12, |x, y| image::Rgb([0, 1, 2].map(|channel| noise(x, y, channel))))
        .save(path)
        .unwrap();
}

/// A folder with the given number of images per class.
fn images(dir: &Path, counts: &[(&str, u32)]) {
    for (class, (name, count)) in (0..).zip(counts) {
        for number in 0..*count {
            image(
                &dir.join(name).join(format!("{number}.png")),
                class,
                number + 1000 * u32::from(class),
            );
        }
    }
}

/// `da2s VERB` with the smallest settings for folders of few images.
fn small(verb: &str) -> Command {
    let mut command = da2s();
    command.arg(verb);
    for setting in TINY {
        if !setting.contains("batch_size") && !setting.starts_with("data.") {
            command.args(["--set", setting]);
        }
    }
    for setting in [
        "search.batch_size=4",
        "network.batch_size=4",
        "search.cells=3",
        "network.auxiliary=false",
    ] {
        command.args(["--set", setting]);
    }
    command.args(["--image-size", "16"]);
    command
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder with classes `a` and `b` in `train` and `test`.
fn two_parts(dir: &Path) {
    images(&dir.join("train"), &[("a", 8), ("b", 8)]);
    images(&dir.join("test"), &[("a", 4), ("b", 4)]);
}

#[test]
fn a_folder_is_the_only_required_argument() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    images(&dir.join("photos"), &[("a", 12), ("b", 12)]);
    fs::write(dir.join("photos/a/notes.txt"), "").unwrap();
    let said = || {
        predicate::str::contains(
        "da2s: there are no test images, so 4 of the 24 images, a fifth of each class, are set aside for the test by seed 1\n",
    )
    .and(predicate::str::contains("da2s: skipped: 1 .txt file\n"))
    };
    let shown = predicate::str::contains("run                       images, ")
        .and(predicate::str::contains("balanced over classes"))
        .and(predicate::str::contains("precision    recall        F1  images"));
    small("run")
        .current_dir(dir)
        .args(["photos", "--out", "positional"])
        .assert()
        .success()
        .stderr(said())
        .stdout(shown);
    let environment = json(&dir.join("positional/environment.json"));
    assert_eq!(environment["dataset"], "images");
    assert_eq!(environment["dataset_checksum_of"], "contents");
    assert_eq!(environment["dataset_notes"].as_array().unwrap().len(), 2);
    let glance = &environment["dataset_images"];
    assert_eq!((&glance["train"], &glance["test"]), (&json!([10, 10]), &json!([2, 2])));
    assert_eq!(
        (&glance["files"]["rows"], &glance["input"]),
        (&json!([12, 12]), &json!([16, 16]))
    );
    let evaluation = json(&dir.join("positional/network/evaluation.json"));
    for mistake in evaluation["mistakes"].as_array().unwrap() {
        let path = mistake["path"].as_str().unwrap();
        assert!(dir.join("photos").join(path).is_file(), "{path}");
    }
    let summary = json(&dir.join("positional/summary.json"));
    assert_eq!(summary["class_scores"][1]["class"], "b");
    assert_eq!(summary["class_scores"][1]["images"], 2);
    assert!(summary["network_balanced_accuracy"].is_number());
    let report = fs::read_to_string(dir.join("positional/report.html")).unwrap();
    assert!(report.contains("balanced accuracy") && report.contains("a fifth of each class"));

    // The same with `--data-dir` alone, and for a search.
    small("search")
        .current_dir(dir)
        .args(["--data-dir", "photos", "--out", "flag"])
        .assert()
        .success()
        .stderr(said());
    let checksum = |run: &str| json(&dir.join(run).join("environment.json"))["dataset_checksum"].clone();
    assert_eq!(checksum("flag"), checksum("positional"));

    // With a table of labels.
    let rows: String = (0..12)
        .flat_map(|number| ["a", "b"].map(|class| format!("photos/{class}/{number}.png,{class}\r\n")))
        .collect();
    fs::write(dir.join("own.csv"), format!("\u{feff}\"path\",\"label\"\r\n{rows}")).unwrap();
    small("search")
        .current_dir(dir)
        .args(["own.csv", "--quiet", "--out", "table"])
        .assert()
        .success()
        .stderr(predicate::str::contains("4 of the 24 images"));
}

#[test]
fn a_folder_is_never_ignored() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    two_parts(&dir.join("own"));
    let told = "the digits, which are built in";
    for arguments in [
        &["digits", "--data-dir", "own"][..],
        &["digits", "--set", "data.dir=own"],
        &["--set", "data.dataset=digits", "--data-dir", "own"],
    ] {
        small("run")
            .current_dir(dir)
            .args(arguments)
            .args(["--out", "out"])
            .assert()
            .code(2)
            .stderr(predicate::str::contains("data.dir").and(predicate::str::contains(told)));
        assert!(!dir.join("out").exists());
    }
    // Neither an existing folder nor the name of a data set.
    small("run")
        .current_dir(dir)
        .args(["digit", "--out", "out"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("digits"));
    small("run")
        .current_dir(dir)
        .args(["./photos", "--out", "out"])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("photos"));
    // A recipe does not choose the images.
    da2s()
        .current_dir(dir)
        .args(["config", "own", "--recipe", "digits", "--image-size", "16"])
        .assert()
        .success()
        .stdout(predicate::str::contains("dataset = \"images\"").and(predicate::str::contains("dir = \"own\"")));
}

#[test]
fn images_that_moved_are_found_by_every_stage_if_they_are_the_same() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    two_parts(&dir.join("own"));
    small("run")
        .current_dir(dir)
        .args(["own", "--quiet", "--out", "run"])
        .assert()
        .success();
    fs::rename(dir.join("own"), dir.join("moved")).unwrap();
    two_parts(&dir.join("other"));
    image(&dir.join("other/train/a/0.png"), 1, 7);
    for stage in ["discretize", "train", "evaluate"] {
        let run = |arguments: &[&str]| {
            let mut command = da2s();
            command.current_dir(dir).args([stage, "run", "--quiet"]).args(arguments);
            command.assert()
        };
        run(&[]).code(3).stderr(
            predicate::str::contains("the images of this run are no longer in ")
                .and(predicate::str::contains("own; say where they are with --data-dir")),
        );
        run(&["--data-dir", "other"])
            .code(5)
            .stderr(predicate::str::contains("their checksum differs").and(predicate::str::contains("--data-dir")));
        fs::create_dir_all(dir.join("empty")).unwrap();
        run(&["--data-dir", "empty"]).code(3).stderr(
            predicate::str::contains("empty: expected images, but the folder is empty")
                .and(predicate::str::contains("say where they are with --data-dir")),
        );
        run(&["--data-dir", "moved"]).success();
    }
    small("run")
        .current_dir(dir)
        .args(["--resume", "--out", "run", "--data-dir", "moved", "--quiet"])
        .assert()
        .success();
}

/// Attack: class folders whose files have equal names and sizes.
#[test]
fn a_search_does_not_resume_after_its_classes_were_exchanged() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    two_parts(&dir.join("own"));
    for part in ["train", "test"] {
        for class in ["a", "b"] {
            for entry in fs::read_dir(dir.join("own").join(part).join(class)).unwrap() {
                // Bytes after the end of the image are ignored.
                let path = entry.unwrap().path();
                let mut bytes = fs::read(&path).unwrap();
                bytes.resize(20_000, 0);
                fs::write(&path, bytes).unwrap();
            }
        }
    }
    let search = || {
        let mut command = small("search");
        command
            .current_dir(dir)
            .args(["own", "--quiet", "--out", "run", "--set", "data.memory_limit_bytes=0"]);
        command
    };
    search().assert().success();
    assert_eq!(json(&dir.join("run/environment.json"))["dataset_checksum_of"], "blocks");
    let train = dir.join("own/train");
    fs::rename(train.join("a"), train.join("aside")).unwrap();
    fs::rename(train.join("b"), train.join("a")).unwrap();
    fs::rename(train.join("aside"), train.join("b")).unwrap();
    search()
        .arg("--resume")
        .assert()
        .code(5)
        .stderr(predicate::str::contains("their checksum differs"));
}

#[test]
fn a_rare_class_is_warned_of_and_can_count_more() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    // Pure noise: the classes cannot be distinguished.
    for (class, number, count) in [
        ("train/common", 0, 95),
        ("train/rare", 100, 5),
        ("test/common", 200, 38),
        ("test/rare", 300, 2),
    ] {
        for number in number..number + count {
            image(&dir.join("own").join(class).join(format!("{number}.png")), 0, number);
        }
    }
    let run = |arguments: &[&str]| {
        let mut command = small("run");
        command.current_dir(dir).args(["own", "--quiet"]).args(arguments);
        command.assert()
    };
    run(&["--out", "plain"]).success().stderr(
        predicate::str::is_match(
            r"da2s: the network never predicts rare \(2 test images\); .*data.class_weights=balanced",
        )
        .unwrap(),
    );
    let scores = json(&dir.join("plain/summary.json"));
    assert_eq!(scores["network_accuracy"], 95.0);
    assert_eq!(scores["network_balanced_accuracy"], 50.0);
    let rare = &scores["class_scores"][1];
    assert_eq!(
        (&rare["recall"], &rare["f1"], &rare["precision"]),
        (&0.0.into(), &0.0.into(), &Value::Null)
    );
    // Class weights are a setting of the run, and class names are checked before anything is
    // written.
    run(&["--out", "weighted", "--set", "data.class_weights=balanced"]).success();
    let bytes = |run: &str| fs::read(dir.join(run).join("network/best.safetensors")).unwrap();
    assert_ne!(bytes("plain"), bytes("weighted"));
    run(&[
        "--out",
        "named",
        "--set",
        "data.class_weights={ rare = 19.0 }",
        "--search-epochs",
        "2",
    ])
    .success();
    for (weights, code, told) in [
        (
            "{ seldom = 19.0 }",
            2,
            "data.class_weights = seldom: expected weights of the classes common, rare",
        ),
        ("{ rare = -1.0 }", 2, "data.class_weights"),
        ("even", 2, "data.class_weights"),
    ] {
        let set = format!("data.class_weights={weights}");
        run(&["--out", "refused", "--set", &set])
            .code(code)
            .stderr(predicate::str::contains(told));
        assert!(!dir.join("refused").exists());
    }
}

#[test]
fn a_class_without_images_in_one_half_of_the_search_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    images(&dir.join("own/train"), &[("a", 20), ("b", 20), ("c", 1)]);
    images(&dir.join("own/test"), &[("a", 4), ("b", 4), ("c", 4)]);
    let said = predicate::str::is_match(
        "da2s: there is no training image of class c for (the weights of the super-network|its architecture)\n",
    );
    small("search")
        .current_dir(dir)
        .args(["own", "--quiet", "--out", "run"])
        .assert()
        .success()
        .stderr(said.unwrap());
}

#[cfg(unix)]
#[test]
fn a_check_continues_after_damaged_files_and_reports_them_as_json() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    two_parts(dir);
    std::os::unix::fs::symlink("nowhere.png", dir.join("train/a/broken.png")).unwrap();
    fs::write(dir.join("test/b/0.png"), "no image").unwrap();
    fs::write(dir.join("test/b/list.txt"), "").unwrap();
    let check = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["data", "check"]).arg(dir).args(arguments);
        command
            .assert()
            .code(3)
            .stderr(predicate::str::contains("2 images cannot be decoded"))
    };
    let output = check(&[]).get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for line in [
        "a                    9           4",
        "not read  1 .txt file",
        "a/broken.png: ",
        "b/0.png: not an image",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let document: Value = serde_json::from_slice(&check(&["--json"]).get_output().stdout.clone()).unwrap();
    assert_eq!(document["parts"][0]["classes"]["a"], 9);
    assert_eq!(document["parts"][0]["images"], 17);
    assert_eq!(document["passed_over"]["endings"]["txt"], 1);
    let damaged = document["damaged"].as_array().unwrap();
    assert_eq!(damaged.len(), 2);
    assert!(damaged[0]["image"].as_str().unwrap().ends_with("broken.png"));
    assert!(damaged[1]["reason"].as_str().unwrap().starts_with("not an image"));
}

#[test]
fn good_images_are_classified_beside_bad_ones() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    two_parts(&dir.join("own"));
    small("run")
        .current_dir(dir)
        .args(["own", "--quiet", "--out", "run"])
        .assert()
        .success();
    images(dir, &[("new", 40)]);
    fs::write(dir.join("new/11.png"), "no image").unwrap();
    fs::write(dir.join("new/about.pdf"), "").unwrap();
    let predict = |arguments: &[&str]| {
        let mut command = da2s();
        command.current_dir(dir).args(["predict", "run", "new"]).args(arguments);
        command.assert().code(3)
    };
    let said = predicate::eq(
        "da2s: skipped in new: 1 .pdf file\nda2s: new/11.png: not an image: it begins like no JPEG, PNG, WebP, BMP, TIFF or GIF file\n",
    );
    let output = predict(&[]).stderr(said).get_output().stdout.clone();
    let lines = String::from_utf8(output).unwrap();
    assert_eq!(lines.lines().count(), 39);
    assert!(!lines.contains("11.png") && lines.contains("new/39.png"));
    fs::write(dir.join("new/12.png"), "").unwrap();
    let output = predict(&["--json"])
        .stderr(predicate::str::contains("new/12.png").and(predicate::str::contains("2 of 40 images cannot be read")))
        .get_output()
        .stdout
        .clone();
    let answers: Value = serde_json::from_slice(&output).unwrap();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 40);
    let bad = answers
        .iter()
        .filter(|one| one["error"].is_string() && one["classes"].is_null());
    assert_eq!(bad.count(), 2);
    assert_eq!(answers.iter().filter(|one| one["classes"].is_array()).count(), 38);
}

/// If a folder has fewer images than the batch of the recipe, the batch size is lowered, and a
/// message says so. A batch size that the user requested stays.
#[test]
fn a_small_folder_lowers_the_batches_of_the_recipe() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    images(&dir.join("own"), &[("a", 15), ("b", 15)]);
    let config = |more: &[&str]| {
        let output = da2s()
            .current_dir(dir)
            .args(["config", "own"])
            .args(more)
            .output()
            .unwrap();
        let table: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
        ["search", "network"].map(|part| table[part]["batch_size"].as_integer().unwrap())
    };
    // 3 of the 15 images of each class are for testing; the others are divided into two halves.
    assert_eq!(config(&[]), [12, 24]);
    assert_eq!(config(&["--set", "search.batch_size=8"]), [8, 24]);
    assert_eq!(config(&["--set", "network.batch_size=96"]), [12, 96]);
    assert_eq!(config(&["--recipe", "images"]), [12, 24]);
    assert_eq!(config(&["--recipe", "images-large"]), [12, 24]);
    let small = [
        "search.cells=3",
        "search.channels=2",
        "network.cells=3",
        "network.channels=2",
        "space.nodes=2",
    ];
    let short = [
        "search.epochs=2",
        "search.warmup_epochs=1",
        "network.epochs=1",
        "network.auxiliary=false",
        "network.augmentation.cutout=0",
    ];
    let mut run = da2s();
    run.current_dir(dir)
        .args(["run", "own", "--image-size", "8", "--quiet", "--out", "run"]);
    for setting in small.iter().chain(&short) {
        run.args(["--set", setting]);
    }
    let told = predicate::str::contains("search.batch_size is 12 instead of 64, since there are so few images")
        .and(predicate::str::contains("network.batch_size is 24 instead of 96"));
    run.assert().success().stderr(told);
    // The recipe's auxiliary head does not fit 16 pixels; one that was requested is refused.
    let left_out = "network.auxiliary is false instead of true, since the images are too small for an auxiliary head";
    let check = |requested: &[&str]| {
        let mut search = da2s();
        search
            .current_dir(dir)
            .args(["search", "own", "--image-size", "16", "--quiet", "--out", "head"]);
        for setting in small[..2].iter().chain(&small[4..]).chain(&short[..2]).chain(requested) {
            search.args(["--set", setting]);
        }
        search.assert()
    };
    check(&["network.auxiliary=true"])
        .code(2)
        .stderr(predicate::str::contains("an auxiliary head needs"));
    check(&[]).success().stderr(predicate::str::contains(left_out));
}

/// Grey images have one channel in search, training and exports, unless three are requested.
#[test]
fn grey_images_keep_one_channel() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    for (class, level) in [("bright", 150u32), ("dark", 20)] {
        fs::create_dir_all(dir.join("grey").join(class)).unwrap();
        for number in 0..20u32 {
            let pixel = |x: u32, y: u32| image::Luma([(level + (x * 7 + y * 3 + number * 5) % 60) as u8]);
            let image = image::GrayImage::from_fn(8, 8, pixel);
            let path = dir.join("grey").join(class).join(format!("{number}.png"));
            // Every second file stores the grey image with three channels.
            if number % 2 == 0 {
                image.save(path).unwrap();
            } else {
                image::DynamicImage::from(image).to_rgb8().save(path).unwrap();
            }
        }
    }
    let run = |out: &str, settings: &[&str]| {
        let all = [
            &TINY[2..],
            &["data.image_size=8", "network.augmentation.cutout=0"],
            settings,
        ]
        .concat();
        let mut command = with("run", &all);
        command
            .current_dir(dir)
            .args(["grey", "--quiet", "--out", out])
            .assert()
            .success();
        json(&dir.join(out).join("network/preprocessing.json"))
    };
    let preprocessing = run("one", &[]);
    assert_eq!(preprocessing["channels"], 1);
    assert_eq!(preprocessing["mean"].as_array().unwrap().len(), 1);
    let config: toml::Table = fs::read_to_string(dir.join("one/config.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(config["data"]["channels"].as_integer(), Some(1));
    // The first convolution of the super-network and of the exported network reads one channel.
    da2s()
        .current_dir(dir)
        .args(["export", "one", "--format", "safetensors", "--out", "one.safetensors"])
        .assert()
        .success();
    for file in ["one.safetensors", "one/search/checkpoint.safetensors"] {
        let bytes = fs::read(dir.join(file)).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let tensors = header.as_object().unwrap();
        let stems: Vec<_> = tensors
            .iter()
            .filter(|(name, _)| name.ends_with("stem.0.weight"))
            .collect();
        assert!(!stems.is_empty(), "{file}: {header}");
        assert!(stems.iter().all(|(_, stem)| stem["shape"][1] == 1), "{file}: {stems:?}");
    }
    assert_eq!(run("three", &["data.channels=3"])["channels"], 3);

    // Weights for three channels, of da2s and of another program.
    let genotype = fs::read_to_string(dir.join("three/genotype.json")).unwrap();
    fs::write(dir.join("own.txt"), genotype).unwrap();
    fs::create_dir(dir.join("weights")).unwrap();
    da2s()
        .current_dir(dir)
        .args([
            "export",
            "three",
            "--format",
            "safetensors",
            "--out",
            "weights/three.safetensors",
        ])
        .assert()
        .success();
    let import = |file: &str, settings: &[&str]| {
        let fixed = ["data.image_size=8", "network.augmentation.cutout=0"];
        let mut command = with("import", &[&TINY[2..], &fixed, settings].concat());
        let given = [
            "grey",
            "-q",
            "--genotype-file",
            "own.txt",
            "--out",
            "taken",
            "--weights",
        ];
        command.current_dir(dir).args(given).arg(file).assert()
    };
    for file in ["weights/three.safetensors", "three/network/best.safetensors"] {
        import(file, &[])
            .code(5)
            .stderr(predicate::str::contains("use --set data.channels=3"));
        import(file, &["data.channels=3"]).success();
        fs::remove_dir_all(dir.join("taken")).unwrap();
    }
}
