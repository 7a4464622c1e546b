//! The rule that tunes the weights between its decisions.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use da2s::Error;
use da2s::config::Config;
use da2s::discretize::Rule;
use da2s::evaluate::EvaluateError;
use da2s::observer::{Event, Observer, Silent};
use da2s::records::schema::{Gap, TuningEpoch};
use da2s::run::{RunDirectory, discretize, search};
use da2s::space::EdgeCount;

use crate::{StopAfter, context, tiny};

/// Files that must have the same bytes.
const FILES: [&str; 4] = [
    "genotype.json",
    "gap.json",
    "tuning/metrics.jsonl",
    "tuning/checkpoint.safetensors",
];

fn tuned() -> Config {
    let mut config = tiny();
    config.space.nodes = 1;
    config.target.edges = EdgeCount::PerNode(vec![1]);
    config.discretize.rule = Rule::Perturbation;
    config.discretize.rule_images = 20;
    config.discretize.edge_images = 0;
    config.discretize.tuning_epochs = 2;
    config
}

fn searched(path: &Path, config: &Config) -> RunDirectory {
    let directory = RunDirectory::create(path).unwrap();
    directory.write_config(config).unwrap();
    search(&context(&directory, config, false), &mut Silent).unwrap();
    directory
}

fn assert_same(a: &Path, b: &Path) {
    for file in FILES {
        assert!(
            fs::read(a.join(file)).unwrap() == fs::read(b.join(file)).unwrap(),
            "{file}"
        );
    }
}

/// Counts steps, and copies the run, as it is on the disk, after some of them.
struct Copies<'a> {
    from: &'a Path,
    to: &'a Path,
    steps: usize,
    copies: Vec<PathBuf>,
}

impl Observer for Copies<'_> {
    fn on(&mut self, event: Event<'_>) {
        let Event::Step { .. } = event else { return };
        self.steps += 1;
        if self.steps % 11 == 7 {
            let to = self.to.join(self.steps.to_string());
            copy(self.from, &to);
            self.copies.push(to);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn a_tuning_that_is_stopped_or_killed_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let config = tuned();
    let once = searched(&path("once"), &config);
    let (once_path, copies) = (path("once"), path("copies"));
    fs::create_dir(&copies).unwrap();
    let mut observer = Copies {
        from: &once_path,
        to: &copies,
        steps: 0,
        copies: Vec::new(),
    };
    let discretized = discretize(&context(&once, &config, false), None, &mut observer).unwrap();
    let gap = discretized.gap.unwrap();
    let text = fs::read_to_string(path("once/tuning/metrics.jsonl")).unwrap();
    let epochs: Vec<TuningEpoch> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Two edges of two kinds of cells and the node of each, for two epochs of four steps.
    assert_eq!((epochs.len(), observer.steps), (12, 48));
    assert!(gap.tuned.is_some() && gap.as_trained.both.is_some(), "{gap:?}");

    // The rows of the gap are with the weights of the search, whatever was tuned.
    let mut untuned = config.clone();
    untuned.discretize.tuning_epochs = 0;
    let found = discretize(&context(&once, &untuned, false), None, &mut Silent).unwrap();
    assert_eq!(found.gap.unwrap().as_trained.supernet, gap.as_trained.supernet);
    // What is complete is not tuned again.
    let mut steps = StopAfter { steps: Cell::new(1) };
    discretize(&context(&once, &config, false), None, &mut steps).unwrap();
    assert_eq!(steps.steps.get(), 1);
    let written: Gap = serde_json::from_slice(&fs::read(path("once/gap.json")).unwrap()).unwrap();
    assert_eq!(written, gap);

    let stopped = path("stopped");
    copy(&once_path, &stopped);
    for name in ["tuning", "gap.json", "genotype.json"] {
        remove(&stopped.join(name));
    }
    let mut stops = 0;
    let directory = RunDirectory::open(&stopped).unwrap();
    while let Err(error) = discretize(
        &context(&directory, &config, false),
        None,
        &mut StopAfter { steps: Cell::new(3) },
    ) {
        assert!(matches!(error, Error::Evaluate(EvaluateError::Stopped)), "{error}");
        assert!(!stopped.join("gap.json").exists());
        stops += 1;
    }
    assert!(stops > 8, "{stops}");
    assert_same(&once_path, &stopped);

    assert!(observer.copies.len() > 3);
    for killed in &observer.copies {
        let directory = RunDirectory::open(killed).unwrap();
        discretize(&context(&directory, &config, false), None, &mut Silent).unwrap();
        assert_same(&once_path, killed);
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn another_search_or_another_number_of_epochs_is_tuned_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tuned();
    config.discretize.tuning_epochs = 1;
    let directory = searched(&folder.path().join("run"), &config);
    let tuned = |config: &Config| {
        discretize(&context(&directory, config, false), None, &mut Silent).unwrap();
        let text = fs::read_to_string(directory.file("tuning/metrics.jsonl")).unwrap();
        (
            text.lines().count(),
            fs::read(directory.file("tuning/checkpoint.safetensors")).unwrap(),
        )
    };
    let (epochs, first) = tuned(&config);
    assert_eq!(epochs, 6);
    config.discretize.tuning_epochs = 2;
    assert_eq!(tuned(&config).0, 12);
    // The run's configuration has the number.
    assert_eq!(directory.config().unwrap().discretize.tuning_epochs, 2);
    config.discretize.tuning_epochs = 1;
    assert!(tuned(&config).1 == first);
    config.search.epochs = 3;
    directory.write_config(&config).unwrap();
    search(&context(&directory, &config, false), &mut Silent).unwrap();
    assert!(tuned(&config).1 != first);
    // A damaged checkpoint costs its epochs.
    fs::write(directory.file("tuning/checkpoint.safetensors"), b"nothing").unwrap();
    fs::remove_file(directory.file("tuning/checkpoint.safetensors.previous")).unwrap();
    assert_eq!(tuned(&config).0, 6);
}
