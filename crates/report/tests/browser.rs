//! The pages in a real browser: a finished, a resumed, a failed and a one-epoch run, and all of
//! them side by side.
//!
//! Needs Node, Chromium and playwright-core, which `tests/browser/setup.sh` installs; without them
//! the tests report that they were skipped.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;
#[path = "browser/tools.rs"]
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use da2s_report::{write_page, write_report};
use support::{Reached, Synthetic};
use tools::Tools;

/// Repeats epochs in a finished run, as if its search and retraining had been stopped and resumed
/// from an earlier checkpoint.
fn repeat_epochs(file: &Path, first: usize, last: usize) {
    let text = fs::read_to_string(file).expect("file");
    let lines: Vec<&str> = text.lines().collect();
    let resumed = [&lines[..last], &lines[first..]].concat();
    fs::write(file, resumed.join("\n") + "\n").expect("file");
}

#[test]
fn a_browser_opens_all_kinds_of_runs() {
    let Some(tools) = Tools::find("a_browser_opens_all_kinds_of_runs") else {
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
        "the page of a resumed run is that of an uninterrupted one"
    );
    let all = folder.path().join("side-by-side.html");
    write_page(&dirs, &all).expect("page");
    pages.push(all);
    let output = tools
        .script(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs"))
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
