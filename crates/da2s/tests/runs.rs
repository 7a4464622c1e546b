//! Complete small runs: the same seed gives the same bytes, stopping and resuming changes nothing,
//! the result fits the target, and a damaged checkpoint is detected.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::cell::Cell;
use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::config::{Config, Request};
use da2s::device::EngineName;
use da2s::discretize::Rule;
use da2s::evaluate::EvaluateError;
use da2s::observer::{Event, Observer, Silent};
use da2s::parallel::Group;
use da2s::records::schema::Summary;
use da2s::resumable::StageError;
use da2s::run::{Context, Job, RunDirectory, discretize, evaluate, search, train};
use da2s::search::{ArchOptimizerName, Drive, Method, Rate, ScheduleName, SearchError};
use da2s::space::{All, EdgeCount, Genotype, Operation, Reductions, SpaceName};
use da2s_engine::Engine;

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
        group: Group::alone(),
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
    // A measurement that is stopped leaves no files: in the gap, and in the edge gaps after the
    // batches of the gap.
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
fn a_checkpoint_asked_for_changes_nothing_and_can_be_gone_on_from() {
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
    assert!(read(&once) == read(&resumed), "the resumed search ends elsewhere");
    summary
}

#[test]
fn nas_bench_201_runs_with_its_protocol() {
    let mut config = tiny();
    config.space.name = SpaceName::NasBench201;
    config.target.edges = EdgeCount::All(All::All);
    (
        config.search.cells,
        config.network.shape.cells,
        config.network.training.drop_path,
    ) = (1, 1, 0.0);
    config.search.one_level = true;
    config.search.arch_optimizer = ArchOptimizerName::Sgd;
    config.search.arch_every = 2;
    let summary = twice(&config);
    let text = summary.genotype.unwrap();
    assert!(text.starts_with('|'), "{text}");
    let genotype = Genotype::parse(&text).unwrap();
    assert_eq!(genotype.to_string(), text);
    assert_eq!(genotype.cells.normal.edges.len(), 6);
}

fn tiny_chain() -> Config {
    let mut config = tiny();
    config.space.name = SpaceName::Mobile;
    config.space.stages = Some(vec![vec![8, 3, 2], vec![16, 2, 1]]);
    config.space.head_channels = Some(16);
    config.target.edges = EdgeCount::All(All::All);
    config.target.depth = Some(EdgeCount::PerNode(vec![2, 2]));
    (config.search.channels, config.search.cells) = (8, 1);
    config.search.reduction_cells = Reductions::At(Vec::new());
    config.network.shape.cells = 1;
    config.network.shape.reduction_cells = Reductions::At(Vec::new());
    config
}

#[test]
fn a_chain_runs_and_keeps_the_declared_depth() {
    let mut config = tiny_chain();
    let genotype = genotype_of(&twice(&config));
    assert_eq!(genotype.cells.normal.stages, [3, 2]);
    assert_eq!(genotype.cells.normal.edges.len(), 4);
    // The perturbation rule, the path, and a limit on the cost.
    config.search.schedule = ScheduleName::Adaptive;
    config.discretize.rule = Rule::Perturbation;
    config.target.max_multiply_adds = Some(10_000_000);
    assert_eq!(genotype_of(&twice(&config)).cells.normal.edges.len(), 4);
}

#[test]
fn a_genotype_of_other_stages_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny_chain();
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let other = Genotype::parse("Genotype(stages=[['mbconv_k3_e1', 'mbconv_k3_e1'], ['mbconv_k3_e1']])").unwrap();
    let error = discretize(&context(&directory, &config, false), Some(&other), &mut Silent).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[2, 1] layers, but those of this run [3, 2]"),
        "{error}"
    );
}

#[test]
fn a_genotype_of_another_space_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny();
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let bench = Genotype::parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|").unwrap();
    let error = discretize(&context(&directory, &config, false), Some(&bench), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("not one of the space darts"), "{error}");
}

#[test]
fn partial_channels_run() {
    let mut config = tiny();
    config.search.method = Method::PcDarts;
    config.search.channels = 4;
    let summary = twice(&config);
    assert!(genotype_of(&summary).cells.reduction.is_some());
}

#[test]
fn second_order_runs() {
    let mut config = tiny();
    config.search.method = Method::Darts;
    config.search.second_order = true;
    twice(&config);
}

#[test]
fn a_space_of_the_users_own_runs() {
    let mut config = tiny();
    config.space.operations = Some(vec![Operation::SepConv3x3, Operation::SkipConnect]);
    config.space.nodes = 2;
    config.search.reduction_cells = Reductions::At(vec![0]);
    config.network.shape.reduction_cells = Reductions::At(vec![2]);
    config.target.edges = EdgeCount::PerNode(vec![1, 2]);
    let genotype = genotype_of(&twice(&config));
    for cell in genotype.cells.values() {
        assert_eq!(cell.edges.len(), 3);
        let allowed = [Operation::SepConv3x3, Operation::SkipConnect];
        assert!(cell.edges.iter().all(|edge| allowed.contains(&edge.operations[0])));
    }
}

#[test]
fn the_adaptive_schedule_ends_decided_whatever_the_rate_and_the_target() {
    for (rate, edges) in [(0.001, vec![2, 2, 2, 2]), (0.3, vec![1, 2, 1, 3])] {
        let mut config = tiny();
        config.search.epochs = 3;
        config.search.schedule = ScheduleName::Adaptive;
        (config.search.alpha_rate, config.search.beta_rate) = (Rate::Fixed(rate), Rate::Fixed(rate));
        config.target.edges = EdgeCount::PerNode(edges);
        let summary = twice(&config);
        assert!(summary.decided, "{summary:?}");
        assert!(summary.p_least.unwrap() >= 0.99 && summary.q_least.unwrap() >= 0.99);
    }
}

#[test]
fn a_limit_is_kept_or_refused() {
    let mut config = tiny();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, config: &Config| {
        let directory = RunDirectory::create(&folder.path().join(name)).unwrap();
        directory.write_config(config).unwrap();
        let context = context(&directory, config, false);
        search(&context, &mut Silent)?;
        discretize(&context, None, &mut Silent).map(|discretized| discretized.cost.parameters)
    };
    config.target.max_parameters = Some(10);
    let too_low = run("a", &config).unwrap_err();
    let Error::Search(SearchError::LimitTooLow { least, .. }) = too_low else {
        panic!("{too_low}")
    };
    // Without a penalty for exceeding the limit, a search of two epochs does not find the smallest
    // network.
    config.target.max_parameters = Some(least);
    config.search.limit_weight = 0.0;
    let above = run("b", &config).unwrap_err().to_string();
    assert!(
        above.contains(&format!("more than the {least} of target.max_parameters")),
        "{above}"
    );
    // The result can be inspected. It has no gap, which would mean that it was accepted, and is
    // refused every time.
    let refused = folder.path().join("b");
    assert!(refused.join("genotype.json").is_file() && refused.join("cost.json").is_file());
    let job = Job::open(&refused, &Request::default(), false, "da2s train".to_owned()).unwrap();
    let again = job.discretize(None, &mut Silent).map(drop);
    assert!(matches!(again, Err(Error::OverLimit { .. })), "{again:?}");
    let trained = job.train(&mut Silent).map(drop);
    assert!(matches!(trained, Err(Error::OverLimit { .. })), "{trained:?}");
    assert!(!refused.join("gap.json").exists() && !refused.join("network").exists());
    // Not even a given genotype replaces the result.
    let found = fs::read(refused.join("genotype.json")).unwrap();
    let entries = ["('sep_conv_5x5', 0), ('sep_conv_5x5', 1)"; 4].join(", ");
    let text = format!(
        "Genotype(normal=[{entries}], normal_concat=range(2, 6), reduce=[{entries}], reduce_concat=range(2, 6))"
    );
    let given = job
        .discretize(Some(&Genotype::parse(&text).unwrap()), &mut Silent)
        .map(drop);
    assert!(matches!(given, Err(Error::OverLimit { .. })), "{given:?}");
    assert!(fs::read(refused.join("genotype.json")).unwrap() == found);
    config.target.max_parameters = Some(10_000_000);
    assert!(run("c", &config).unwrap() > least);
}

#[test]
#[allow(clippy::print_stdout, reason = "whether levels agree is said, not asserted")]
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
fn the_weights_of_one_genotype_are_never_those_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.network.training.epochs = 1;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let first = context(&directory, &config, false);
    // The same operations, and so the same names and shapes, from other nodes.
    let text = |from| {
        format!(
            "Genotype(normal=[('sep_conv_3x3', {from}), ('skip_connect', {})], normal_concat=[2], \
             reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])",
            1 - from
        )
    };
    let genotype = |from| Genotype::parse(&text(from)).unwrap();
    discretize(&first, Some(&genotype(0)), &mut Silent).unwrap();
    train(&first, &mut Silent).unwrap();
    evaluate(&first, &mut Silent).unwrap();
    let there = || ["summary.json", "network/evaluation.json", "network"].map(|name| directory.file(name).exists());
    discretize(&first, Some(&genotype(0)), &mut Silent).unwrap();
    assert_eq!(there(), [true; 3]);
    let weights = ["network/best.safetensors", "network/checkpoint.safetensors"]
        .map(|name| (name, std::fs::read(directory.file(name)).unwrap()));
    // Another genotype removes the files that depend on the old one.
    discretize(&first, Some(&genotype(1)), &mut Silent).unwrap();
    assert_eq!(there(), [false; 3]);
    assert!(matches!(evaluate(&first, &mut Silent), Err(Error::Incomplete { .. })));
    // If they are put back by hand, they are refused.
    for (name, bytes) in weights {
        directory.write(name, &bytes).unwrap();
    }
    assert!(matches!(evaluate(&first, &mut Silent), Err(Error::Mismatch { .. })));
    let resumed = context(&directory, &config, true);
    assert!(matches!(train(&resumed, &mut Silent), Err(Error::Mismatch { .. })));
}

#[test]
fn every_method_runs_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for method in Method::ALL {
        let mut config = tiny();
        config.network.training.epochs = 1;
        config.search.method = method;
        // PC-DARTS sends one in four channels through the candidates.
        config.search.channels = 4;
        let summary = whole(&folder.path().join(method.name()), &config);
        assert_eq!(summary.method.as_deref(), Some(method.name()));
        assert!(
            summary.gap.is_some_and(f64::is_finite) && summary.network_accuracy.is_some(),
            "{}",
            method.name()
        );
    }
}

/// Every combination of method and drive that makes sense; a path ends decided with any method.
#[test]
fn every_method_runs_with_every_drive() {
    let folder = tempfile::tempdir().unwrap();
    for method in Method::ALL {
        for drive in Drive::ALL {
            let mut config = tiny();
            config.search.method = method;
            config.search.drive = Some(drive);
            config.search.channels = 4;
            config.target.edges = EdgeCount::PerNode(vec![1, 2, 1, 3]);
            config.discretize.edge_images = 0;
            let built = config.search.driven();
            if built.method().refuses(drive).is_some() {
                assert!(config.check().unwrap_err().to_string().contains("search.drive"));
                continue;
            }
            let name = format!("{method}-{drive}");
            let directory = RunDirectory::create(&folder.path().join(&name)).unwrap();
            directory.write_config(&config).unwrap();
            let context = context(&directory, &config, false);
            search(&context, &mut Silent).unwrap();
            let discretized = discretize(&context, None, &mut Silent).unwrap();
            assert!(discretized.gap.unwrap().points().is_some(), "{name}");
            let (decision, halves) = (discretized.decision, built.method().halves());
            if drive == Drive::Path {
                assert!(!halves.operations || decision.p_least >= 0.99, "{name}: {decision:?}");
                assert!(!halves.edges || decision.q_least >= 0.99, "{name}: {decision:?}");
            }
        }
    }
}

#[test]
fn every_rule_of_discretization_runs_to_the_end_and_repeats() {
    let folder = tempfile::tempdir().unwrap();
    for rule in Rule::ALL {
        let run = |name: &str| {
            let mut config = tiny();
            config.network.training.epochs = 1;
            config.discretize.rule = rule;
            config.discretize.rule_images = 32;
            whole(&folder.path().join(format!("{}-{name}", rule.name())), &config)
        };
        let (once, again) = (run("once"), run("again"));
        assert!(once.gap.is_some_and(f64::is_finite), "{}", rule.name());
        assert_eq!(genotype_of(&once), genotype_of(&again), "{}", rule.name());
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

#[test]
fn an_imbalanced_target_is_exactly_what_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.search.epochs = 1;
    config.search.warmup_epochs = 0;
    config.network.training.epochs = 1;
    config.target = toml::from_str("edges = [1, 2, 1, 3]\noperations = 2").unwrap();
    let summary = whole(&folder.path().join("run"), &config);
    let genotype = genotype_of(&summary);
    for cell in genotype.cells.values() {
        for (node, count) in (2..6).zip([1, 2, 1, 3]) {
            assert_eq!(cell.edges.iter().filter(|edge| edge.to == node).count(), count);
        }
        assert!(cell.edges.iter().all(|edge| edge.operations.len() == 2));
    }
    assert!(summary.gap.is_some() && summary.network_accuracy.is_some());
}

#[test]
fn a_genotype_can_be_given_and_trained_without_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.network.training.epochs = 1;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, false);
    let text = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], \
        reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
    discretize(&context, Some(&Genotype::parse(text).unwrap()), &mut Silent).unwrap();
    train(&context, &mut Silent).unwrap();
    let summary = evaluate(&context, &mut Silent).unwrap();
    assert_eq!((summary.genotype.as_deref(), summary.gap), (Some(text), None));
    // Continued, the run is finished as before; retrained, its old results belong to a network that
    // no longer exists.
    let again = Context {
        resume: true,
        ..context
    };
    train(&again, &mut Silent).unwrap();
    assert!(directory.file("summary.json").exists());
    train(&Context { resume: false, ..again }, &mut Silent).unwrap();
    assert!(!directory.file("summary.json").exists());
}

#[test]
fn stages_that_miss_their_input_and_damaged_checkpoints_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.search.epochs = 1;
    config.search.warmup_epochs = 0;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, true);
    assert!(matches!(
        discretize(&context, None, &mut Silent),
        Err(Error::Incomplete { .. })
    ));
    assert!(matches!(train(&context, &mut Silent), Err(Error::Incomplete { .. })));
    search(&context, &mut Silent).unwrap();

    let path = directory.file("search/checkpoint.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = discretize(&context, None, &mut Silent).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { .. }) && error.to_string().contains("checksum"),
        "{error}"
    );
    fs::write(&path, &bytes[..middle]).unwrap();
    assert!(matches!(search(&context, &mut Silent), Err(Error::Damaged { .. })));

    // A checkpoint with other sizes belongs to another run.
    let other = RunDirectory::create(&folder.path().join("other")).unwrap();
    let mut larger = config.clone();
    larger.search.channels = 4;
    other.write_config(&larger).unwrap();
    search(
        &Context {
            directory: &other,
            config: &larger,
            resume: false,
            command: String::new(),
            arrays: None,
            group: Group::alone(),
        },
        &mut Silent,
    )
    .unwrap();
    fs::copy(other.file("search/checkpoint.safetensors"), &path).unwrap();
    assert!(matches!(search(&context, &mut Silent), Err(Error::Mismatch { .. })));
}
