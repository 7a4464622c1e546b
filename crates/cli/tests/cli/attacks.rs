//! Hostile content in a run directory or on the command line must not reach the terminal, files
//! outside the run, or the program's control flow.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use da2s::run::{Checkpoint, RunDirectory};
use da2s_records::{Named, WeightsFile};
use predicates::prelude::*;

#[cfg(unix)]
use super::server::Server;
use super::{TINY, da2s, finished, with};

/// The weights of the trained network.
const BEST: &str = "network/best.safetensors";

/// What a terminal would interpret, and characters that would break or reverse a line.
const CONTROLS: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}";

/// A run with `text` as its data set and as its failure.
fn write_run(path: &Path, text: &str) {
    fs::create_dir_all(path).unwrap();
    let dataset = toml::Value::from(text);
    let config = format!("[search]\nmethod = \"da2s\"\n[data]\ndataset = {dataset}\n");
    fs::write(path.join("config.toml"), config).unwrap();
    fs::write(path.join("failure.txt"), text).unwrap();
}

/// The lines that `arguments` print on either output. Fails if they contain a control character.
fn clean_lines(arguments: &[&str], folder: &Path) -> Vec<String> {
    let output = da2s().current_dir(folder).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!text.contains(harmful), "{arguments:?}: {text:?}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_table_shows_no_control_characters_and_no_forged_row() {
    let folder = tempfile::tempdir().unwrap();
    let forged = format!("{CONTROLS}\nforged   digits  da2s  1  finished");
    write_run(&folder.path().join("plain"), "digits");
    write_run(&folder.path().join(&forged), &forged);
    let lines = clean_lines(&["runs", "."], folder.path());
    assert_eq!(lines.len(), 3, "a heading and two runs: {lines:?}");
    assert!(lines[1].starts_with("\\u001b[2J"), "{lines:?}");
    assert_eq!(clean_lines(&["runs", &forged], folder.path()).len(), 2);
    let listed = clean_lines(&["runs", "--json", "."], folder.path()).join("\n");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], forged.as_str(), "JSON has the name unchanged");
    for command in ["draw", "discretize", "train", "evaluate", "predict"] {
        let image: &[&str] = if command == "predict" { &["x.png"] } else { &[] };
        let lines = clean_lines(&[&[command, &forged], image].concat(), folder.path());
        assert_eq!(lines.len(), 1, "{command}: {lines:?}");
    }
}

/// Copies `run` to `folder/R`.
fn copy_of(run: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("R");
    for entry in walkdir(run) {
        let to = copy.join(entry.strip_prefix(run).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&entry, &to).unwrap();
    }
    copy
}

/// The files in and below `folder`.
fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] })
        .collect()
}

#[test]
fn the_smallest_and_largest_losses_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let run = copy_of(finished(), folder.path());
    let metrics = run.join("network/metrics.jsonl");
    for loss in ["5e-324", "1.7e308", "-1.7e308"] {
        let lines = fs::read_to_string(&metrics).unwrap();
        let changed = lines.lines().map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["train_loss"] = serde_json::from_str(loss).unwrap();
            format!("{line}\n")
        });
        fs::write(&metrics, changed.collect::<String>()).unwrap();
        da2s().arg("report").arg(&run).assert().success();
        da2s().args(["draw", "--format", "png"]).arg(&run).assert().success();
    }
}

#[test]
fn seeds_beyond_the_largest_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("comparison");
    da2s()
        .args(["compare", "--seed", "9223372036854775806", "--seeds", "5", "--out"])
        .arg(&out)
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "5 seeds from 9223372036854775806 go beyond 9223372036854775807",
        ));
    assert!(!out.exists());
}

/// A file of the user outside every run, with its content.
#[cfg(unix)]
fn victim(folder: &Path) -> PathBuf {
    let victim = folder.join("victim");
    fs::write(&victim, "mine").unwrap();
    victim
}

/// Runs `arguments` in `folder`; they must terminate by themselves.
fn ends(arguments: &[&str], folder: &Path) -> assert_cmd::assert::Assert {
    let mut command = da2s();
    command.current_dir(folder).args(arguments);
    command.timeout(Duration::from_secs(60)).assert()
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let victim = victim(folder.path());
    let run = copy_of(finished(), folder.path());
    fs::remove_file(run.join(".lock")).unwrap();
    symlink(&victim, run.join(".lock")).unwrap();
    for arguments in [
        &["evaluate", "R"][..],
        &["train", "R"],
        &["discretize", "R"],
        &["run", "--resume", "--out", "R"],
    ] {
        let refused = predicate::str::contains(".lock is damaged: it is a link");
        ends(&[arguments, &["-q"]].concat(), folder.path())
            .code(5)
            .stderr(refused);
    }
    fs::remove_file(run.join(".lock")).unwrap();
    // Names that a writer might use for temporary files.
    fs::create_dir(run.join("export")).unwrap();
    for name in [
        "summary.json",
        "network/evaluation.json",
        "export/network.onnx",
        "report.html",
    ] {
        for name in [format!("{name}.partial"), format!("{name}.tmp")] {
            symlink(&victim, run.join(name)).unwrap();
        }
        let _ = fs::remove_file(run.join(name));
        symlink(&victim, run.join(name)).unwrap();
    }
    ends(&["evaluate", "R", "-q"], folder.path()).success();
    ends(&["export", "R", "--format", "onnx"], folder.path()).success();
    ends(&["report", "R"], folder.path()).success();
    for name in ["summary.json", "export/network.onnx", "report.html"] {
        assert!(!run.join(name).is_symlink() && run.join(name).is_file(), "{name}");
    }
    // This file is appended to, not replaced: a link in its place is refused.
    fs::remove_file(run.join("failure.txt")).unwrap_or_default();
    fs::remove_file(run.join("search/metrics.jsonl")).unwrap();
    symlink(&victim, run.join("search/metrics.jsonl")).unwrap();
    ends(&["report", "R"], folder.path())
        .code(7)
        .stderr(predicate::str::contains("it is a link"));
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_a_link_is_left_alone() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let run = copy_of(finished(), folder.path());
    let outside = folder.path().join("outside");
    fs::rename(run.join("network"), &outside).unwrap();
    fs::create_dir_all(outside.join("mistakes")).unwrap();
    fs::write(outside.join("mistakes/mine"), "mine").unwrap();
    let before = walkdir(&outside);
    for name in ["network", "search", "export", "drawings", "tensorboard"] {
        let _ = fs::remove_dir_all(run.join(name));
        symlink(&outside, run.join(name)).unwrap();
    }
    for arguments in [
        &["evaluate", "R", "-q"][..],
        &["train", "R", "-q"],
        &["predict", "R", "x.png"],
        &["export", "R", "--format", "pytorch"],
        &["draw", "R"],
        &["metrics", "R", "--format", "tensorboard"],
        &["report", "R"],
    ] {
        let output = ends(arguments, folder.path()).failure();
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(said.contains("it is a link"), "{arguments:?}: {said}");
    }
    assert_eq!(walkdir(&outside), before);
}

#[cfg(unix)]
#[test]
fn a_run_below_a_run_is_not_read_through_a_link() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let run = copy_of(finished(), folder.path());
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    for (setting, parent, name) in [
        ("seeds = 2", "seeds", "s2"),
        ("baselines = [\"resnet8\"]", "baselines", "resnet8"),
    ] {
        let config = config.replacen("[network]\n", &format!("[network]\n{setting}\n"), 1);
        fs::write(run.join("config.toml"), config).unwrap();
        let link = run.join(parent).join(name);
        fs::create_dir_all(run.join(parent)).unwrap();
        symlink(finished(), &link).unwrap();
        let evaluate = || ends(&["evaluate", "R", "-q"], folder.path()).code(5);
        evaluate().stderr(predicate::str::contains("a link or a file is in the place of a folder"));
        // The same with a link in place of its parent.
        fs::remove_file(&link).unwrap();
        fs::remove_dir(run.join(parent)).unwrap();
        fs::create_dir_all(folder.path().join(parent)).unwrap();
        copy_of(finished(), &folder.path().join(parent));
        fs::rename(
            folder.path().join(parent).join("R"),
            folder.path().join(parent).join(name),
        )
        .unwrap();
        symlink(folder.path().join(parent), run.join(parent)).unwrap();
        evaluate().stderr(predicate::str::contains("link"));
        fs::remove_file(run.join(parent)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_comparison_writes_nothing_through_a_link() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let victim = victim(folder.path());
    let out = folder.path().join("comparison");
    let compare = |seeds: &str| {
        let mut command = super::with("compare", &super::TINY);
        command.args(["-q", "--methods", "da2s", "--search-only", "--seeds", seeds, "--out"]);
        command.arg(&out).assert()
    };
    compare("1").success();
    for name in [
        "da2s-s2.log",
        "compare.toml.partial",
        "settings.toml.partial",
        "compare.csv.partial",
    ] {
        symlink(&victim, out.join(name)).unwrap();
    }
    compare("2").success();
    assert!(!out.join("da2s-s2.log").is_symlink());
    fs::remove_file(out.join("compare.toml")).unwrap();
    symlink(&victim, out.join("compare.toml")).unwrap();
    compare("3").code(5);
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn nothing_is_read_through_a_link() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hidden words").unwrap();
    let run = copy_of(finished(), folder.path());
    for name in ["failure.txt", "config.toml", "genotype.json"] {
        let (file, kept) = (run.join(name), run.join("kept"));
        let there = fs::rename(&file, &kept).is_ok();
        fs::rename(run.join("summary.json"), run.join("away")).unwrap();
        symlink(&secret, &file).unwrap();
        ends(&["report", "R"], folder.path())
            .code(7)
            .stderr(predicate::str::contains("it is a link"));
        for arguments in [&["report", "R"][..], &["runs", "."], &["evaluate", "R", "-q"]] {
            let output = ends(arguments, folder.path());
            let output = output.get_output();
            let said = String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap();
            assert!(!said.contains("hidden"), "{name}, {arguments:?}: {said}");
        }
        // A finished run has no failure.
        let _ = fs::remove_file(&file);
        if there {
            fs::rename(&kept, &file).unwrap();
        }
        let _ = fs::remove_file(run.join("summary.json"));
        fs::rename(run.join("away"), run.join("summary.json")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_files_of_a_run() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let run = copy_of(finished(), folder.path());
    let pipe = |name: &str| {
        fs::rename(run.join(name), folder.path().join("kept")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(run.join(name))
            .status()
            .unwrap();
        assert!(made.success());
    };
    let back = |name: &str| {
        fs::remove_file(run.join(name)).unwrap();
        fs::rename(folder.path().join("kept"), run.join(name)).unwrap();
    };
    pipe("genotype.json");
    for arguments in [
        &["predict", "R", "x.png"][..],
        &["genotype", "R"],
        &["export", "R", "--format", "onnx"],
        &["evaluate", "R", "-q"],
        &["train", "R", "-q"],
        &["run", "--resume", "-q", "--out", "R"],
        &["report", "R"],
        &["lookup", "R", "--benchmark", "x.csv"],
    ] {
        let output = ends(arguments, folder.path()).failure();
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(said.contains("it is not a regular file"), "{arguments:?}: {said}");
    }
    back("genotype.json");
    for name in ["config.toml", "search/metrics.jsonl", "network/best.safetensors"] {
        pipe(name);
        for arguments in [&["evaluate", "R", "-q"][..], &["report", "R"], &["runs", "."]] {
            ends(arguments, folder.path());
        }
        back(name);
    }
    fs::remove_file(run.join("network/best.safetensors")).unwrap();
    symlink("/dev/zero", run.join("network/best.safetensors")).unwrap();
    ends(&["evaluate", "R", "-q"], folder.path())
        .code(5)
        .stderr(predicate::str::contains("best.safetensors is damaged: it is a link"));
}

#[cfg(unix)]
#[test]
fn a_result_goes_through_a_pipe_or_a_device_and_leaves_it_there() {
    use std::os::unix::fs::FileTypeExt;

    let folder = tempfile::tempdir().unwrap();
    let run = finished().to_str().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for arguments in [&["report"][..], &["export", "--format", "onnx"]] {
        let through = std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&pipe).unwrap());
            let out = ["--out", "pipe"];
            ends(&[arguments, &[run], &out].concat(), folder.path()).success();
            reader.join().unwrap()
        });
        assert!(through.len() > 1000, "{arguments:?}");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        ends(&[arguments, &[run, "--out", "/dev/null"]].concat(), folder.path()).success();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let output = ends(&[arguments, &[run, "--out", "/dev/stdout"]].concat(), folder.path()).success();
        assert!(output.get_output().stdout.len() > 1000, "{arguments:?}");
        // A folder with this name is not replaced.
        ends(&[arguments, &[run, "--out", "."]].concat(), folder.path()).code(7);
    }
}

/// The weight that the test changes.
fn classifier(tensors: &mut [Named]) -> &mut f32 {
    let bias = tensors.iter_mut().find(|tensor| tensor.name == "classifier.bias");
    &mut bias.unwrap().data[0]
}

#[test]
fn an_export_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (
        copy_of(finished(), folder.path()),
        folder.path().join("network.safetensors"),
    );
    da2s()
        .args(["export", "--format", "safetensors", "--out"])
        .args([&file, &run])
        .assert()
        .success();
    let genotype = fs::read_to_string(run.join("genotype.json")).unwrap();
    fs::write(folder.path().join("own.txt"), genotype).unwrap();
    let import = || {
        let mut command = with("import", &TINY);
        command
            .current_dir(folder.path())
            .args(["-q", "--genotype-file", "own.txt", "--out", "taken"]);
        command.args(["--weights", "network.safetensors"]);
        command.assert()
    };
    let whole = fs::read(&file).unwrap();
    let mut spoilt = whole.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    fs::write(&file, &spoilt).unwrap();
    import()
        .code(5)
        .stderr(predicate::str::contains("its checksum does not match"));
    let told = da2s_infer::Network::read(&file).unwrap_err().to_string();
    assert!(told.contains("its checksum does not match"), "{told}");
    assert!(!folder.path().join("taken").exists());

    // Without a checksum, as in files of earlier versions: finite weights with which no output is
    // finite.
    let mut read = WeightsFile::from_bytes(&whole).unwrap();
    let weights = read
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "classifier.weight")
        .unwrap();
    weights.data.fill(3e38);
    let mut description: serde_json::Value = serde_json::from_str(&read.metadata["da2s"]).unwrap();
    description.as_object_mut().unwrap().remove("sha256");
    let unsigned = WeightsFile::to_bytes(&read.tensors, "da2s", description.to_string()).unwrap();
    fs::write(&file, unsigned).unwrap();
    let told = predicate::str::contains("classifier.weight contains 3e38, whose square is infinite in 32 bits");
    import().code(5).stderr(told);
    assert!(!folder.path().join("taken").exists());
}

#[test]
fn outputs_that_are_not_finite_give_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let run = copy_of(finished(), folder.path());
    let directory = RunDirectory::read(&run).unwrap();
    let mut network: Checkpoint<serde_json::Value> = Checkpoint::read(&directory, BEST).unwrap().unwrap();
    image::GrayImage::new(8, 8).save(folder.path().join("x.png")).unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        *classifier(&mut network.tensors) = value;
        // An attacker who changes the weights can also rewrite the checksum.
        network.write(&directory, BEST).unwrap();
        for arguments in [&["predict", "R", "x.png"][..], &["evaluate", "R", "-q"]] {
            let told = predicate::str::contains("an output of the network is ");
            ends(arguments, folder.path()).code(8).stdout("").stderr(told);
        }
    }
}

#[cfg(unix)]
#[test]
fn the_live_page_shows_nothing_through_a_link() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hidden words").unwrap();
    let run = copy_of(finished(), folder.path());
    let server = Server::watch(&run);
    fs::remove_file(run.join("summary.json")).unwrap();
    symlink(&secret, run.join("failure.txt")).unwrap();
    let refused = predicate::str::contains("it is a link").and(predicate::str::contains("hidden").not());
    ends(&["watch", "R", "--http", "0"], folder.path())
        .code(7)
        .stdout("")
        .stderr(refused);
    for path in ["/", "/news", "/report.html", "/files/failure.txt"] {
        let (_, _, text) = server.get(path);
        assert!(!text.contains("hidden"), "{path}: {text}");
    }
}
