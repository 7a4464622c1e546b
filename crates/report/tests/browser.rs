//! The pages in a real browser: a finished, a resumed, a failed and a one-epoch run, and all of them side by side.
//!
//! Needs Node, Chromium and playwright-core, which `tests/browser/setup.sh` installs; skipped by name without them.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use da2s_report::{write_page, write_report};
use support::{Reached, Synthetic};

/// A program on the search path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|path| path.is_file())
}

/// The folder that `setup.sh` installs into.
fn modules() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser/node_modules");
    folder
        .join("playwright-core")
        .is_dir()
        .then(|| folder.canonicalize().ok())?
}

/// Finished runs whose search and retraining were stopped and went on from an earlier checkpoint: epochs are there twice.
fn repeat_epochs(file: &Path, first: usize, last: usize) {
    let text = fs::read_to_string(file).expect("file");
    let lines: Vec<&str> = text.lines().collect();
    let resumed = [&lines[..last], &lines[first..]].concat();
    fs::write(file, resumed.join("\n") + "\n").expect("file");
}

#[test]
fn a_browser_opens_every_kind_of_run() {
    let found = (
        program(&["node"]),
        program(&["chromium", "chromium-browser", "google-chrome"]),
        modules(),
    );
    let (Some(node), Some(chromium), Some(modules)) = found else {
        eprintln!(
            "skipped: a_browser_opens_every_kind_of_run needs Node, Chromium and playwright-core \
             (crates/report/tests/browser/setup.sh)"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let finished = Synthetic::default();
    let one = Synthetic {
        epochs: 1,
        train_epochs: 1,
        ..finished.clone()
    };
    let cut = Synthetic {
        reached: Reached::SearchCutAfter(7),
        ..finished.clone()
    };
    let runs = [
        ("finished", &finished),
        ("resumed", &finished),
        ("failed", &cut),
        ("one-epoch", &one),
    ];
    let dirs = runs.map(|(name, run)| {
        let dir = folder.path().join(name);
        run.write(&dir);
        dir
    });
    for file in ["search/metrics.jsonl", "search/arch.jsonl", "network/metrics.jsonl"] {
        repeat_epochs(&dirs[1].join(file), 9, 14);
    }
    fs::write(
        dirs[2].join("failure.txt"),
        "weight_loss became NaN in epoch 8, step 3 of the search\n",
    )
    .expect("file");
    let mut pages: Vec<PathBuf> = dirs.iter().map(|dir| write_report(dir).expect("report")).collect();
    let text = |page: &Path| fs::read_to_string(page).expect("page");
    assert_eq!(
        text(&pages[0]).replace("finished", ""),
        text(&pages[1]).replace("resumed", ""),
        "a resumed run is a run"
    );
    let all = folder.path().join("side-by-side.html");
    write_page(&dirs, &all).expect("page");
    pages.push(all);
    let output = Command::new(node)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs"))
        .arg(chromium)
        .arg(modules)
        .arg("-")
        .args(&pages)
        .output()
        .expect("node");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    eprintln!("{said}");
    assert!(output.status.success(), "{said}");
    assert_eq!(
        said.lines().filter(|line| line.starts_with("fine")).count(),
        pages.len()
    );
}
