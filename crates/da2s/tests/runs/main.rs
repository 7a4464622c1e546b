//! Complete small runs, in every space and by every method.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod dropping;
mod methods;
mod progressive;
mod same_bytes;
mod spaces;
mod stages;
mod targets;
mod training;
mod tuning;
mod widening;

use std::cell::Cell;
use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::config::Config;
use da2s::observer::{Event, Observer, Silent};
use da2s::parallel::Group;
use da2s::records::schema::Summary;
use da2s::resumable::StageError;
use da2s::run::{Context, Opened, RunDirectory, discretize, evaluate, search, train};
use da2s::space::Genotype;

/// Requests a stop after a number of steps.
struct StopAfter {
    steps: Cell<usize>,
}

impl Observer for StopAfter {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Step { .. } = event {
            self.steps.set(self.steps.get().saturating_sub(1));
        }
    }

    fn stop(&self) -> bool {
        self.steps.get() == 0
    }
}

fn tiny() -> Config {
    let mut config = Config::default();
    config.data.limit = Some(160);
    config.data.test_limit = Some(40);
    config.search.epochs = 2;
    config.search.warmup_epochs = 1;
    config.search.batch_size = 20;
    config.search.channels = 2;
    config.network.training.epochs = 2;
    config.network.shape.channels = 4;
    config.network.shape.cells = 3;
    config.network.training.batch_size = 40;
    config.network.training.drop_path = 0.2;
    config
}

fn context<'a>(directory: &'a RunDirectory, config: &'a Config, resume: bool) -> Context<'a> {
    Context {
        directory,
        config,
        resume,
        command: "da2s run".to_owned(),
        arrays: None,
        opened: Opened::default(),
        group: Group::alone(),
        is_below: false,
    }
}

fn whole(path: &Path, config: &Config) -> Summary {
    let directory = RunDirectory::create(path).unwrap();
    directory.write_config(config).unwrap();
    let context = context(&directory, config, false);
    search(&context, &mut Silent).unwrap();
    discretize(&context, None, &mut Silent).unwrap();
    train(&context, &mut Silent).unwrap();
    evaluate(&context, &mut Silent).unwrap()
}

fn genotype_of(summary: &Summary) -> Genotype {
    Genotype::parse(summary.genotype.as_deref().unwrap()).unwrap()
}

/// A run of `config` and a resumed copy: returns the summary after comparing the bytes.
fn twice(config: &Config) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let (once, resumed) = (folder.path().join("a"), folder.path().join("b"));
    let summary = whole(&once, config);
    let directory = RunDirectory::create(&resumed).unwrap();
    directory.write_config(config).unwrap();
    let context = context(&directory, config, true);
    while let Err(error) = search(&context, &mut StopAfter { steps: Cell::new(3) }) {
        assert!(matches!(error, Error::Stage(StageError::Stopped { .. })), "{error}");
    }
    let read = |path: &Path| fs::read(path.join("search/checkpoint.safetensors")).unwrap();
    assert!(
        read(&once) == read(&resumed),
        "the resumed search ends with other bytes"
    );
    summary
}
