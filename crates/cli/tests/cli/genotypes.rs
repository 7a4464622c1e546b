//! Genotypes: printed in every form, and trained without a search.

use std::fs;
use std::path::Path;

use predicates::prelude::*;

use crate::export::{CELL, genotype, json, trained};
use crate::{TINY, da2s, with};

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

/// A new genotype removes everything that was computed for the old one.
#[test]
fn another_genotype_removes_what_the_one_before_left() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    crate::bad_input::finished_copy(temporary.path());
    for command in [
        &["export", "--format", "onnx"][..],
        &["draw"],
        &["report"],
        &["data", "suspects"],
    ] {
        da2s().args(command).arg(&run).assert().success();
    }
    let left = [
        "report.html",
        "suspects.html",
        "summary.json",
        "export",
        "drawings",
        "network",
    ];
    assert!(left.iter().all(|name| run.join(name).exists()));
    let discretize = || {
        let mut command = da2s();
        command.arg("discretize").arg(&run);
        command
    };
    // The same genotype removes nothing.
    discretize().assert().success();
    assert!(run.join("network/best.safetensors").exists());
    let told = predicate::str::contains("the earlier trained network is removed");
    discretize()
        .args(["--genotype", &genotype()])
        .assert()
        .success()
        .stderr(told);
    for name in left {
        assert!(!run.join(name).exists(), "{name}");
    }
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
    let told = predicate::str::contains("the form darts cannot express this genotype");
    da2s()
        .args(["genotype", bench, "--form", "darts"])
        .assert()
        .code(4)
        .stderr(told);
    assert_eq!(print("nas-bench-201", &print("naslib", bench)), format!("{bench}\n"));
    let told = predicate::str::contains("the form nni cannot express this genotype");
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
fn a_given_genotype_is_not_checked_against_settings_that_it_does_not_use() {
    let temporary = tempfile::tempdir().unwrap();
    let skip = "[('skip_connect', 0), ('skip_connect', 1)]";
    let genotype = format!("Genotype(normal={skip}, normal_concat=[2], reduce={CELL}, reduce_concat=[2])");
    // A search would need twice as many images, one batch for each half.
    let settings = [&TINY[..], &["search.batch_size=64"]].concat();
    let told = predicate::str::contains("the normal cells consist of skip connections only")
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
