//! `da2s compare` and `da2s runs`: complete comparisons of tiny runs, resumed, extended, refused,
//! failed or interrupted.

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_comparison_trains_each_network_once() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("mine");
    for arguments in [&["--set", "network.seeds=5"][..], &["--vary", "network.seeds=1,5"]] {
        let refused = predicate::str::contains("network.seeds is 5, but a comparison trains each network once");
        let mut command = with("compare", &TINY);
        command
            .args(arguments)
            .arg("--out")
            .arg(&out)
            .assert()
            .code(2)
            .stderr(refused);
    }
    assert!(!out.exists());
}

#[test]
fn a_comparison_continues_and_grows() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("mine");
    let told = predicate::str::contains("da2s-s1: gap ").and(predicate::str::contains("darts-s1: gap "));
    let table = predicate::str::contains("p of Wilcoxon").and(predicate::str::contains("mine/compare.html"));
    with("compare", &TINY)
        .args(["--seeds", "1", "--jobs", "2", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told)
        .stdout(table);
    // Runs in parallel slow each other down.
    assert!(json(&out.join("da2s-s1/summary.json"))["measured_latency_ms"].is_null());
    let kept = fs::read(out.join("da2s-s1/summary.json")).unwrap();
    let first = json(&out.join("compare.json"));
    assert_eq!(first["runs"].as_array().unwrap().len(), 2);
    assert_eq!(first["runs"][1]["directory"], "darts-s1");
    let summary = json(&out.join("darts-s1/summary.json"));
    for key in ["gap", "network_accuracy", "parameters"] {
        assert_eq!(first["runs"][1]["values"][key].as_f64(), summary[key].as_f64(), "{key}");
        assert_eq!(
            first["groups"][1]["spreads"][key]["mean"].as_f64(),
            summary[key].as_f64(),
            "{key}"
        );
    }
    for name in [
        "compare.csv",
        "compare.md",
        "compare.html",
        "compare.toml",
        "settings.toml",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let warned = fs::read_to_string(out.join("da2s-s1.log")).unwrap();
    assert!(warned.starts_with("da2s: the search ended undecided "), "{warned}");

    // Finished runs are not repeated, and the command line need not repeat any settings.
    let all_done = predicate::str::diff("2 of 2 runs are done already\n");
    da2s()
        .args(["compare", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(all_done);
    assert_eq!(json(&out.join("compare.json")), first);

    // One more seed, with the methods in another order.
    da2s()
        .args(["compare", "--quiet", "--seeds", "2", "--methods", "darts,da2s", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(predicate::str::diff(
            "darts-s2: its warnings are in darts-s2.log\nda2s-s2: its warnings are in da2s-s2.log\n",
        ));
    assert_eq!(json(&out.join("compare.json"))["runs"].as_array().unwrap().len(), 4);
    assert_eq!(fs::read(out.join("da2s-s1/summary.json")).unwrap(), kept);

    for (arguments, said) in [
        (
            &["--search-epochs", "3"][..],
            "it has search.epochs = 2, but 3 was requested",
        ),
        (&["--seeds", "1"], "it has 2 seeds, but 1"),
        (&["--methods", "da2s"], "it compares darts"),
        (&["--vary", "target.edges=1,2"], "varies other settings"),
    ] {
        let refused = predicate::str::contains("belongs to another comparison").and(predicate::str::contains(said));
        let mut command = da2s();
        command.arg("compare").args(arguments).arg("--out").arg(&out);
        command.assert().code(5).stdout("").stderr(refused);
    }

    // A run copied into the folder from elsewhere is not part of the comparison.
    let config = out.join("da2s-s1/config.toml");
    let other = fs::read_to_string(&config)
        .unwrap()
        .replace("weight_decay = ", "weight_decay = 1");
    fs::write(&config, other).unwrap();
    let refused = predicate::str::contains("da2s-s1").and(predicate::str::contains("weight_decay"));
    da2s()
        .args(["compare", "--out"])
        .arg(&out)
        .assert()
        .code(5)
        .stderr(refused);
}

#[test]
fn settings_are_varied_and_networks_not_retrained() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("edges");
    let row = predicate::str::contains("da2s, target.edges=2  da2s, target.edges=1")
        .and(predicate::str::contains("retrained").not());
    with("compare", &TINY)
        .args([
            "--search-only",
            "--methods",
            "da2s",
            "--seeds",
            "1",
            "--vary",
            "target.edges=1,2",
            "--out",
        ])
        .arg(&out)
        .assert()
        .success()
        .stdout(row);
    let runs = json(&out.join("compare.json"));
    for (run, edges) in [(0, "1"), (1, "2")] {
        assert_eq!(runs["groups"][run]["setup"]["settings"]["target.edges"], edges);
        assert!(runs["runs"][run]["values"]["search_time_s"].as_f64().unwrap() > 0.0);
    }
    assert!(!out.join("da2s-target.edges=1-s1/network").exists());

    // The folder of a comparison is also a folder of runs.
    let listed = predicate::str::contains("da2s-target.edges=1-s1  digits    da2s       1  discretized");
    da2s().arg("runs").arg(&out).assert().success().stdout(listed);
    let output = da2s()
        .args([
            "runs",
            "--json",
            "--filter",
            "state=discretized",
            "--filter",
            "target.edges=2",
        ])
        .args(["--sort", "parameters", "--reverse"])
        .arg(&out)
        .assert()
        .success();
    let rows: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let names: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert_eq!(names, ["da2s-target.edges=2-s1"]);
    let refused = predicate::str::contains("--filter colour=red: expected KEY=VALUE");
    da2s()
        .args(["runs", "--filter", "colour=red"])
        .arg(&out)
        .assert()
        .code(2)
        .stderr(refused);
}

/// A run's log contains the warnings of all its processes; an empty log is removed.
#[test]
fn a_run_that_warns_leaves_a_log() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("schedules");
    let told = predicate::str::is_match("published-s1: gap .*; its warnings are in da2s-.*published-s1.log\n")
        .unwrap()
        .and(predicate::str::is_match("adaptive-s1: gap [-0-9.]+\n").unwrap());
    with("compare", &TINY)
        .args(["--search-only", "--methods", "da2s", "--seeds", "1"])
        .args(["--vary", "search.schedule=published,adaptive", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told);
    let log = |schedule: &str| out.join(format!("da2s-search.schedule={schedule}-s1.log"));
    let warned = fs::read_to_string(log("published")).unwrap();
    assert!(warned.contains("the search ended undecided"), "{warned}");
    assert!(!log("adaptive").exists(), "a run without a warning leaves no log");
}

/// Epochs of tuning that all runs share are for the rules that tune, whatever the order of flags.
#[test]
fn rules_that_do_not_tune_have_no_epochs_of_tuning() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("rules");
    with("compare", &TINY)
        .args([
            "--set",
            "discretize.rule=perturbation",
            "--set",
            "discretize.tuning_epochs=1",
        ])
        .args(["--rules", "strongest,perturbation", "--search-only", "--quiet"])
        .args(["--methods", "darts", "--seeds", "1", "--out"])
        .arg(&out)
        .assert()
        .success();
    for (rule, epochs) in [("strongest", 0), ("perturbation", 1)] {
        let config = fs::read_to_string(out.join(format!("darts-discretize.rule={rule}-s1/config.toml"))).unwrap();
        assert!(config.contains(&format!("tuning_epochs = {epochs}\n")), "{config}");
    }
    for vary in [
        ["discretize.rule=strongest,perturbation", "discretize.tuning_epochs=0,2"],
        ["discretize.tuning_epochs=0,2", "discretize.rule=strongest,perturbation"],
    ] {
        let mut command = with("compare", &TINY);
        command.args(["--vary", vary[0], "--vary", vary[1], "--out"]);
        let refused = predicate::str::contains("no use with the rule strongest");
        command
            .arg(temporary.path().join("none"))
            .assert()
            .code(2)
            .stderr(refused);
    }
}

/// What slows a measurement down is other runs at the same time, not their number in the plan.
#[test]
fn the_latency_is_measured_if_nothing_else_runs() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("alone");
    with("compare", &TINY)
        .args(["--methods", "darts", "--seeds", "1", "--jobs", "4", "--quiet", "--out"])
        .arg(&out)
        .assert()
        .success();
    let summary = json(&out.join("darts-s1/summary.json"));
    assert!(summary["measured_latency_ms"].as_f64().unwrap() > 0.0, "{summary}");
}

#[test]
fn a_network_above_the_limit_is_refused_every_time() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("large");
    for _ in 0..2 {
        with("compare", &TINY)
            .args(["--search-only", "--methods", "da2s", "--seeds", "1"])
            // More is in memory beside every choice of a cell.
            .args(["--max-ram", "4000", "--out"])
            .arg(&out)
            .assert()
            .code(9)
            .stdout(predicate::str::contains("da2s-s1 failed: the network needs"))
            .stderr(predicate::str::contains("1 of 1 runs failed").and(predicate::str::contains("done already").not()));
        let log = fs::read_to_string(out.join("da2s-s1.log")).unwrap();
        assert!(
            log.contains("more than the 4000 bytes of target.max_ram_bytes"),
            "{log}"
        );
    }
}

#[test]
fn what_cannot_be_compared_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("none");
    for (arguments, said) in [
        (&["--method", "darts"][..], "use --methods"),
        (&["--baseline", "gdas"], "expected one of da2s, darts"),
        (&["--vary", "target.edges=1,9"], "--vary target.edges=9"),
        (&["--vary", "run.seed=1,2"], "use --seeds"),
        (&["--methods", "da2s,da2s"], "twice"),
        (&["--vary", "search.epcohs=1"], "did you mean search.epochs?"),
    ] {
        let mut command = with("compare", &TINY);
        command.args(arguments).arg("--out").arg(&out);
        command
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(said));
        assert!(!out.exists(), "{arguments:?}");
    }
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine.txt"), "mine").unwrap();
    let not_empty = predicate::str::contains("is not empty");
    with("compare", &TINY)
        .arg("--out")
        .arg(&out)
        .assert()
        .code(5)
        .stderr(not_empty);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn runs_that_fail_are_rows_that_say_so() {
    let temporary = tempfile::tempdir().unwrap();
    let (out, data) = (temporary.path().join("failed"), temporary.path().join("nowhere"));
    let command = || {
        let mut command = with("compare", &TINY);
        command
            .args(["cifar10", "--recipe", "digits", "--seeds", "1", "--data-dir"])
            .arg(&data);
        command.arg("--out").arg(&out);
        command
    };
    let row = predicate::str::contains("darts-s1 failed: ").and(predicate::str::contains("nowhere"));
    let told = predicate::str::contains("2 of 2 runs failed");
    command().assert().code(9).stdout(row).stderr(told);
    assert!(
        fs::read_to_string(out.join("darts-s1.log"))
            .unwrap()
            .contains("nowhere")
    );
    assert!(
        fs::read_to_string(out.join("compare.csv"))
            .unwrap()
            .contains("darts,1,failed,")
    );
    assert!(
        fs::read_to_string(out.join("compare.html"))
            .unwrap()
            .contains("2 runs failed")
    );
    // Failed runs are tried again.
    command().assert().code(9);
}

#[test]
fn a_run_that_failed_keeps_its_reason() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let too_fast = [&TINY[..], &["network.learning_rate=1e30", "network.gradient_clip=1e30"]].concat();
    with("run", &too_fast)
        .args(["--quiet", "--out"])
        .arg(&out)
        .assert()
        .code(8);
    assert!(
        fs::read_to_string(out.join("failure.txt"))
            .unwrap()
            .contains("the training")
    );
    let row = predicate::str::contains("failed: ").and(predicate::str::contains("of the training"));
    da2s()
        .args(["runs", "--filter", "state=failed"])
        .arg(temporary.path())
        .assert()
        .success()
        .stdout(row);
    let none = || predicate::str::starts_with("no runs in ");
    da2s()
        .args(["runs", "--filter", "seed=2"])
        .arg(temporary.path())
        .assert()
        .success()
        .stdout(none());
    // A second failure changes nothing; a successful stage clears the failure.
    da2s().args(["evaluate", "--quiet"]).arg(&out).assert().code(5);
    assert!(out.join("failure.txt").exists());
    da2s().args(["discretize", "--quiet"]).arg(&out).assert().success();
    assert!(!out.join("failure.txt").exists());
    da2s()
        .args(["runs", "--filter", "state=failed"])
        .arg(temporary.path())
        .assert()
        .success()
        .stdout(none());
}

/// Ctrl-C after the first run, then the same command again: the result equals an uninterrupted
/// comparison.
#[cfg(unix)]
#[test]
fn a_comparison_that_is_stopped_resumes() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let temporary = tempfile::tempdir().unwrap();
    let (stopped, left_alone) = (temporary.path().join("stopped"), temporary.path().join("left_alone"));
    let settings = [&TINY[..], &["search.epochs=12", "search.warmup_epochs=2"]].concat();
    let arguments = ["compare", "--methods", "da2s", "--seeds", "4"];
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("da2s"))
        .args(arguments)
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .arg("--out")
        .arg(&stopped)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("da2s-s1: gap")));
    let busy = predicate::str::contains("is in use by another process");
    da2s()
        .args(["compare", "--out"])
        .arg(&stopped)
        .assert()
        .code(5)
        .stderr(busy);
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.last().unwrap().contains("the same command"), "{rest:?}");
    assert!(
        fs::read_to_string(stopped.join("compare.csv"))
            .unwrap()
            .contains("da2s,4,unfinished,")
    );
    assert!(!stopped.join("da2s-s4/summary.json").exists());

    da2s()
        .args(["compare", "--quiet", "--out"])
        .arg(&stopped)
        .assert()
        .success();
    let mut command = da2s();
    command
        .args(arguments)
        .args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.arg("--out").arg(&left_alone).assert().success();
    for seed in 1..=4 {
        let file = |out: &Path, name: &str| fs::read(out.join(format!("da2s-s{seed}")).join(name)).unwrap();
        for name in [
            "search/checkpoint.safetensors",
            "genotype.json",
            "network/evaluation.json",
        ] {
            assert!(
                file(&stopped, name) == file(&left_alone, name),
                "{name} of seed {seed} differs"
            );
        }
    }
}

/// Killing a comparison also ends its runs, and the same command then resumes it.
#[cfg(target_os = "linux")]
#[test]
fn a_comparison_that_is_killed_leaves_nobody_at_work() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("killed");
    let settings = [&TINY[..], &["search.epochs=12", "search.warmup_epochs=2"]].concat();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("da2s"))
        .args(["compare", "--methods", "da2s", "--seeds", "3", "--jobs", "2"])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .arg("--out")
        .arg(&out)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(": gap")));
    child.kill().unwrap();
    child.wait().unwrap();
    // A process still working on a run would hold its lock, and the command would report that.
    for run in ["da2s-s1", "da2s-s2", "da2s-s3"] {
        while out.join(run).join("config.toml").exists() && is_held(&out.join(run)) {
            std::thread::yield_now();
        }
    }
    da2s()
        .args(["compare", "--quiet", "--out"])
        .arg(&out)
        .assert()
        .success();
    let summary = |run: &str| out.join(run).join("summary.json").is_file();
    assert!(["da2s-s1", "da2s-s2", "da2s-s3"].into_iter().all(summary));
}

/// Whether a live process is working on a run.
#[cfg(target_os = "linux")]
fn is_held(run: &Path) -> bool {
    let holder = fs::read_to_string(run.join(".lock")).unwrap_or_default();
    let id = holder.trim();
    !id.is_empty() && Path::new("/proc").join(id).join("exe").exists()
}

/// Methods × drives, published cells and random ones; combinations that make no sense are skipped
/// and reported.
#[test]
fn genotypes_are_trained_beside_what_is_found_and_ranked_among_random_ones() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("rivals");
    let told = predicate::str::contains("random, search.drive=path is left out: it learns no mixture")
        .and(predicate::str::contains("published_darts-v2-s1: retrained "));
    let table = predicate::str::contains("percentile").and(predicate::str::contains("Holm"));
    with("compare", &TINY)
        .args(["--methods", "darts,random", "--drives", "none,path", "--seeds", "1"])
        .args(["--genotypes", "darts-v2", "--random", "2", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told)
        .stdout(table);
    let nothing = predicate::str::contains("no run is left: random, search.drive=path is left out");
    with("compare", &TINY)
        .args(["--methods", "random", "--drives", "path", "--seeds", "1", "--out"])
        .arg(temporary.path().join("nothing"))
        .assert()
        .code(2)
        .stderr(nothing);
    let comparison = json(&out.join("compare.json"));
    let runs = comparison["runs"].as_array().unwrap();
    let directories: Vec<&str> = runs.iter().filter_map(|run| run["directory"].as_str()).collect();
    assert_eq!(
        directories,
        [
            "darts-search.drive=none-s1",
            "darts-search.drive=path-s1",
            "random-search.drive=none-s1",
            "published_darts-v2-s1",
            "random_genotype-s1",
            "random_genotype-s2",
        ]
    );
    for run in runs {
        let percentile = run["values"]["percentile"].as_f64();
        let is_random = run["setup"]["method"] == "random genotype";
        assert_eq!(percentile.is_none(), is_random, "{run}");
        assert!(percentile.is_none_or(|share| (0.0..=100.0).contains(&share)), "{run}");
    }
    let drive = |run: &str| json(&out.join(run).join("summary.json"))["drive"].clone();
    assert_eq!([drive(directories[0]), drive(directories[1])], ["none", "path"]);

    let refused = predicate::str::contains("are of the space darts");
    with("compare", &TINY)
        .args(["--space", "nas-bench-201", "--genotypes", "darts-v2", "--out"])
        .arg(temporary.path().join("bench"))
        .assert()
        .code(2)
        .stderr(refused);
}

#[test]
fn baselines_are_as_wide_as_the_network_of_the_same_seed_allows() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("yardsticks");
    let compare = |arguments: &[&str]| {
        let mut command = with("compare", &TINY);
        command
            .args(["--methods", "darts", "--seeds", "2", "--jobs", "2", "--out"])
            .arg(&out)
            .args(arguments);
        command.assert()
    };
    let told = predicate::str::contains("resnet8-s2: retrained ");
    compare(&["--baselines", "resnet8"])
        .success()
        .stderr(told)
        .stdout(predicate::str::contains("\nresnet8 "));
    let summary = |run: &str| json(&out.join(run).join("summary.json"));
    for seed in ["s1", "s2"] {
        let (baseline, searched) = (summary(&format!("resnet8-{seed}")), summary(&format!("darts-{seed}")));
        assert!(baseline["multiply_adds"].as_u64() <= searched["multiply_adds"].as_u64());
        assert_eq!(
            (&baseline["network"], &baseline["seed"]),
            (&"resnet8".into(), &searched["seed"])
        );
        // Here they are runs of their own.
        assert!(!out.join(format!("darts-{seed}/baselines")).exists());
    }

    // The comparison continues where it was, and grows.
    let kept = fs::read(out.join("resnet8-s1/summary.json")).unwrap();
    fs::remove_file(out.join("resnet8-s2/summary.json")).unwrap();
    da2s()
        .args(["compare", "--quiet", "--out"])
        .arg(&out)
        .assert()
        .success();
    compare(&["--baselines", "resnet8,ds-cnn", "--quiet"]).success();
    assert!(kept == fs::read(out.join("resnet8-s1/summary.json")).unwrap());
    let directories: Vec<String> = json(&out.join("compare.json"))["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["directory"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "darts-s1",
        "darts-s2",
        "resnet8-s1",
        "resnet8-s2",
        "ds-cnn-s1",
        "ds-cnn-s2",
    ];
    assert_eq!(directories, expected);
    compare(&["--baselines", "ds-cnn"])
        .code(5)
        .stderr(predicate::str::contains("it trains resnet8"));

    // A network that is wider at its narrowest is a row that says so.
    let too_wide = predicate::str::contains("mobilenet-v2-s1 failed: ").and(predicate::str::contains("cannot be kept"));
    compare(&["--baselines", "resnet8,ds-cnn,mobilenet-v2"])
        .code(9)
        .stdout(too_wide);
}
