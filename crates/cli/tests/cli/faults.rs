//! Faults of the machine: two processes on one directory, a full disk, a read-only or removed
//! folder, a damaged checkpoint, NaN, many runs at once. Each ends with one clear message and
//! leaves existing files intact.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::{TINY, da2s, finished, with};
use predicates::prelude::*;

/// A search that runs until it is stopped; returns once it has begun.
fn endless(out: &Path) -> Child {
    let mut settings = TINY.to_vec();
    settings.push("search.epochs=100000");
    let built = with("search", &settings);
    let mut child = std::process::Command::new(built.get_program())
        .args(built.get_args())
        .arg("--out")
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let begun = lines.any(|line| line.unwrap().contains("search 2/"));
    assert!(begun, "the search ended by itself");
    child
}

#[test]
fn two_processes_never_work_on_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut first = endless(&out);
    let busy = format!("is in use by another process ({}): wait for it to end", first.id());
    let busy = || predicate::str::contains(busy.clone());
    for verb in ["discretize", "train", "evaluate"] {
        da2s().arg(verb).arg(&out).assert().code(5).stderr(busy());
    }
    da2s()
        .args(["search", "--resume", "--out"])
        .arg(&out)
        .assert()
        .code(5)
        .stderr(busy());
    // Reading does not need the lock.
    da2s()
        .args(["report", "--out"])
        .arg(folder.path().join("page.html"))
        .arg(&out)
        .assert()
        .success();
    da2s().arg("runs").arg(folder.path()).assert().success();
    first.kill().unwrap();
    first.wait().unwrap();
    // A killed process holds no lock.
    da2s()
        .args(["evaluate"])
        .arg(&out)
        .assert()
        .code(5)
        .stderr(predicate::str::contains("da2s discretize"));
}

#[test]
fn a_directory_that_is_removed_ends_the_run_and_stays_removed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut child = endless(&out);
    // The process may create files in it in the meantime.
    while out.exists() {
        let _ = fs::remove_dir_all(&out);
    }
    let mut said = String::new();
    let rest = BufReader::new(child.stderr.take().unwrap()).lines();
    rest.for_each(|line| said.push_str(&line.unwrap()));
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    assert!(said.contains("cannot write"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    with("search", &TINY).args(["-q", "--out"]).arg(&out).assert().success();
    let newest = out.join("search/checkpoint.safetensors");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    let warned = predicate::str::contains("checkpoint.safetensors is damaged")
        .and(predicate::str::contains("the previous checkpoint replaces it"));
    with("run", &TINY)
        .args(["--resume", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(warned);
    assert!(fs::read(&newest).unwrap() == whole, "the last epoch differs");
    for name in ["genotype.json", "gap.json", "network/evaluation.json"] {
        let (ours, theirs) = (out.join(name), finished().join(name));
        assert!(fs::read(ours).unwrap() == fs::read(theirs).unwrap(), "{name} differs");
    }
}

#[test]
fn a_divergence_is_named_and_rolled_back_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut settings = TINY.to_vec();
    settings.extend(["search.learning_rate=1e30", "search.learning_rate_min=1e30"]);
    let named =
        predicate::str::is_match(r"[a-z_.0-9]+ became -?(NaN|inf) in epoch 1, step \d+ of the search; lower search.learning_rate .*, or use --on-nan rollback").unwrap();
    with("search", &settings)
        .args(["-q", "--out"])
        .arg(&out)
        .assert()
        .code(8)
        .stderr(named);
    // The rates are halved each time and remain too large; every attempt is reported.
    let given_up = predicate::str::contains("5 of at most 5 times").and(predicate::str::contains(
        "after going back to a checkpoint 5 times; lower search.learning_rate",
    ));
    with("search", &settings)
        .args(["--on-nan", "rollback", "--out"])
        .arg(folder.path().join("given-up"))
        .assert()
        .code(8)
        .stderr(given_up);
    // A learning rate that is too large only until it is halved.
    let mut settings = TINY.to_vec();
    settings.extend(["search.learning_rate=1e6", "search.learning_rate_min=1e6"]);
    let out = folder.path().join("saved");
    let back = predicate::str::contains("back to the checkpoint after step 0 of epoch 2, with learning rates of 1/2");
    with("search", &settings)
        .args(["-q", "--out"])
        .arg(&out)
        .assert()
        .code(8);
    let saved = with("search", &settings)
        .args(["--resume", "--on-nan", "rollback", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(back);
    drop(saved);
    let metrics = fs::read_to_string(out.join("search/metrics.jsonl")).unwrap();
    let rates: Vec<f64> = metrics
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["learning_rate"]
                .as_f64()
                .unwrap()
        })
        .collect();
    assert_eq!(rates[0], 1e6);
    assert!(rates[1] < 1e6, "{rates:?}");
}

/// Runs `script` with a small file system at `$DISK`, which the script mounts; `None` if this
/// machine does not allow it.
#[cfg(target_os = "linux")]
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn on_own_disk(name: &str, script: &str) -> Option<std::process::Output> {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = String::new();
    for setting in TINY {
        settings.push_str(&format!(" --set {setting}"));
    }
    let mut unshare = std::process::Command::new("unshare");
    unshare
        .args(["--map-root-user", "--mount", "sh", "-euc"])
        .arg(format!(
            "mount -t tmpfs -o size=64k none \"$DISK\" || exit 99\n{script}"
        ))
        .env("DISK", folder.path())
        .env("DA2S", da2s().get_program())
        .env("SETTINGS", settings);
    match unshare.output() {
        Ok(output) if output.status.code() != Some(99) && !output.stderr.starts_with(b"unshare:") => Some(output),
        _ => {
            eprintln!("skipped: {name}: this machine does not allow mounting a file system");
            None
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_run_and_leaves_its_files_intact() {
    // The disk grows step by step, so that it fills up in each stage, and finally has enough space.
    let script = r#"
        for size in 64 256 512 900 1150 1350; do
            mount -o remount,size=${size}k "$DISK"
            code=0
            mkdir -p "$DISK/run"
            "$DA2S" run --resume -q $SETTINGS --out "$DISK/run" >/dev/null 2>"$DISK/../said" || code=$?
            echo "$size $code $(sed '/ended undecided/d; /never predicts/d' "$DISK/../said")"
            rm "$DISK/../said"
        done
        mount -o remount,size=64m "$DISK"
        "$DA2S" run --resume -q $SETTINGS --out "$DISK/run" >/dev/null
        cat "$DISK"/run/search/metrics.jsonl "$DISK"/run/genotype.json "$DISK"/run/network/evaluation.json
    "#;
    let Some(output) = on_own_disk("a_full_disk_ends_the_run_and_leaves_its_files_intact", script) else {
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (full, whole): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| {
        let second = line.split(' ').nth(1);
        second == Some("7") && line.contains("No space left on device")
    });
    assert!(
        full.len() >= 3,
        "the disk was full in {} of 6 sizes only: {said}",
        full.len()
    );
    let files = ["search/metrics.jsonl", "genotype.json", "network/evaluation.json"];
    let expected: String = files
        .map(|name| fs::read_to_string(finished().join(name)).unwrap())
        .concat();
    let rest: Vec<&str> = whole.into_iter().filter(|line| !line.ends_with(" 0 ")).collect();
    assert_eq!(rest, expected.lines().collect::<Vec<_>>());
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_disk_is_reported_and_nothing_is_lost() {
    let script = r#"
        mount -o remount,size=64m "$DISK"
        "$DA2S" search -q $SETTINGS --out "$DISK/run" >/dev/null
        mount -o remount,ro "$DISK"
        for verb in "run --resume -q --out" "discretize -q"; do
            code=0
            "$DA2S" $verb "$DISK/run" 2>&1 || code=$?
            echo "code $code"
        done
        mount -o remount,rw "$DISK"
        "$DA2S" discretize -q "$DISK/run" >/dev/null
    "#;
    let Some(output) = on_own_disk("a_read_only_disk_is_reported_and_nothing_is_lost", script) else {
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(said.matches("Read-only file system").count(), 2, "{said}");
    assert_eq!(said.matches("code 7").count(), 2, "{said}");
}

#[test]
fn eight_runs_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let start = |number: usize| {
        let built = with("run", &TINY);
        std::process::Command::new(built.get_program())
            .args(built.get_args())
            .args(["-q", "--out"])
            .arg(folder.path().join(number.to_string()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<Child> = (0..8).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for number in 0..8 {
        for name in [
            "search/checkpoint.safetensors",
            "network/best.safetensors",
            "network/evaluation.json",
        ] {
            let ours = fs::read(folder.path().join(number.to_string()).join(name)).unwrap();
            assert!(
                ours == fs::read(finished().join(name)).unwrap(),
                "{name} of run {number} differs"
            );
        }
    }
}

/// If nobody reads the standard error, writing to it blocks. A second signal must still end the
/// program.
#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_a_program_that_is_stuck() {
    use std::io::Write;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Capacity of a pipe.
    const PIPE_BYTES: usize = 1 << 16;
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let (unread, mut full) = std::io::pipe().unwrap();
        full.write_all(&[b'x'; PIPE_BYTES]).unwrap();
        let built = with("search", &[&TINY[..], &["search.epochs=100000"]].concat());
        let mut child = std::process::Command::new(built.get_program())
            .args(built.get_args())
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::null())
            .stderr(full)
            .spawn()
            .unwrap();
        // The signal handlers are installed by now.
        while !out.join("environment.json").exists() {
            thread::yield_now();
        }
        let id = child.id().to_string();
        let (ended, end) = mpsc::channel();
        thread::spawn(move || ended.send(child.wait().unwrap()));
        for _ in 0..2 {
            let told = std::process::Command::new("kill").args([signal, &id]).status();
            assert!(told.unwrap().success());
            // Two signals that arrive together count as one, so wait in between.
            if end
                .recv_timeout(Duration::from_secs(2))
                .is_ok_and(|status| status.code() == Some(130))
            {
                break;
            }
        }
        let gone = std::process::Command::new("kill")
            .args(["-0", &id])
            .stderr(Stdio::null())
            .status();
        // Clean up, in case the process still runs.
        let _ = std::process::Command::new("kill")
            .args(["-KILL", &id])
            .stderr(Stdio::null())
            .status();
        assert!(!gone.unwrap().success(), "{signal}");
        drop(unread);
    }
}

/// Insufficient memory is detected before anything is written.
#[cfg(target_os = "linux")]
#[test]
fn a_search_that_needs_more_memory_than_there_is_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |arguments: &str| {
        let mut shell = assert_cmd::Command::new("sh");
        shell.current_dir(folder.path()).arg("-c");
        shell.arg(format!("ulimit -v 1500000; exec \"$0\" {arguments}"));
        shell.arg(assert_cmd::cargo::cargo_bin("da2s"));
        shell.assert()
    };
    let told = predicate::str::is_match(
        r"^da2s: a step of this search needs about [0-9.]+ [GT]iB of memory, and the limit on addresses \(ulimit -v\) leaves [0-9.]+ [MG]iB; lower search.batch_size or search.channels or search.cells\n$",
    );
    limited("search digits --set search.channels=4096 --threads 1 --out oom")
        .code(12)
        .stdout("")
        .stderr(told.unwrap());
    assert!(!folder.path().join("oom").exists());
    let table = predicate::str::contains("workspace").and(predicate::str::contains("ulimit -v"));
    limited("config --memory --set search.channels=4096")
        .success()
        .stdout(table);
}

/// A search with an estimate below 330 MB, which needs more in the plain engine.
#[cfg(target_os = "linux")]
const PLAIN_IS_TOO_LARGE: [&str; 6] = [
    "data.limit=256",
    "data.test_limit=40",
    "search.epochs=1",
    "search.warmup_epochs=0",
    "search.batch_size=128",
    "search.channels=16",
];

/// If memory still runs out, as in the plain engine, which needs more, the run ends with one
/// message and can be resumed.
#[cfg(target_os = "linux")]
#[test]
fn an_allocation_that_fails_ends_with_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let search = with("search", &PLAIN_IS_TOO_LARGE);
    let mut shell = assert_cmd::Command::new("sh");
    shell
        .args(["-c", "ulimit -v 400000; exec \"$0\" \"$@\""])
        .arg(search.get_program())
        .args(search.get_args());
    shell
        .args(["--engine", "plain", "--threads", "1", "-q", "--out"])
        .arg(&out);
    let told = r"^da2s: not enough memory: another \d+ bytes could not be allocated; [^\n]*\n$";
    shell
        .assert()
        .code(12)
        .stdout("")
        .stderr(predicate::str::is_match(told).unwrap());
    da2s()
        .args(["search", "-q", "--resume", "--out"])
        .arg(&out)
        .assert()
        .success();
}

/// The same with the dashboard, in a terminal of `script`: the terminal is restored.
#[cfg(target_os = "linux")]
#[test]
fn an_allocation_that_fails_gives_the_terminal_back() {
    use std::io::Write;

    let folder = tempfile::tempdir().unwrap();
    let search = with("search", &PLAIN_IS_TOO_LARGE);
    let words = std::iter::once(search.get_program()).chain(search.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
    let command = format!(
        "(ulimit -v 400000; exec {} --engine plain --threads 1 --tui --out run); echo \"ended with $?\"; stty -a",
        shell_words::join(words)
    );
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(folder.path());
    let Ok(output) = script.stdin(std::process::Stdio::null()).output() else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the terminal after a failed allocation (no `script` here)"
        );
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("\u{1b}[?1049h"), "no dashboard: {shown}");
    let (_, after) = shown
        .rsplit_once("\u{1b}[?1049l")
        .expect("the alternate screen is left");
    assert!(
        after.contains("not enough memory") && after.contains("ended with 12"),
        "{after}"
    );
    assert!(
        after.contains(" icanon") && after.contains(" echo ") && !after.contains("-icanon"),
        "{after}"
    );
}
