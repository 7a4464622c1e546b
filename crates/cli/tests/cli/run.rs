//! Complete tiny runs: every stage alone and together, stopped and resumed, with and without
//! `--quiet`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

/// Files of a run whose bits depend only on the settings.
const REPRODUCIBLE: [&str; 9] = [
    "search/metrics.jsonl",
    "search/arch.jsonl",
    "search/checkpoint.safetensors",
    "genotype.json",
    "cost.json",
    "gap.json",
    "edge_gaps.json",
    "network/metrics.jsonl",
    "network/evaluation.json",
];

fn assert_same(a: &Path, b: &Path) {
    for name in REPRODUCIBLE {
        assert!(
            fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(),
            "{name} differs"
        );
    }
}

#[test]
fn a_run_equals_its_stages_one_by_one() {
    let temporary = tempfile::tempdir().unwrap();
    let (whole, stages) = (temporary.path().join("whole"), temporary.path().join("stages"));
    let table =
        predicate::str::is_match(r"(?s)super-network .*discretized .*retrained .*report +\S*report.html\n$").unwrap();
    // With `--quiet` only warnings appear: so short a search ends undecided, and so short a
    // training never predicts some classes.
    let warning =
        predicate::str::is_match("^da2s: the search ended undecided .*\nda2s: the network never predicts .*\n$")
            .unwrap();
    with("run", &TINY)
        .arg("--quiet")
        .arg("--out")
        .arg(&whole)
        .assert()
        .success()
        .stderr(warning)
        .stdout(table);
    for name in ["config.toml", "environment.json", "summary.json", "report.html"] {
        assert!(whole.join(name).is_file(), "{name}");
    }

    // One line per epoch if the standard error is not a terminal, and no control characters.
    let lines = predicate::str::contains("search 1/2: loss ")
        .and(predicate::str::contains("search 2/2: "))
        .and(predicate::str::contains("least q "))
        .and(predicate::str::contains("\u{1b}").not());
    with("search", &TINY)
        .arg("--out")
        .arg(&stages)
        .assert()
        .success()
        .stderr(lines);
    da2s()
        .arg("discretize")
        .arg(&stages)
        .assert()
        .success()
        .stdout(predicate::str::contains("Genotype(normal=["));
    da2s()
        .arg("train")
        .arg(&stages)
        .assert()
        .success()
        .stderr(predicate::str::contains("train 2/2: loss "));
    da2s()
        .arg("evaluate")
        .arg(&stages)
        .assert()
        .success()
        .stdout(predicate::str::contains("retrained"));
    da2s()
        .arg("report")
        .arg(&stages)
        .assert()
        .success()
        .stdout(predicate::str::contains("report.html"));
    assert_same(&whole, &stages);

    // A finished run has nothing left to do.
    with("run", &TINY)
        .args(["--quiet", "--resume"])
        .arg("--out")
        .arg(&whole)
        .assert()
        .success();
    assert_same(&whole, &stages);

    // A run's settings file reproduces the run.
    let repeated = temporary.path().join("repeated");
    let config = whole.join("config.toml");
    da2s()
        .args(["run", "--quiet", "--config"])
        .arg(config)
        .arg("--out")
        .arg(&repeated)
        .assert()
        .success();
    assert_same(&whole, &repeated);
}

#[test]
fn an_imbalanced_target_is_met_exactly() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let target = ["--edges", "1,2,1,3", "--operations", "2"];
    with("search", &TINY)
        .arg("--quiet")
        .args(target)
        .arg("--out")
        .arg(&out)
        .assert()
        .success();
    let kept = predicate::str::contains("normal_nodes=[2, 4, 2, 6]")
        .and(predicate::str::contains("reduce_nodes=[2, 4, 2, 6]"));
    da2s()
        .arg("discretize")
        .arg(&out)
        .assert()
        .success()
        .stdout(kept.and(predicate::str::contains("gap ")));
}

#[test]
fn a_genotype_from_elsewhere_is_trained() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    with("search", &TINY)
        .arg("--quiet")
        .arg("--out")
        .arg(&out)
        .assert()
        .success();
    let cell = "[('skip_connect', 0), ('max_pool_3x3', 1)]";
    let text = format!("Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])");
    let file = temporary.path().join("genotype.txt");
    fs::write(&file, &text).unwrap();
    da2s()
        .args(["train", "--quiet"])
        .arg(&out)
        .arg("--genotype-file")
        .arg(&file)
        .assert()
        .success();
    da2s()
        .args(["evaluate", "--quiet"])
        .arg(&out)
        .assert()
        .success()
        .stdout(predicate::str::contains("gap").not());
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["genotype"], text);
}

/// Changing the number of epochs of a finished run gives the same result as starting with that
/// number.
#[test]
fn another_number_of_epochs_restarts_or_continues() {
    let temporary = tempfile::tempdir().unwrap();
    let train = |run: &Path, arguments: &[&str]| {
        let mut command = da2s();
        command.arg("train").arg(run).arg("--quiet").args(arguments);
        command.assert().success()
    };
    let exponential: &[&str] = &["network.decay=exponential", "network.drop_path=0"];
    for (settings, told) in [
        (
            &[][..],
            "the training starts from scratch for 3 epochs instead of 2: learning rate and drop-path follow the number of epochs",
        ),
        (exponential, "the training of 2 epochs continues to 3"),
    ] {
        let (run, whole) = (temporary.path().join("run"), temporary.path().join("whole"));
        for (out, epochs) in [(&run, "network.epochs=2"), (&whole, "network.epochs=3")] {
            let all = [&TINY[..], settings, &[epochs]].concat();
            with("run", &all).args(["--quiet", "--out"]).arg(out).assert().success();
        }
        let told = predicate::str::ends_with(told).trim();
        train(&run, &["--epochs", "3", "--threads", "2"]).stderr(told);
        for name in [
            "summary.json",
            "report.html",
            "network/evaluation.json",
            "network/mistakes.csv",
            "network/mistakes",
        ] {
            assert!(!run.join(name).exists(), "{name} of the shorter training");
        }
        let config = |run: &Path| fs::read_to_string(run.join("config.toml")).unwrap();
        assert_eq!(config(&run), config(&whole));
        // There is nothing left to do.
        train(&run, &["--resume", "--epochs", "3"]).stderr("");
        da2s().arg("evaluate").arg(&run).arg("--quiet").assert().success();
        for name in ["checkpoint.safetensors", "best.safetensors", "evaluation.json"] {
            let network = |run: &Path| fs::read(run.join("network").join(name)).unwrap();
            assert!(network(&run) == network(&whole), "{name}");
        }
        let fewer = "the training starts from scratch for 2 epochs instead of 3";
        fs::create_dir(run.join("export")).unwrap();
        let removed = predicate::str::contains("of the earlier trained network are removed");
        train(&run, &["--epochs", "2"]).stderr(predicate::str::contains(fewer).and(removed));
        assert!(!run.join("export").exists());
        for out in [run, whole] {
            fs::remove_dir_all(out).unwrap();
        }
    }
}

/// Ctrl-C after the first epoch, then `--resume`: bit-identical to an undisturbed run.
#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_resumes() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let temporary = tempfile::tempdir().unwrap();
    let (stopped, left_alone) = (temporary.path().join("stopped"), temporary.path().join("left_alone"));
    let long = [&TINY[..], &["search.epochs=12", "search.warmup_epochs=2"]].concat();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("da2s"));
    command
        .arg("run")
        .args(long.iter().flat_map(|setting| ["--set", setting]))
        .arg("--out")
        .arg(&stopped);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("search 1/12")));
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.last().unwrap().contains("--resume"), "{rest:?}");

    with("run", &long)
        .arg("--resume")
        .arg("--out")
        .arg(&stopped)
        .assert()
        .success()
        .stderr(predicate::str::contains("search: resuming after epoch"));
    with("run", &long)
        .arg("--quiet")
        .arg("--out")
        .arg(&left_alone)
        .assert()
        .success();
    assert_same(&stopped, &left_alone);
}

#[test]
fn help_has_the_exit_codes() {
    da2s()
        .arg("--help")
        .assert()
        .success()
        .stdout(predicate::str::contains("130  stopped by Ctrl-C"));
    da2s()
        .args(["run", "--help"])
        .assert()
        .success()
        .stdout(predicate::str::contains("here: cpu"));
}

/// A run that is killed in the middle of an epoch resumes from its last checkpoint.
#[test]
fn a_killed_run_resumes_with_the_same_bits() {
    let temporary = tempfile::tempdir().unwrap();
    let (whole, killed) = (temporary.path().join("whole"), temporary.path().join("killed"));
    let settings = [&TINY[..], &["search.epochs=4", "network.epochs=4"]].concat();
    let command = |out: &Path| {
        let mut command = with("run", &settings);
        if out.exists() {
            command.arg("--resume");
        }
        command.arg("--out").arg(out);
        command
    };
    let measured = predicate::str::contains("gap on ");
    command(&whole).assert().success().stderr(measured.clone());
    for line in ["search 2/4", "train 2/4"] {
        let mut child = std::process::Command::new(command(&killed).get_program());
        child.args(command(&killed).get_args());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = lines.map_while(Result::ok).any(|said| said.starts_with(line));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen, "the run ended before {line}");
        assert!(!killed.join("summary.json").exists());
    }
    // The gap is measured once, unless a result of it is damaged.
    command(&killed).assert().success().stderr(measured.clone().not());
    assert_same(&whole, &killed);
    fs::write(killed.join("cost.json"), "{").unwrap();
    command(&killed).assert().success().stderr(measured.clone());
    assert_same(&whole, &killed);
    // The gap belongs to the search that is gone.
    fs::remove_dir_all(killed.join("search")).unwrap();
    command(&killed).assert().success().stderr(measured);
    assert_same(&whole, &killed);
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let mine = temporary.path().join("search/mine.txt");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let not_empty = predicate::str::contains("is not empty").and(predicate::str::contains("--out"));
    with("run", &TINY)
        .arg("--out")
        .arg(temporary.path())
        .assert()
        .code(5)
        .stderr(not_empty);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}

#[test]
fn a_finished_search_can_be_discretized_by_another_rule() {
    let temporary = tempfile::tempdir().unwrap();
    let run = temporary.path().join("run");
    with("search", &TINY).arg("--out").arg(&run).assert().success();
    let config = || fs::read_to_string(run.join("config.toml")).unwrap();
    let before = config();
    for (arguments, rule) in [
        (&[][..], "strongest"),
        (&["--rule", "sequential"], "sequential"),
        (&[], "sequential"),
    ] {
        let table = predicate::str::contains("super-network").and(predicate::str::contains("Genotype("));
        da2s()
            .arg("discretize")
            .arg(&run)
            .args(arguments)
            .assert()
            .success()
            .stdout(table);
        // The run's rule changes, and nothing else.
        assert_eq!(
            config(),
            before.replace("rule = \"strongest\"", &format!("rule = \"{rule}\""))
        );
        assert!(run.join("gap.json").is_file());
    }
    // Epochs of tuning that were set for the run's previous rule are ignored.
    let tuned = config().replace("tuning_epochs = 0", "tuning_epochs = 2");
    fs::write(
        run.join("config.toml"),
        tuned.replace("\"sequential\"", "\"perturbation\""),
    )
    .unwrap();
    let other = || [&["discretize"][..], &[run.to_str().unwrap()], &["--rule", "sequential"]].concat();
    da2s().args(other()).assert().success();
    assert_eq!(
        config(),
        before.replace("rule = \"strongest\"", "rule = \"sequential\"")
    );
    let unknown = predicate::str::contains("[possible values: strongest, perturbation, sequential]");
    da2s()
        .arg("discretize")
        .arg(&run)
        .args(["--rule", "weakest"])
        .assert()
        .code(2)
        .stderr(unknown);
}
