//! A table of invalid inputs to da2s: how each is prepared, the command, the exit code and the
//! expected message.
//!
//! Contract of every case: the exit code matches; the standard output contains only what was
//! requested; the standard error is one line of bounded length without control characters and
//! without a panic, after the line of progress that a slow machine prints; no file is written or
//! changed. Each command has 4 GiB of address space, so that it fails if it trusts a false length.
//! A command that hangs is killed after two minutes and fails.
//! `DA2S_CASE=WORD` runs only the cases whose name contains the word.

mod archives;
mod data;
mod folders;
mod front;
mod genotypes;
mod methods;
mod mistaken;
mod runs;
mod settings;
mod spaces;
mod stages;
mod tables;
mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;

pub use self::runs::finished_copy;
use crate::TINY;

/// Address space of a process, in KiB.
const MOST_KIB: &str = "4194304";
/// How long to wait before a command counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);
/// The lock file of a process that works on a run.
const LOCK: &str = ".lock";
/// The line with which a run begins on a machine that is slow to measure.
const BEGINNING: &str = "reading the images, and measuring a few steps\n";
/// Longest message allowed.
const MOST_CHARACTERS: usize = 1100;

/// An invalid input. The command runs in a folder of its own.
struct Case {
    name: String,
    make: Box<dyn Fn(&Path)>,
    arguments: Vec<String>,
    code: i32,
    says: Vec<String>,
}

/// A case that needs no files.
fn case(name: &str, arguments: &[&str], code: i32, says: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        make: Box::new(|_| ()),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        code,
        says: says.iter().map(|&part| part.to_owned()).collect(),
    }
}

/// Invalid flags.
fn flags(arguments: &[&str], says: &[&str]) -> Case {
    case(&format!("flags: {}", arguments.join(" ")), arguments, 2, says)
}

/// Words after `da2s run`, separated by spaces; some are invalid.
fn run(words: &str, says: &[&str]) -> Case {
    let words = ["run"].into_iter().chain(words.split(' ')).chain(["--out", "out"]);
    flags(&words.collect::<Vec<_>>(), says)
}

impl Case {
    /// Adds a preparation step.
    fn make(mut self, make: impl Fn(&Path) + 'static) -> Self {
        self.make = Box::new(make);
        self
    }

    /// Adds the smallest settings and a run directory to the arguments.
    fn tiny(mut self) -> Self {
        for setting in TINY {
            self.arguments.extend(["--set".to_owned(), setting.to_owned()]);
        }
        self.arguments.extend(["--out".to_owned(), "out".to_owned()]);
        self
    }

    /// Runs the command and returns the first violation of the contract.
    fn problem(&self) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        (self.make)(dir);
        let before = tree(dir);
        // The shell sets the limit: without `unsafe` a process cannot set one for its child.
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MOST_KIB}; exec \"$0\" \"$@\"")]);
        command.arg(assert_cmd::cargo::cargo_bin("da2s")).args(&self.arguments);
        let output = command.current_dir(dir).timeout(PATIENCE).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.strip_prefix(BEGINNING).unwrap_or(&told);
        if output.status.code() != Some(self.code) {
            return Some(format!("ended with {}, not {}: {told}", output.status, self.code));
        }
        let usage = told.contains("For more information, try '--help'.");
        if told.lines().count() != 1 && !usage || told.chars().count() > MOST_CHARACTERS {
            return Some(format!("is no sentence: {told}"));
        }
        if !told.starts_with("da2s: ") && !usage {
            return Some(format!("does not begin with the name of the program: {told}"));
        }
        if told.contains("panicked") || told.trim_end_matches('\n').contains(|c: char| c.is_control()) && !usage {
            return Some(format!("contains a panic or control characters: {told:?}"));
        }
        if let Some(part) = self.says.iter().find(|part| !told.contains(*part)) {
            return Some(format!("does not say `{part}`: {told}"));
        }
        (tree(dir) != before).then(|| "created, changed or removed a file".to_owned())
    }
}

/// Creates a pipe without a writer.
fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Every file below `dir` with its content, and every folder and link, except the lock of a run,
/// which stays.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if path.ends_with(LOCK) && dir.join("config.toml").is_file() {
            continue;
        }
        let content = if kind.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        if kind.is_dir() {
            all.extend(tree(&path));
        }
        all.insert(path, content);
    }
    all
}

#[cfg(unix)]
#[test]
fn every_error_is_one_sentence_and_leaves_no_trace() {
    let cases: Vec<Case> = [
        data::cases(),
        folders::cases(),
        archives::cases(),
        settings::cases(),
        spaces::cases(),
        methods::cases(),
        front::cases(),
        genotypes::cases(),
        weights::cases(),
        runs::cases(),
        tables::cases(),
        mistaken::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(cases.len() >= 400, "{}", cases.len());
    let word = std::env::var("DA2S_CASE").unwrap_or_default();
    let chosen: Vec<&Case> = cases.iter().filter(|case| case.name.contains(&word)).collect();
    assert!(!chosen.is_empty(), "no case has {word} in its name");
    let wrong: Vec<String> = chosen
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, case.problem()?)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        chosen.len(),
        wrong.join("\n")
    );
}
