//! Targets that read run directories: each file of a run alone, all of them together, and the pages
//! drawn from them.
//!
//! Every file has its own parser. A target for one file reads only that file, from memory, so that
//! the others cost no time. It uses the code that reads a run directory ([`Run::of`],
//! [`Digest::of`]), which treats the other files as missing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use da2s_report::drawing::DrawingFormat as Picture;
use da2s_report::metrics::{architecture, metrics};
use da2s_report::run::{Digest, Follow, Run};
use da2s_report::tensorboard::EventWriter;

use crate::targets::{JSON, MOST_BYTES, Parser, TOML, Target};

/// A file of a run.
struct RunFile {
    /// Name of the target that damages it.
    target: &'static str,
    /// Its path in the run directory.
    path: &'static str,
    /// Texts that its format contains.
    words: &'static [&'static str],
}

const fn file(target: &'static str, path: &'static str, words: &'static [&'static str]) -> RunFile {
    RunFile { target, path, words }
}

/// The files from which reports and tables are created.
static FILES: [RunFile; 14] = [
    file("run-config", "config.toml", TOML),
    file("run-environment", "environment.json", JSON),
    file("run-search", "search/metrics.jsonl", JSON),
    file("run-arch", "search/arch.jsonl", JSON),
    file("run-search-times", "search/times.jsonl", JSON),
    file("run-genotype", "genotype.json", JSON),
    file("run-cost", "cost.json", JSON),
    file("run-gap", "gap.json", JSON),
    file("run-edge-gaps", "edge_gaps.json", JSON),
    file("run-training", "network/metrics.jsonl", JSON),
    file("run-train-times", "network/times.jsonl", JSON),
    file("run-evaluation", "network/evaluation.json", JSON),
    file("run-summary", "summary.json", JSON),
    file("run-failure", FAILURE, &["\n", "\u{7f}", "\u{1b}["]),
];
/// Written by a run that failed; a finished run has none.
const FAILURE: &str = "failure.txt";

/// All targets. `finished` is a run whose files are damaged.
pub fn all(scratch: &Path, finished: &Path) -> Vec<Target> {
    let mut targets: Vec<Target> = FILES.iter().map(|file| alone(finished, file)).collect();
    targets.extend(together(scratch, finished));
    targets
}

/// `file` alone, with settings that make it part of a run.
fn alone(finished: &Path, file: &'static RunFile) -> Target {
    let whole = match file.path {
        FAILURE => b"epoch 3, weight cells.1: not a number\n".to_vec(),
        path => fs::read(finished.join(path)).unwrap(),
    };
    let run: Parser = Box::new(|bytes| {
        let settings = b"[search]\nmethod = \"da2s\"\n";
        let files = BTreeMap::from([("config.toml", settings.to_vec()), (file.path, bytes.to_vec())]);
        let digest = Digest::of(&files).is_ok();
        let whole = |run: &Run| {
            let _ = run.settings();
            run.stages().len() == 4
        };
        Run::of(&files).as_ref().is_ok_and(whole) && digest
    });
    Target::new(file.target, vec![whole], file.words, run)
}

/// A run with one damaged file. The first byte of an input selects the file.
struct Damaged {
    dir: PathBuf,
    /// The undamaged files.
    whole: Vec<Vec<u8>>,
    /// The file that is currently damaged.
    last: RefCell<usize>,
}

impl Damaged {
    fn new(dir: PathBuf, finished: &Path) -> Self {
        let damaged = Self {
            dir,
            whole: FILES
                .iter()
                .map(|file| fs::read(finished.join(file.path)).unwrap_or_default())
                .collect(),
            last: RefCell::new(0),
        };
        for (index, file) in FILES.iter().enumerate() {
            let path = damaged.dir.join(file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            damaged.mend(index);
        }
        damaged
    }

    /// The valid inputs.
    fn seeds(&self) -> Vec<Vec<u8>> {
        let seed = |(index, content): (u8, &Vec<u8>)| [&[index], &content[..]].concat();
        (0..).zip(&self.whole).map(seed).collect()
    }

    /// Restores a file. A finished run has no failure file, so that one is removed.
    fn mend(&self, index: usize) {
        let path = self.dir.join(FILES[index].path);
        match self.whole[index].is_empty() {
            true => drop(fs::remove_file(path)),
            false => fs::write(path, &self.whole[index]).unwrap(),
        }
    }

    fn damage(&self, input: &[u8]) {
        self.mend(*self.last.borrow());
        if let [index, content @ ..] = input {
            let index = usize::from(*index) % FILES.len();
            fs::write(self.dir.join(FILES[index].path), content).unwrap();
            *self.last.borrow_mut() = index;
        }
    }
}

/// Complete runs: reading one, and drawing it.
fn together(scratch: &Path, finished: &Path) -> [Target; 2] {
    let to_read = Rc::new(Damaged::new(scratch.join("damaged"), finished));
    let (to_draw, seeds) = (to_read.clone(), to_read.seeds());
    let events = scratch.join("events");
    [
        Target {
            cost: 2,
            ..Target::new(
                "run-directory",
                seeds.clone(),
                JSON,
                Box::new(move |bytes| {
                    to_read.damage(bytes);
                    let dir = to_read.dir.as_path();
                    let digest = Digest::read(dir).is_ok();
                    let followed = Follow::new(dir).is_ok();
                    Run::read(dir).is_ok_and(|run| run.stages().len() == 4) && digest && followed
                }),
            )
        },
        Target {
            cost: 10,
            // A page contains its source data twice, as pictures and as numbers.
            most_bytes: 4 * MOST_BYTES,
            ..Target::new(
                "report",
                seeds,
                JSON,
                Box::new(move |bytes| {
                    to_draw.damage(bytes);
                    // The name of an event file depends on the settings of the run. So events of
                    // an input with other settings would not be replaced.
                    drop(fs::remove_dir_all(&events));
                    draws(&to_draw.dir, &events)
                }),
            )
        },
    ]
}

/// Whether pages can be drawn from the run in `dir`.
fn draws(dir: &Path, events: &Path) -> bool {
    let runs = [dir.to_owned()];
    let Ok(run) = Run::read(dir) else { return false };
    let page = da2s_report::render(&run);
    let beside = da2s_report::side_by_side(&[run.clone(), run.clone()]);
    // What cannot be drawn or tabulated is an error, as for a run without an epoch.
    let _ = da2s_report::drawing::drawings(&run, Picture::Svg);
    let _ = da2s_report::drawing::drawings(&run, Picture::Dot);
    let _ = (metrics(&runs), architecture(&runs));
    let _ = EventWriter::new(dir, events).update();
    page.len() + beside.len() > 1000
}
