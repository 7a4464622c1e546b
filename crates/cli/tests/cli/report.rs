//! Reports and pictures of tiny real runs: what the stages measure for them, several runs together,
//! long runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::{TINY, da2s, with};
use predicates::prelude::*;
use serde_json::Value;

fn run(dir: &Path, settings: &[&str]) -> PathBuf {
    let mut command = with("run", &TINY);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.arg("--quiet").arg("--out").arg(dir).assert().success();
    dir.to_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_edge_is_measured_by_itself_and_mistakes_have_pictures() {
    let temporary = tempfile::tempdir().unwrap();
    let run = run(&temporary.path().join("run"), &["discretize.edge_images=20"]);
    let gaps = json(&run.join("edge_gaps.json"));
    assert_eq!(gaps["images"], 20);
    let edges = gaps["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 28);
    let kept = edges.iter().filter(|edge| edge["kept"] == true).count();
    assert_eq!(kept, 16);
    // Two epochs decide nothing, so every choice changes the mixture, and the loss shows it. The
    // exception is the first node: it keeps both edges, which may already have a weight of one half
    // each.
    let undecided = json(&run.join("genotype.json"))["undecided"].to_string();
    assert_eq!(undecided.matches("points").count(), 12, "{undecided}");
    let supernet = &gaps["supernet"]["loss"];
    for edge in edges {
        assert_ne!(edge["operations"]["loss"], *supernet, "{edge}");
        assert!(edge["to"] == 2 || edge["edge"]["loss"] != *supernet, "{edge}");
    }

    let evaluation = json(&run.join("network/evaluation.json"));
    let mistakes = evaluation["mistakes"].as_array().unwrap();
    assert!(!mistakes.is_empty() && mistakes.len() <= 24);
    let losses: Vec<f64> = mistakes
        .iter()
        .map(|mistake| mistake["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    for mistake in mistakes {
        assert_ne!(mistake["class"], mistake["predicted"]);
        let picture = run.join(format!("network/mistakes/{}.png", mistake["index"]));
        assert_eq!(image::open(picture).unwrap().width(), 8);
    }
    // All of them in a table, the worst first.
    let wrong = evaluation["wrong"].as_array().unwrap();
    let table = fs::read_to_string(run.join("network/mistakes.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "image,path,truth,prediction,probability,truth_probability");
    assert_eq!(lines.len(), 1 + wrong.len());
    assert!(
        lines[1].starts_with(&format!("{},,", mistakes[0]["index"])),
        "{}",
        lines[1]
    );
    let bins = evaluation["calibration"]["bins"].as_array().unwrap();
    assert_eq!(bins.len(), 15);
    let images: u64 = bins.iter().map(|bin| bin["images"].as_u64().unwrap()).sum();
    assert_eq!(Some(images), evaluation["images"].as_u64());
    let summary = json(&run.join("summary.json"));
    assert_eq!(summary["network_train_accuracy"], evaluation["train_accuracy"]);
    assert_eq!(summary["network_calibration_error"], evaluation["calibration"]["error"]);
    assert_eq!(evaluation["train_images"], 40);

    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), mistakes.len());
    assert!(page.contains("measured latency"));
    // The latency is measured once, at the end of the run. Another machine shows the stored value.
    let latency = run.join("network/latency.json");
    let measured = json(&latency);
    assert!(measured["median_ms"].as_f64().unwrap() > 0.0 && measured["runs"].as_u64().unwrap() >= 3);
    assert_eq!(summary["measured_latency_ms"], measured["median_ms"]);
    assert_eq!(summary["measured_latency_machine"], measured["machine"]);
    fs::write(&latency, r#"{"median_ms":1234,"machine":"a board"}"#).unwrap();
    let again = predicate::str::contains("1234 ms for an image, on one thread of a board");
    da2s()
        .args(["evaluate", "--quiet"])
        .arg(&run)
        .assert()
        .success()
        .stdout(again);
    assert_eq!(json(&run.join("summary.json"))["measured_latency_ms"], 1234.0);
    // A damaged file is replaced, and a failed measurement is only a warning.
    let evaluated = || da2s().args(["evaluate", "--quiet"]).arg(&run).assert().success();
    for text in ["{", "{}"] {
        fs::write(&latency, text).unwrap();
        evaluated().stdout(predicate::str::contains("for an image, on one thread of"));
        assert!(json(&latency)["median_ms"].as_f64().unwrap() > 0.0, "{text}");
    }
    fs::remove_file(&latency).unwrap();
    fs::create_dir_all(latency.join("in the way")).unwrap();
    evaluated().stderr(predicate::str::contains("the time for an image was not measured: "));
    assert!(json(&run.join("summary.json"))["measured_latency_ms"].is_null());
    fs::remove_dir_all(&latency).unwrap();
    assert!(page.contains("Edge by edge"));

    // A genotype of another space is refused, and the run is unchanged.
    let foreign = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|";
    da2s()
        .args(["discretize", "--quiet", "--genotype", foreign])
        .arg(&run)
        .assert()
        .code(4);
    assert!(run.join("gap.json").exists() && run.join("edge_gaps.json").exists());

    // A given genotype has no gap, so the gap of the searched one must not remain in the report.
    let cell = "[('skip_connect', 0), ('max_pool_3x3', 1)]";
    let genotype = format!("Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])");
    da2s()
        .args(["discretize", "--quiet", "--genotype", &genotype])
        .arg(&run)
        .assert()
        .success();
    assert!(!run.join("edge_gaps.json").exists());
}

#[test]
fn the_gap_edge_by_edge_can_be_left_out() {
    let temporary = tempfile::tempdir().unwrap();
    let run = run(&temporary.path().join("run"), &["discretize.edge_images=0"]);
    assert!(run.join("gap.json").exists() && !run.join("edge_gaps.json").exists());
    let undecided = json(&run.join("genotype.json"))["undecided"].clone();
    assert!(
        !undecided.as_array().unwrap().is_empty() && !undecided.to_string().contains("points"),
        "{undecided}"
    );
}

#[test]
fn several_runs_share_a_page_and_out_names_its_path() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let (first, second) = (run(&dir.join("first"), &[]), run(&dir.join("second"), &["run.seed=2"]));
    let page = dir.join("pages.html");
    da2s()
        .arg("report")
        .args([&first, &second])
        .arg("--out")
        .arg(&page)
        .assert()
        .success()
        .stdout(format!("{}\n", page.display()));
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("2 runs side by side") && text.contains("run.seed"));
    da2s()
        .current_dir(dir)
        .args(["report", "first", "second"])
        .assert()
        .success()
        .stdout("side-by-side.html\n");
    assert_eq!(fs::read_to_string(dir.join("side-by-side.html")).unwrap(), text);
    let own = dir.join("own.html");
    da2s()
        .arg("report")
        .arg(&first)
        .arg("--out")
        .arg(&own)
        .assert()
        .success();
    assert_eq!(fs::read(&own).unwrap(), fs::read(first.join("report.html")).unwrap());

    let fails = |arguments: &[&str], code: i32, said: &str| {
        let assert = da2s().current_dir(dir).args(arguments).assert().code(code).stdout("");
        let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(told.lines().count() == 1 && told.contains(said), "{told}");
    };
    fails(&["report", "first", "absent"], 5, "absent is not a run directory");
    fails(&[&["report"][..], &["first"; 9]].concat(), 2, "at most 8");
    fails(
        &["report", "first", "--out", "absent/a.html"],
        7,
        "cannot write absent/a.html",
    );
    fails(&["report", "first", "--out", "/"], 7, "cannot write /");
    fails(&["draw", "absent"], 5, "absent is not a run directory");
}

#[test]
fn cells_and_curves_are_drawn() {
    let temporary = tempfile::tempdir().unwrap();
    let run = run(&temporary.path().join("run"), &[]);
    let named = predicate::str::contains("normal-cell.dot")
        .and(predicate::str::contains("reduction-cell.png"))
        .and(predicate::str::contains("search-accuracy.png"))
        .and(predicate::str::contains("svg").not());
    da2s()
        .args(["draw", "--format", "png,dot"])
        .arg(&run)
        .assert()
        .success()
        .stdout(named);
    let cell = image::open(run.join("drawings/normal-cell.png")).unwrap();
    assert_eq!(cell.width(), 880);
    let out = temporary.path().join("vectors");
    da2s().arg("draw").arg(&run).arg("--out").arg(&out).assert().success();
    assert!(
        fs::read_to_string(out.join("search-accuracy.svg"))
            .unwrap()
            .contains("super-network")
    );
}

/// The lines of a real run, repeated until there are `epochs`.
fn stretch(file: &Path, first: u64, epochs: u64) {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stretched: String = (first..=epochs)
        .map(|epoch| {
            let mut line = lines[epoch as usize % lines.len()].clone();
            line["epoch"] = epoch.into();
            if line.get("epochs").is_some() {
                line["epochs"] = epochs.into();
            }
            format!("{line}\n")
        })
        .collect();
    fs::write(file, stretched).unwrap();
}

#[test]
fn the_report_of_a_long_run_stays_small() {
    let temporary = tempfile::tempdir().unwrap();
    for (epochs, most_bytes) in [(50, 1_000_000), (600, 3_000_000)] {
        let run = run(&temporary.path().join(format!("run-{epochs}")), &[]);
        stretch(&run.join("search/metrics.jsonl"), 1, epochs);
        stretch(&run.join("search/arch.jsonl"), 0, epochs);
        stretch(&run.join("network/metrics.jsonl"), 1, epochs);
        let began = Instant::now();
        da2s().arg("report").arg(&run).assert().success();
        let (time_s, bytes) = (
            began.elapsed().as_secs_f64(),
            fs::metadata(run.join("report.html")).unwrap().len(),
        );
        let page = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(page.contains(&format!("{epochs} epochs")), "the page covers all epochs");
        // The time depends on the machine, so it is printed, not asserted.
        #[allow(clippy::print_stderr)]
        {
            eprintln!("report of {epochs} epochs: {bytes} bytes in {time_s:.2} s");
        }
        assert!(bytes <= most_bytes, "{epochs} epochs: {bytes} bytes");
    }
}
