//! `da2s metrics` and `--tensorboard`: other programs read the numbers that are in the run
//! directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use predicates::prelude::*;
use serde_json::Value;

use crate::python::python_with;
use crate::{TINY, da2s, finished, with};

/// The lines of a file of JSON lines.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only event file in `folder`.
fn event_file(folder: &Path) -> Vec<u8> {
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(file.to_string_lossy().contains("events.out.tfevents."));
    fs::read(file).unwrap()
}

fn metrics(run: &Path, format: &str, out: &Path) -> assert_cmd::assert::Assert {
    da2s()
        .arg("metrics")
        .arg(run)
        .args(["--format", format, "--out"])
        .arg(out)
        .assert()
}

#[test]
fn csv_has_every_number_of_the_lines() {
    let out = tempfile::tempdir().unwrap();
    let run = finished();
    metrics(run, "csv", out.path())
        .success()
        .stdout(predicate::str::contains("metrics.csv\n"));
    let text = fs::read_to_string(out.path().join("metrics.csv")).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    assert_eq!(header[..4], ["run", "stage", "epoch", "time_s"]);
    let expected: Vec<(&str, Value, Value)> = [("search", "search"), ("network", "network")]
        .into_iter()
        .flat_map(|(stage, folder)| {
            let numbers = lines(&run.join(folder).join("metrics.jsonl"));
            let times = lines(&run.join(folder).join("times.jsonl"));
            numbers
                .into_iter()
                .zip(times)
                .map(move |(numbers, time)| (stage, numbers, time))
        })
        .collect();
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), expected.len());
    for (row, (stage, numbers, time)) in rows.iter().zip(&expected) {
        assert_eq!(row[1], *stage);
        for (name, cell) in header.iter().zip(row).skip(2) {
            let value = if *name == "time_s" {
                &time["time_s"]
            } else {
                &numbers[*name]
            };
            // Equal to the last bit, and empty for a missing value.
            assert_eq!(cell.parse::<f64>().ok(), value.as_f64(), "{stage} {name}");
        }
        assert!(
            numbers
                .as_object()
                .unwrap()
                .keys()
                .all(|key| header.contains(&key.as_str()))
        );
    }
    let mixture = fs::read_to_string(out.path().join("architecture.csv")).unwrap();
    let records = lines(&run.join("search/arch.jsonl"));
    assert_eq!(mixture.lines().count(), 1 + records.len() * 2 * 14 * 7);
    let first = &records[0]["cells"]["normal"];
    let expected = format!("run,0,normal,0,2,max_pool_3x3,{},", first["alpha"][0][0]);
    assert_eq!(mixture.lines().nth(1).unwrap()[..expected.len()], expected);
}

#[test]
fn several_runs_give_one_table_and_one_folder_of_events_each() {
    let out = tempfile::tempdir().unwrap();
    let run = finished();
    da2s()
        .arg("metrics")
        .args([run, run])
        .args(["--format", "csv"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--out DIR"));
    for format in ["csv", "tensorboard"] {
        let two = da2s()
            .arg("metrics")
            .args([run, run])
            .args(["--format", format, "--out"])
            .arg(out.path())
            .assert();
        two.success();
    }
    let table = fs::read_to_string(out.path().join("metrics.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * 4);
    assert!(
        table.contains("\nrun,search,1,") && table.contains("\nrun-2,search,1,"),
        "{table}"
    );
    assert_eq!(
        event_file(&out.path().join("run")),
        event_file(&out.path().join("run-2"))
    );
}

#[test]
fn events_written_during_a_run_equal_those_of_the_finished_run() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    with("search", &TINY)
        .args(["-q", "--tensorboard", "--out"])
        .arg(&run)
        .assert()
        .success();
    // When the run is resumed, earlier events are replaced, not duplicated.
    let rest = with("run", &TINY)
        .args(["-q", "--tensorboard", "--resume", "--out"])
        .arg(&run)
        .assert();
    rest.success();
    metrics(&run, "tensorboard", &out).success();
    let out_run = out.join("run");
    let (along, afterwards) = (event_file(&run.join("tensorboard")), event_file(&out_run));
    assert!(
        sorted(&along) == sorted(&afterwards),
        "{} and {} bytes",
        along.len(),
        afterwards.len()
    );
    // A second time, into the same folder.
    metrics(&run, "tensorboard", &out).success();
    assert!(sorted(&event_file(&out_run)) == sorted(&afterwards));
    // The events of another run are kept.
    metrics(finished(), "tensorboard", &out).success();
    let moved = folder.path().join("other");
    fs::rename(&run, &moved).unwrap();
    metrics(&moved, "tensorboard", &out).success();
    event_file(&out.join("other"));
    assert_eq!(fs::read_dir(&out_run).unwrap().count(), 2);
}

/// Reported even with `--quiet`.
#[test]
fn a_run_without_events_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let search = |more: &[&str]| {
        with("search", &TINY)
            .args(["-q", "--out"])
            .arg(&run)
            .args(more)
            .assert()
            .success()
    };
    search(&[]).stderr("");
    fs::write(run.join("tensorboard"), "").unwrap();
    search(&["--tensorboard", "--resume"])
        .stderr(predicate::str::starts_with("da2s: no more events for TensorBoard: "));
}

/// The records of an event file, sorted.
fn sorted(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut records, mut rest) = (Vec::new(), file);
    while let Some((length, _)) = rest.split_first_chunk::<8>() {
        let (record, after) = rest.split_at(16 + u64::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    records.sort_unstable();
    records
}

#[test]
fn a_missing_run_and_a_path_that_cannot_be_written_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["csv", "parquet", "tensorboard"] {
        metrics(&folder.path().join("none"), format, folder.path())
            .code(5)
            .stderr(predicate::str::contains("is not a run directory"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        metrics(finished(), format, &file.join("x"))
            .code(7)
            .stderr(predicate::str::contains("cannot write"));
    }
}

/// Reads the files with the real TensorBoard and pyarrow.
#[test]
fn tensorboard_and_pyarrow_read_the_same_numbers() {
    let test = "tensorboard_and_pyarrow_read_the_same_numbers";
    let Some(python) = python_with("tensorboard, pyarrow", test) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let (events, tables) = (out.path().join("events"), out.path().join("tables"));
    let run = finished();
    metrics(run, "tensorboard", &events).success();
    metrics(run, "parquet", &tables).success();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_metrics.py");
    let output = Command::new(&python)
        .arg(script)
        .args([&events, &tables])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();

    // Every number of every line, in TensorBoard's precision.
    let mut expected: BTreeMap<String, Vec<(u64, f32)>> = BTreeMap::new();
    for stage in ["search", "network"] {
        for line in lines(&run.join(stage).join("metrics.jsonl")) {
            let epoch = line["epoch"].as_u64().unwrap();
            for (key, value) in line.as_object().unwrap() {
                if let Some(value) = value
                    .as_f64()
                    .filter(|_| !["epoch", "epochs", "steps"].contains(&key.as_str()))
                {
                    expected
                        .entry(format!("{stage}/{key}"))
                        .or_default()
                        .push((epoch, value as f32));
                }
            }
        }
    }
    let summary: Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    for key in [
        "supernet_accuracy",
        "discretized_accuracy",
        "gap",
        "network_accuracy",
        "parameters",
        "multiply_adds",
    ] {
        expected.insert(
            format!("result/{key}"),
            vec![(0, summary[key].as_f64().unwrap() as f32)],
        );
    }
    let scalars: BTreeMap<String, Vec<(u64, f32)>> = serde_json::from_value(read["scalars"]["run"].clone()).unwrap();
    assert_eq!(scalars, expected);

    // One histogram per epoch and cell type that counts every value.
    let records = lines(&run.join("search/arch.jsonl"));
    for (tag, values) in [
        ("alpha/normal", 14 * 7),
        ("alpha/reduction", 14 * 7),
        ("beta/normal", 12),
        ("beta/reduction", 12),
    ] {
        let shown = read["histograms"]["run"][tag].as_array().unwrap();
        assert_eq!(shown.len(), records.len(), "{tag}");
        for histogram in shown {
            let counts = histogram[2]
                .as_array()
                .unwrap()
                .iter()
                .map(|bucket| bucket[2].as_f64().unwrap());
            assert!(
                (counts.sum::<f64>() - f64::from(values)).abs() < 1e-6,
                "{tag}: {histogram}"
            );
        }
    }
    for tag in ["cells/normal", "cells/reduction"] {
        let shown = &read["images"]["run"][tag][0];
        assert_eq!(shown[0], "\u{89}PNG", "{tag}: {shown}");
        assert!(
            shown[1].as_u64() > Some(100) && shown[2].as_u64() > Some(100),
            "{tag}: {shown}"
        );
    }
    let names: Vec<&str> = read["hparams"]["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        names.contains(&"search.epochs") && names.contains(&"search.method"),
        "{names:?}"
    );
    assert!(
        read["hparams"]["metrics"]
            .to_string()
            .contains("result/network_accuracy")
    );
    let group = &read["hparams"]["groups"][0];
    assert_eq!(
        (&group["search.epochs"], &group["search.method"]),
        (&Value::from(2.0), &Value::from("da2s"))
    );

    // Parquet stores the numbers exactly.
    let columns = read["metrics"].as_object().unwrap();
    let search = lines(&run.join("search/metrics.jsonl"));
    for (row, line) in search.iter().enumerate() {
        for (key, value) in line.as_object().unwrap() {
            assert_eq!(columns[key][row].as_f64(), value.as_f64(), "{key}");
        }
    }
    let mixture = &read["architecture"];
    assert_eq!(mixture["alpha"].as_array().unwrap().len(), records.len() * 2 * 14 * 7);
    assert_eq!(
        mixture["p"][3].as_f64(),
        records[0]["cells"]["normal"]["p"][0][3].as_f64()
    );
    assert_eq!(mixture["operation"][3], records[0]["cells"]["normal"]["operations"][3]);
}
