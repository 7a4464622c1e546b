//! What somebody may have put into a run directory, or a command, to do harm. A terminal that shows it, files outside of it
//! and the program itself are not touched.

use std::fs;
use std::path::Path;

use predicates::prelude::*;

use super::{da2s, finished};

/// What a terminal would obey, and what would add a line or turn one around.
const CONTROLS: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}";

/// A run that says `text` of its data set and of its failure.
fn write_run(path: &Path, text: &str) {
    fs::create_dir_all(path).unwrap();
    let dataset = toml::Value::from(text);
    let config = format!("[search]\nmethod = \"da2s\"\n[data]\ndataset = {dataset}\n");
    fs::write(path.join("config.toml"), config).unwrap();
    fs::write(path.join("failure.txt"), text).unwrap();
}

/// The lines of what `arguments` print on either output, which must hold nothing that controls a terminal.
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
    assert_eq!(listed[0]["name"], forged.as_str(), "a program reads what is there");
    for command in ["draw", "discretize", "train", "evaluate", "predict"] {
        let image: &[&str] = if command == "predict" { &["x.png"] } else { &[] };
        let lines = clean_lines(&[&[command, &forged], image].concat(), folder.path());
        assert_eq!(lines.len(), 1, "{command}: {lines:?}");
    }
}

/// The files of `run` in a new directory `R` of `folder`.
fn copy_of(run: &Path, folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("R");
    for entry in walkdir(run) {
        let to = copy.join(entry.strip_prefix(run).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&entry, &to).unwrap();
    }
    copy
}

/// The files in and below `folder`.
fn walkdir(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] })
        .collect()
}

#[test]
fn a_loss_beside_zero_is_drawn() {
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
