//! `da2s lookup`: architectures and runs in small tables, and what is said of those that are not there.

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
    told("|conv~0|", 4, "character 1");
    told("no/such/run", 5, "no run directory");
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
