//! Comparisons that are refused, fail, are stopped or killed.

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use predicates::prelude::*;

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
fn a_comparison_that_is_killed_leaves_no_run_in_progress() {
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

#[test]
fn a_network_above_the_limit_is_refused_every_time() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("large");
    for _ in 0..2 {
        with("compare", &TINY)
            .args(["--search-only", "--methods", "da2s", "--seeds", "1"])
            // With the other tensors that are in memory at the same time, every choice of
            // operations needs more than this.
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
