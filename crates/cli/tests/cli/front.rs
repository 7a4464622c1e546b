//! `da2s front`: several networks from one search.

use std::fs;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::bad_input::finished_copy;
use crate::{TINY, da2s, with};

/// `da2s front RUN` with these arguments.
fn front(run: &Path, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = da2s();
    command.arg("front").arg(run).args(arguments);
    command
}

fn points(run: &Path) -> Vec<Value> {
    let front: Value = serde_json::from_slice(&fs::read(run.join("front/front.json")).unwrap()).unwrap();
    front["points"].as_array().unwrap().clone()
}

fn names(points: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = points.iter().map(|point| point["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn networks_are_trained_once_and_those_that_nothing_beats_are_marked() {
    let temporary = tempfile::tempdir().unwrap();
    finished_copy(temporary.path());
    let run = &temporary.path().join("run");
    // 2 times 2 channels are 4, and 2.2 times 2 are rounded to 4, too.
    let request = ["--widths", "1,2,2.2", "--cells", "3,4", "--epochs", "1"];
    let told = contains("network 1 of 4: c2-n3-e1").and(contains("network 4 of 4: c4-n4-e1"));
    let table = contains("on the front of")
        .and(contains("latency measured here"))
        .and(contains("front.html"));
    front(run, &request).assert().success().stderr(told).stdout(table);
    let all = points(run);
    assert_eq!(names(&all), ["c2-n3-e1", "c2-n4-e1", "c4-n3-e1", "c4-n4-e1"]);
    for point in &all {
        let name = point["name"].as_str().unwrap();
        assert!(
            run.join(point["directory"].as_str().unwrap())
                .join("summary.json")
                .exists(),
            "{name}"
        );
        let requested = if name.starts_with("c4") {
            vec!["width 2", "width 2.2"]
        } else {
            vec!["width 1"]
        };
        assert_eq!(point["requested"], serde_json::json!(requested), "{name}");
        assert!(
            point["latency_ms"].as_f64().unwrap() > 0.0 && point["accuracy_interval"][0].is_f64(),
            "{name}"
        );
    }
    let number = |point: &Value, key: &str| point[key].as_f64().unwrap();
    let keys = ["multiply_adds", "size_bytes", "ram_bytes", "latency_ms"];
    let at_chance = |point: &Value| point["at_chance"].as_bool().unwrap();
    for point in &all {
        let dominates = |other: &Value| {
            let cheaper = keys.iter().all(|key| number(other, key) <= number(point, key));
            let better = keys.iter().any(|key| number(other, key) < number(point, key));
            let (ours, theirs) = (number(point, "accuracy"), number(other, "accuracy"));
            !at_chance(other) && cheaper && theirs >= ours && (better || theirs > ours)
        };
        let is_on_front = !at_chance(point) && !all.iter().any(dominates);
        assert_eq!(point["on_front"]["overall"], is_on_front, "{point}");
    }
    assert_eq!(
        fs::read_to_string(run.join("front/front.csv")).unwrap().lines().count(),
        5
    );
    let page = fs::read_to_string(run.join("front/front.html")).unwrap();
    assert_eq!(page.matches("<svg class=\"scatter\"").count(), 4);

    // Nothing is left to do, and results that are deleted come back as they were.
    let weights = |name: &str| fs::read(run.join("front").join(name).join("network/best.safetensors")).unwrap();
    let before = weights("c4-n3-e1");
    fs::remove_file(run.join("front/c2-n4-e1/summary.json")).unwrap();
    fs::remove_dir_all(run.join("front/c4-n3-e1")).unwrap();
    let only = contains("c2-n4-e1")
        .and(contains("c4-n3-e1"))
        .and(contains("c2-n3-e1").not());
    front(run, &request).assert().success().stderr(only);
    assert!(weights("c4-n3-e1") == before);
    front(run, &request).assert().success().stderr("");

    // A folder that was renamed is not used: its network is trained again. A link is not followed.
    let folder = run.join("front/c4-n4-e1");
    fs::rename(&folder, run.join("front/copy")).unwrap();
    front(run, &request).assert().success().stderr(contains("c4-n4-e1"));
    let directories: Vec<Value> = points(run).iter().map(|point| point["directory"].clone()).collect();
    assert!(directories.contains(&"front/c4-n4-e1".into()), "{directories:?}");
    assert_eq!(directories.len(), 4);
    #[cfg(unix)]
    {
        let elsewhere = temporary.path().join("elsewhere");
        fs::rename(&folder, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
        let refused = contains("a link or a file is in the place of a folder");
        front(run, &request).assert().code(5).stderr(refused);
        fs::remove_file(&folder).unwrap();
        fs::rename(&elsewhere, &folder).unwrap();
    }

    // The front also has the run's own network and those of earlier requests, if they were trained
    // for the same number of epochs. Networks with another number of epochs are not shown.
    front(run, &["--widths", "0.5,1", "--quiet"])
        .assert()
        .code(2)
        .stderr(contains("turns 2 channels into 1"));
    let wider = ["--widths", "1.5,1", "--quiet"];
    front(run, &wider).assert().success();
    front(run, &["--widths", "2", "--quiet"]).assert().success();
    let all = points(run);
    assert_eq!(names(&all), ["c2-n3-e2", "c3-n3-e2", "c4-n3-e2"]);
    let own = all.iter().find(|point| point["name"] == "c2-n3-e2").unwrap();
    assert_eq!(
        (&own["directory"], &own["requested"]),
        (&Value::from("."), &serde_json::json!([]))
    );
    assert!(!run.join("front/c2-n3-e2").exists());

    // A front belongs to the genotype of its run: another genotype removes it.
    let text = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], \
        reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])";
    da2s()
        .args(["discretize", "--genotype", text])
        .arg(run)
        .assert()
        .success();
    assert!(!run.join("front").exists());
    let given = contains("has no search whose networks could be compared: its genotype was given");
    front(run, &["--widths", "1"]).assert().code(5).stderr(given);
}

#[cfg(unix)]
#[test]
fn a_front_that_is_killed_continues_with_the_same_bits() {
    let temporary = tempfile::tempdir().unwrap();
    let [undisturbed, killed] = ["undisturbed", "killed"].map(|name| {
        let folder = temporary.path().join(name);
        fs::create_dir(&folder).unwrap();
        finished_copy(&folder);
        folder.join("run")
    });
    let command = |run: &Path| {
        let mut command = std::process::Command::new(da2s().get_program());
        command
            .args(["front", "--widths", "2,3", "--epochs", "3", "--quiet"])
            .arg(run);
        command
    };
    let time = crate::kill::to_the_end(command(&undisturbed));
    for moment in [0.2, 0.4, 0.3] {
        crate::kill::killed_after(command(&killed), time.mul_f64(moment));
    }
    crate::kill::to_the_end(command(&killed));
    for name in ["c4-n3-e3", "c6-n3-e3"] {
        for file in [
            "network/checkpoint.safetensors",
            "network/metrics.jsonl",
            "network/evaluation.json",
        ] {
            let [ours, theirs] =
                [&undisturbed, &killed].map(|run| fs::read(run.join("front").join(name).join(file)).unwrap());
            assert!(ours == theirs, "{name}/{file}");
        }
    }
}

#[test]
fn limits_and_depths_of_a_chain() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    let own = |setting: &&str| !["network.channels=2", "network.cells=3"].contains(setting);
    let mut settings: Vec<&str> = TINY.into_iter().filter(own).collect();
    settings.extend([
        "space.stages=[[8, 3, 2], [16, 3, 2]]",
        "space.stem_channels=8",
        "space.head_channels=16",
        "space.operations=[\"mbconv_k3_e1\", \"mbconv_k3_e3\"]",
        "network.channels=8",
        "target.depth=[2, 3]",
    ]);
    with("search", &settings)
        .args(["--space", "mobile", "--quiet", "--out"])
        .arg(&run)
        .assert()
        .success();
    // The command also discretizes the run. A limit that every width exceeds is left out.
    let request = [
        "--widths",
        "1",
        "--depths",
        "2,2/3,3",
        "--max-multiply-adds",
        "1,60K",
        "--epochs",
        "1",
    ];
    front(&run, &request).assert().success().stderr(
        contains("the network of at most 1 multiply-adds is left out").and(contains("did not learn which of them")),
    );
    assert!(run.join("gap.json").exists());
    let all = points(&run);
    let of_width = |point: &&Value| point["requested"].as_array().unwrap().contains(&"width 1".into());
    let mut depths: Vec<String> = all
        .iter()
        .filter(of_width)
        .map(|point| point["depth"].to_string())
        .collect();
    depths.sort();
    assert_eq!(depths, ["[2,2]", "[2,3]", "[3,3]"]);
    let limited = "at most 60000 multiply-adds";
    let within = |point: &&Value| point["requested"].as_array().unwrap().contains(&limited.into());
    for point in all.iter().filter(within) {
        assert!(point["multiply_adds"].as_u64().unwrap() <= 60_000, "{point}");
        assert_eq!(point["cells"], Value::Null);
    }
    assert_eq!(all.iter().filter(within).count(), 3);
    // The network at the run's own depth has the genotype of the run; the others keep the strongest
    // layers.
    let genotype = |folder: &Path| {
        let file: Value = serde_json::from_slice(&fs::read(folder.join("genotype.json")).unwrap()).unwrap();
        file["genotype"].as_str().unwrap().to_owned()
    };
    assert_eq!(genotype(&run.join("front/c8-d2.3-e1")), genotype(&run));
    front(&run, &["--depths", "4"])
        .assert()
        .code(2)
        .stderr(contains("target.depth keeps 4 of the 3 layers of stage 1"));
    front(&run, &["--cells", "4"])
        .assert()
        .code(2)
        .stderr(contains("vary how many layers a stage keeps"));
}

#[test]
fn a_table_predicts_latencies_if_it_has_every_block() {
    let temporary = tempfile::tempdir().unwrap();
    finished_copy(temporary.path());
    let run = temporary.path().join("run");
    let table = temporary.path().join("latency.csv");
    with("profile", &TINY)
        .args(["--widths", "1,2", "--repeat", "1", "--out"])
        .arg(&table)
        .assert()
        .success();
    let table = table.to_str().unwrap();
    let request = ["--widths", "1,2", "--epochs", "1", "--quiet", "--latency-table", table];
    front(&run, &request)
        .assert()
        .success()
        .stdout(contains("latency predicted from target.latency_table"));
    let ms: Vec<f64> = points(&run)
        .iter()
        .map(|point| point["latency_ms"].as_f64().unwrap())
        .collect();
    // The limit is the latency of the slower network, so the widest network within it is that one.
    let most = format!("{}ms", ms.iter().copied().fold(0.0, f64::max));
    let limited = [
        "--max-latency",
        &most,
        "--epochs",
        "1",
        "--quiet",
        "--latency-table",
        table,
    ];
    front(&run, &limited).assert().success();
    let requested: Vec<Value> = points(&run).iter().map(|point| point["requested"].clone()).collect();
    assert_eq!(
        requested
            .iter()
            .filter(|requested| **requested != serde_json::json!([]))
            .count(),
        1
    );
    // If the table lacks one width, all widths are measured.
    let other = ["--widths", "3", "--epochs", "1", "--latency-table", table];
    let told = contains("no latency is predicted: ").and(contains("has no line for the block"));
    front(&run, &other)
        .assert()
        .success()
        .stderr(told)
        .stdout(contains("latency measured here"));
    let none = ["--max-latency", "0.001us", "--epochs", "1", "--latency-table", table];
    let told =
        contains("their times sum to at most 0.000001 ms").and(contains("no network is within any of the limits"));
    front(&run, &none).assert().code(2).stderr(told);
}
