//! The same seed gives the same bytes; stopping, resuming, checkpoints and threads change nothing.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::config::Config;
use da2s::device::EngineName;
use da2s::evaluate::EvaluateError;
use da2s::observer::{Event, Observer, Silent};
use da2s::resumable::StageError;
use da2s::run::{RunDirectory, discretize, evaluate, search, train};
use da2s_engine::Engine;

use crate::{StopAfter, context, tiny, whole};

/// Requests a stop when it has been asked a number of times.
struct StopAsked {
    left: Cell<usize>,
}

impl Observer for StopAsked {
    fn on(&mut self, _: Event<'_>) {}

    fn stop(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }
}

/// Files that must have the same bytes.
const FILES: [&str; 10] = [
    "config.toml",
    "search/metrics.jsonl",
    "search/arch.jsonl",
    "search/checkpoint.safetensors",
    "genotype.json",
    "gap.json",
    "network/metrics.jsonl",
    "network/checkpoint.safetensors",
    "network/best.safetensors",
    "network/evaluation.json",
];

fn assert_same(a: &Path, b: &Path) {
    for file in FILES {
        let (ours, theirs) = (fs::read(a.join(file)).unwrap(), fs::read(b.join(file)).unwrap());
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
        assert!(ours == theirs, "{file} differs:\n{}\n{}", text(&ours), text(&theirs));
    }
}

#[test]
fn one_seed_gives_the_same_bytes_and_so_does_a_resumed_run() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, third) = (
        folder.path().join("a"),
        folder.path().join("b"),
        folder.path().join("c"),
    );
    let config = tiny();
    whole(&first, &config);
    whole(&second, &config);
    assert_same(&first, &second);

    // Repeatedly stopped in the middle of an epoch and resumed.
    let directory = RunDirectory::create(&third).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, true);
    let mut stops = 0;
    let mut until_done = |stage: &dyn Fn(&mut dyn Observer) -> Result<(), Error>| loop {
        match stage(&mut StopAfter { steps: Cell::new(3) }) {
            Ok(()) => break,
            Err(Error::Stage(StageError::Stopped { .. })) => stops += 1,
            Err(error) => panic!("{error}"),
        }
    };
    until_done(&|observer| search(&context, observer).map(|_| ()));
    // Stopping leaves no files, whether the gap is being measured or the gaps of edges, which are
    // measured after the gap.
    for asks in [0, 3, 50, 110] {
        let left = Cell::new(asks);
        let stopped = discretize(&context, None, &mut StopAsked { left }).map(|_| ());
        assert!(
            matches!(stopped, Err(Error::Evaluate(EvaluateError::Stopped))),
            "{asks}: {stopped:?}"
        );
        for file in ["genotype.json", "gap.json", "edge_gaps.json"] {
            assert!(!third.join(file).exists(), "{file} after {asks}");
        }
    }
    discretize(&context, None, &mut Silent).unwrap();
    until_done(&|observer| train(&context, observer).map(|_| ()));
    let left = Cell::new(0);
    let stopped = evaluate(&context, &mut StopAsked { left });
    assert!(
        matches!(stopped, Err(Error::Evaluate(EvaluateError::Stopped))),
        "{stopped:?}"
    );
    assert!(!third.join("network/evaluation.json").exists());
    evaluate(&context, &mut Silent).unwrap();
    assert!(stops >= 4, "stopped {stops} times");
    assert_same(&first, &third);
}

/// Requests a checkpoint at every step, and keeps a copy of the one after step 2 of epoch 2.
struct CheckpointEveryStep<'a> {
    folder: &'a Path,
    written: usize,
}

impl Observer for CheckpointEveryStep<'_> {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Checkpoint { epoch, step } = event {
            self.written += 1;
            if (epoch, step) == (2, 2) {
                let file = |name: &str| self.folder.join(name);
                fs::copy(file("checkpoint.safetensors"), file("kept.safetensors")).unwrap();
            }
        }
    }

    fn checkpoint(&self) -> bool {
        true
    }
}

#[test]
fn a_requested_checkpoint_changes_nothing_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (alone, asked) = (folder.path().join("a"), folder.path().join("b"));
    let config = tiny();
    whole(&alone, &config);
    let directory = RunDirectory::create(&asked).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, true);
    // Resumes from the kept checkpoint, as a run that was killed right after it would.
    let twice = |name: &str, stage: &dyn Fn(&mut dyn Observer)| {
        let folder = asked.join(name);
        let mut observer = CheckpointEveryStep {
            folder: &folder,
            written: 0,
        };
        stage(&mut observer);
        assert!(observer.written >= 4, "{name}: {}", observer.written);
        fs::rename(folder.join("kept.safetensors"), folder.join("checkpoint.safetensors")).unwrap();
        stage(&mut Silent);
    };
    twice("search", &|observer| {
        assert!(search(&context, observer).unwrap().last.is_some())
    });
    discretize(&context, None, &mut Silent).unwrap();
    twice("network", &|observer| {
        assert!(train(&context, observer).unwrap().last.is_some())
    });
    evaluate(&context, &mut Silent).unwrap();
    assert_same(&alone, &asked);
}

#[test]
#[allow(clippy::print_stdout, reason = "whether levels agree is printed, not asserted")]
fn any_number_of_threads_gives_the_same_bytes_at_every_level_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = Vec::new();
    for level in Engine::levels() {
        let mut config = tiny();
        config.run.engine = EngineName::from_name(level).unwrap();
        let paths = [1, 2, 4].map(|threads| {
            let path = folder.path().join(format!("{level}-{threads}"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| whole(&path, &config));
            path
        });
        assert_same(&paths[0], &paths[1]);
        assert_same(&paths[0], &paths[2]);
        weights.push((level, fs::read(paths[0].join("search/checkpoint.safetensors")).unwrap()));
    }
    // Not guaranteed: other instruction sets add in another order.
    for (level, bits) in &weights[1..] {
        let (best, best_bits) = &weights[0];
        println!("{level} and {best} give the same bits: {}", bits == best_bits);
    }
}

#[test]
fn another_seed_gives_another_search() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.search.epochs = 1;
    config.search.warmup_epochs = 0;
    let run = |name: &str, config: &Config| {
        let directory = RunDirectory::create(&folder.path().join(name)).unwrap();
        directory.write_config(config).unwrap();
        search(&context(&directory, config, false), &mut Silent).unwrap();
        fs::read(directory.file("search/metrics.jsonl")).unwrap()
    };
    let first = run("a", &config);
    config.run.seed = 2;
    assert!(first != run("b", &config));
}
