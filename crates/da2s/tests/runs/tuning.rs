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

/// Collects warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn has(&self, part: &str) -> bool {
        part.is_empty() || self.0.iter().any(|text| text.contains(part))
    }
}

impl Observer for Warnings {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.push(warning.text.to_string());
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
    // Two kinds of cells, each with two edges and one node, have six decisions. After each, there
    // are two epochs of four steps.
    assert_eq!((epochs.len(), observer.steps), (12, 48));
    assert!(gap.tuned.is_some() && gap.as_trained.both.is_some(), "{gap:?}");

    // The rows of the gap are measured with the weights of the search, even after a tuning.
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
fn a_stopped_tuning_is_continued_by_whatever_discretizes_next() {
    let folder = tempfile::tempdir().unwrap();
    let asked = tuned();
    let mut untuned = asked.clone();
    (untuned.discretize.rule, untuned.discretize.tuning_epochs) = (Rule::Strongest, 0);
    let directory = searched(&folder.path().join("run"), &untuned);
    let stopped_after = |steps| {
        let mut observer = StopAfter {
            steps: Cell::new(steps),
        };
        let error = discretize(&context(&directory, &asked, false), None, &mut observer).unwrap_err();
        assert!(matches!(error, Error::Evaluate(EvaluateError::Stopped)), "{error}");
    };
    let rule = || {
        let settings = directory.config().unwrap().discretize;
        (settings.rule, settings.tuning_epochs)
    };
    // While the first decision is measured.
    stopped_after(0);
    assert!(!directory.file("tuning/checkpoint.safetensors").exists());
    stopped_after(3);
    assert_eq!(rule(), (Rule::Perturbation, 2));
    let own = directory.config().unwrap();
    let found = discretize(&context(&directory, &own, false), None, &mut Silent).unwrap();
    assert!(found.gap.unwrap().tuned.is_some());

    // A run with a gap keeps its rule until the tuning is complete.
    discretize(&context(&directory, &untuned, false), None, &mut Silent).unwrap();
    remove(&directory.file("tuning"));
    stopped_after(3);
    assert_eq!(rule(), (Rule::Strongest, 0));
    let mut warnings = Warnings::default();
    discretize(&context(&directory, &untuned, false), None, &mut warnings).unwrap();
    assert!(
        warnings.has("discretize.tuning_epochs = 2 continues it"),
        "{:?}",
        warnings.0
    );
    discretize(&context(&directory, &asked, false), None, &mut Silent).unwrap();
    assert_eq!(rule(), (Rule::Perturbation, 2));
    let mut warnings = Warnings::default();
    discretize(&context(&directory, &untuned, false), None, &mut warnings).unwrap();
    assert!(!warnings.has("continues it"), "{:?}", warnings.0);
}

#[test]
fn another_search_or_another_number_of_epochs_is_tuned_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tuned();
    config.discretize.tuning_epochs = 1;
    let directory = searched(&folder.path().join("run"), &config);
    let checkpoint = directory.file("tuning/checkpoint.safetensors");
    let tuned_after = |config: &Config, warning: &str| {
        let mut warnings = Warnings::default();
        discretize(&context(&directory, config, false), None, &mut warnings).unwrap();
        assert!(
            warnings.has(warning) && warnings.has("the tuning starts from the beginning") != warning.is_empty(),
            "{:?}",
            warnings.0
        );
        let text = fs::read_to_string(directory.file("tuning/metrics.jsonl")).unwrap();
        (text.lines().count(), fs::read(&checkpoint).unwrap())
    };
    let tuned = |config: &Config| tuned_after(config, "belongs to another search or to other settings");
    let (epochs, first) = tuned_after(&config, "");
    assert_eq!(epochs, 6);
    config.discretize.tuning_epochs = 2;
    assert_eq!(tuned_after(&config, "its 6 epochs are lost").0, 12);
    // The run's configuration has the new number.
    assert_eq!(directory.config().unwrap().discretize.tuning_epochs, 2);
    config.discretize.tuning_epochs = 1;
    assert!(tuned(&config).1 == first);
    config.search.epochs = 3;
    directory.write_config(&config).unwrap();
    search(&context(&directory, &config, false), &mut Silent).unwrap();
    // The tuning of the earlier search is removed with it.
    assert!(!checkpoint.exists());
    assert!(tuned_after(&config, "").1 != first);
    // The number of images on which candidates are compared is part of a tuning's settings.
    config.discretize.rule_images = 30;
    assert_eq!(tuned(&config).0, 6);
    // If the checkpoint is damaged or lost, its epochs are tuned again.
    let previous = directory.file("tuning/checkpoint.safetensors.previous");
    fs::write(&checkpoint, b"nothing").unwrap();
    fs::remove_file(&previous).unwrap();
    assert_eq!(tuned_after(&config, "is damaged").0, 6);
    fs::remove_file(&checkpoint).unwrap();
    fs::remove_file(&previous).unwrap();
    assert_eq!(tuned_after(&config, "is missing").0, 6);
    // A checkpoint of another version of the program is kept.
    let mut bytes = fs::read(&checkpoint).unwrap();
    let version = br#"version\":"#;
    let at = bytes
        .windows(version.len())
        .position(|window| window == version)
        .unwrap();
    bytes[at + version.len()] = b'9';
    fs::write(&checkpoint, &bytes).unwrap();
    let refused = discretize(&context(&directory, &config, false), None, &mut Silent);
    assert!(matches!(refused, Err(Error::Mismatch { .. })));
    assert!(fs::read(&checkpoint).unwrap() == bytes);
}
