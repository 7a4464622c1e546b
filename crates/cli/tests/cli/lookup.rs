//! `da2s lookup`: architectures and runs in small tables, and the message if one is missing.

use std::fs;

use crate::da2s;
use predicates::prelude::*;

fn uniform(operation: &str) -> String {
    format!("|{operation}~0|+|{operation}~0|{operation}~1|+|{operation}~0|{operation}~1|{operation}~2|")
}

#[test]
fn an_architecture_and_a_run_are_found() {
    let temporary = tempfile::tempdir().unwrap();
    let (table, run) = (temporary.path().join("table.csv"), temporary.path().join("run"));
    let (skip, conv, none) = (uniform("skip_connect"), uniform("nor_conv_3x3"), uniform("none"));
    fs::write(
        &table,
        format!("architecture,a-test\n{skip},54.2967\n{conv},94\n{none},10\n"),
    )
    .unwrap();
    fs::create_dir(&run).unwrap();
    let genotype = serde_json::json!({ "space": "nas-bench-201", "genotype": skip });
    fs::write(run.join("genotype.json"), genotype.to_string()).unwrap();
    let lookup = |what: &str| {
        let mut command = da2s();
        command.args(["lookup", what, "--benchmark"]).arg(&table);
        command
    };
    let row = || {
        predicate::str::contains("a-test   54.30 %     2   3     50.00 %  94.00 %  39.70 points")
            .and(predicate::str::contains(format!("best, a-test  {conv}")))
    };
    lookup(&skip).assert().success().stdout(row());
    lookup(run.to_str().unwrap()).assert().success().stdout(row());
    let output = lookup(&skip)
        .arg("--json")
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let json: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(
        (&json["columns"][0]["rank"], &json["columns"][0]["of"]),
        (&2.into(), &3.into())
    );

    let told = |what: &str, code: i32, said: &str| {
        lookup(what)
            .assert()
            .code(code)
            .stdout("")
            .stderr(predicate::str::contains(said));
    };
    told(&uniform("avg_pool_3x3"), 3, "3 of the 15625 architectures");
    told("|conv~0|", 4, "character 1, near `|conv~0|`");
    told("no/such/run", 5, "neither a run directory");
    fs::write(
        run.join("genotype.json"),
        "{\"space\":\"darts\",\"genotype\":\"Genotype()\"}",
    )
    .unwrap();
    told(run.to_str().unwrap(), 5, "its space is darts");
    fs::write(&table, format!("architecture,a-test\n{skip},fast\n")).unwrap();
    told(&skip, 3, "table.csv, line 2: a-test is `fast`");
    fs::remove_file(&table).unwrap();
    told(&skip, 7, "cannot read");
}

#[test]
fn skipped_columns_are_reported() {
    let temporary = tempfile::tempdir().unwrap();
    let (skip, none) = (uniform("skip_connect"), uniform("none"));
    let table = format!("arch;params;test_acc;latency-ms\n{skip};0,07;54,3;12\n{none};0,01;10;3\n");
    fs::write(temporary.path().join("table.csv"), table).unwrap();
    let lookup = || {
        let mut command = da2s();
        command
            .args(["lookup", &skip, "--benchmark", "table.csv"])
            .current_dir(temporary.path());
        command
    };
    let told = predicate::str::contains("test_acc   54.30 %     1   2").and(predicate::str::contains(
        "skipped columns, which are not accuracies: params, latency-ms",
    ));
    lookup().assert().success().stdout(told);
    let output = lookup().arg("--json").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["passed_over"], serde_json::json!(["params", "latency-ms"]));
    assert_eq!(json["columns"].as_array().unwrap().len(), 1);
}

#[test]
fn everything_that_is_read_as_an_architecture_is_looked_up() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";
    let table = folder.join("table.csv");
    let none = uniform("none");
    fs::write(
        &table,
        format!("\u{feff}index,architecture,a-test\r\n0,{none},10\r\n1,\"{arch}\",93.66\r\n\r\n"),
    )
    .unwrap();
    fs::write(
        folder.join("query.txt"),
        format!("{arch}\ndatasets : ['cifar10'], extra-info : arch-index=1\n"),
    )
    .unwrap();
    fs::write(folder.join("two.txt"), format!("A = '{none}'\nB = '{arch}'\n")).unwrap();
    let edges = "{'0_1': 'conv_3x3', '0_2': 'conv_3x3', '1_2': 'avg_pool_3x3', '0_3': 'skip_connect', '1_3': 'conv_3x3', \
        '2_3': 'skip_connect'}";
    let structure = format!("Structure(4 nodes with {arch})");
    for what in [
        arch,
        &structure,
        "(2, 2, 0, 4, 2, 0)",
        edges,
        "1",
        "query.txt",
        "two.txt:B",
        "two.txt:2",
    ] {
        let mut command = da2s();
        command
            .args(["lookup", what, "--benchmark"])
            .arg(&table)
            .current_dir(folder);
        let told = predicate::str::contains("93.66 %     1   2    100.00 %");
        command.assert().success().stdout(told);
    }
}
