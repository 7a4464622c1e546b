//! Whatever is wrong is told in one sentence that names the place, with its exit code, and leaves nothing half-written.

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

/// Bytes of a CIFAR-10 record.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// A folder as that of CIFAR-10, with twenty images a file.
fn cifar10(dir: &Path) {
    let names = "airplane automobile bird cat deer dog frog horse ship truck".replace(' ', "\n");
    fs::write(dir.join("batches.meta.txt"), names).unwrap();
    let records: Vec<u8> = (0..20 * RECORD_BYTES)
        .map(|at| {
            if at % RECORD_BYTES == 0 {
                (at / RECORD_BYTES % 10) as u8
            } else {
                (at * 31) as u8
            }
        })
        .collect();
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        fs::write(dir.join(format!("{name}.bin")), &records).unwrap();
    }
}

/// A run in `dir/run` that must fail with `code`, say `expected` in one line, and leave no directory behind.
fn fails(dir: &Path, arguments: &[&str], code: i32, expected: &[&str]) {
    let out = dir.join("run");
    let mut command = with("run", &TINY);
    command.args(arguments).arg("--out").arg(&out);
    let assert = command.assert().code(code).stdout("");
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("da2s: "), "{told}");
    for part in expected {
        assert!(told.contains(part), "{told}\nexpected {part}");
    }
    assert!(!out.exists(), "nothing is half-written");
}

#[test]
fn folders_and_files_of_images() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let data = dir.join("data");
    let folder = data.to_str().unwrap();
    let cifar = ["cifar10", "--recipe", "digits", "--data-dir", folder];
    fails(dir, &cifar, 3, &[folder, "data_batch_1.bin"]);

    fs::create_dir(&data).unwrap();
    cifar10(&data);
    let truncated = data.join("data_batch_3.bin");
    let bytes = fs::read(&truncated).unwrap();
    fs::write(&truncated, &bytes[..bytes.len() - 100]).unwrap();
    fails(dir, &cifar, 3, &["data_batch_3.bin", "record 19"]);

    fs::write(
        &truncated,
        [&bytes[..RECORD_BYTES], &[10], &bytes[1..RECORD_BYTES]].concat(),
    )
    .unwrap();
    fails(dir, &cifar, 3, &["data_batch_3.bin", "record 1", "found 10"]);
}

#[test]
fn folders_of_classes() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let data = dir.join("data");
    for class in ["train/cat", "train/dog", "train/emu", "test/cat", "test/dog"] {
        fs::create_dir_all(data.join(class)).unwrap();
        fs::write(data.join(class).join("1.png"), "no picture").unwrap();
    }
    let images = [
        "images",
        "--recipe",
        "digits",
        "--image-size",
        "8",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    fails(dir, &images, 3, &["class `emu`", "train", "test"]);

    fs::create_dir(data.join("test/emu")).unwrap();
    fs::write(data.join("test/emu/1.png"), "no picture").unwrap();
    fails(dir, &images, 3, &["1.png", "not a picture that can be decoded"]);
}

#[test]
fn devices_that_are_not_here() {
    let temporary = tempfile::tempdir().unwrap();
    fails(
        temporary.path(),
        &["--device", "abacus"],
        6,
        &["abacus", "available here: cpu"],
    );
    fails(temporary.path(), &["--device", "cpu:7"], 6, &["cpu:7"]);
}

#[test]
fn batches_larger_than_the_data() {
    let temporary = tempfile::tempdir().unwrap();
    fails(
        temporary.path(),
        &["--set", "search.batch_size=33"],
        2,
        &["batch", "33"],
    );
}

#[test]
fn directories_that_cannot_be_made() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let mut command = with("run", &TINY);
    command.arg("--out").arg(file.join("run"));
    command
        .assert()
        .code(7)
        .stdout("")
        .stderr(predicate::str::contains("da2s: cannot create"));
}

/// A limit on the size of files stands for a disk that is full: both refuse the write.
#[cfg(unix)]
#[test]
fn a_disk_without_space() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let sets: String = TINY.iter().map(|setting| format!(" --set {setting}")).collect();
    let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" search{sets} --out \"$1\"");
    let mut command = assert_cmd::Command::new("sh");
    command
        .arg("-c")
        .arg(script)
        .arg(assert_cmd::cargo::cargo_bin("da2s"))
        .arg(&out);
    command
        .assert()
        .code(7)
        .stderr(predicate::str::contains("da2s: cannot write").and(predicate::str::contains("config.toml")));
    assert!(!out.exists());
}

#[test]
fn run_directories_that_are_none() {
    let temporary = tempfile::tempdir().unwrap();
    for verb in ["discretize", "train", "evaluate"] {
        let told = predicate::str::contains("config.toml is missing").and(predicate::str::contains("da2s run"));
        da2s().arg(verb).arg(temporary.path()).assert().code(5).stderr(told);
    }
    da2s()
        .arg("report")
        .arg(temporary.path())
        .assert()
        .code(5)
        .stderr(predicate::str::contains("not a run directory"));
}

#[test]
fn genotypes_that_are_none() {
    let temporary = tempfile::tempdir().unwrap();
    let text = "Genotype(normal=[('sep_conv_9x9', 0)], normal_concat=[2], reduce=[], reduce_concat=[2])";
    let told = || predicate::str::contains("sep_conv_9x9").and(predicate::str::contains("character"));
    da2s()
        .arg("discretize")
        .arg(temporary.path())
        .args(["--genotype", text])
        .assert()
        .code(4)
        .stderr(told());

    let file = temporary.path().join("genotype.txt");
    fs::write(&file, text).unwrap();
    let told = told().and(predicate::str::contains("genotype.txt"));
    da2s()
        .arg("train")
        .arg(temporary.path())
        .arg("--genotype-file")
        .arg(&file)
        .assert()
        .code(4)
        .stderr(told);
    let missing = temporary.path().join("missing.txt");
    da2s()
        .arg("train")
        .arg(temporary.path())
        .arg("--genotype-file")
        .arg(&missing)
        .assert()
        .code(7)
        .stderr(predicate::str::contains("missing.txt"));
}

/// One search, then everything that can be wrong with what it left.
#[test]
fn runs_that_exist_do_not_fit_or_are_damaged() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    with("search", &TINY)
        .arg("--quiet")
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stderr("");

    let again = || {
        let mut command = with("search", &TINY);
        command.arg("--quiet").arg("--out").arg(&out);
        command
    };
    let exists = predicate::str::contains("already holds a run").and(predicate::str::contains("--resume"));
    again().assert().code(5).stderr(exists);
    let other = predicate::str::contains("run.seed = 1, but 3 was asked for");
    again().args(["--resume", "--seed", "3"]).assert().code(5).stderr(other);
    da2s()
        .arg("evaluate")
        .arg(&out)
        .assert()
        .code(5)
        .stderr(predicate::str::contains("is missing"));

    let checkpoint = out.join("search/checkpoint.safetensors");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let middle = bytes.len() - bytes.len() / 4;
    bytes[middle] ^= 0x40;
    fs::write(&checkpoint, &bytes).unwrap();
    // Nor is there an earlier one.
    fs::remove_file(out.join("search/checkpoint.safetensors.previous")).unwrap();
    let damaged = predicate::str::contains("checkpoint.safetensors is damaged");
    again().arg("--resume").assert().code(5).stderr(damaged.clone());
    fs::write(&checkpoint, &bytes[..middle]).unwrap();
    da2s().arg("discretize").arg(&out).assert().code(5).stderr(damaged);

    fs::write(out.join("config.toml"), "[search]\nepochs = \"two\"\n").unwrap();
    let told = predicate::str::contains("config.toml, line 2: search.epochs = \"two\"");
    da2s().arg("discretize").arg(&out).assert().code(2).stderr(told);
}
