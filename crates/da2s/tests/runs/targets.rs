//! The result fits the target and its limits.

use std::fs;

use da2s::Error;
use da2s::config::{Config, Request};
use da2s::observer::Silent;
use da2s::run::{Job, RunDirectory, discretize, search};
use da2s::search::{Drive, Method, Rate, ScheduleName, SearchError};
use da2s::space::{EdgeCount, Genotype, Operation};

use crate::{context, genotype_of, tiny, twice, whole};

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
fn skip_connections_are_limited_by_every_drive_and_the_path_decides_within_the_limit() {
    let mut config = tiny();
    config.search.epochs = 3;
    config.space.operations = Some(vec![
        Operation::SkipConnect,
        Operation::MaxPool3x3,
        Operation::AvgPool3x3,
    ]);
    config.target.most_skips = Some(0);
    config.search.method = Method::Darts;
    for drive in [Drive::None, Drive::Path] {
        config.search.drive = Some(drive);
        let summary = twice(&config);
        let normal = genotype_of(&summary).cells.normal;
        assert_eq!(normal.count(Operation::SkipConnect), 0, "{summary:?}");
        assert_eq!(normal.edges.len(), 8);
        assert_eq!(summary.decided, drive == Drive::Path, "{summary:?}");
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
    // Without a penalty for exceeding the limit, a search of two epochs does not prefer the
    // smallest network. But in the end its operations give way to cheaper ones, until only the
    // smallest network is left.
    let least = least as u64;
    config.target.max_parameters = Some(least);
    config.search.limit_weight = 0.0;
    assert_eq!(run("smallest", &config).unwrap(), least);
    // The tensors that are in memory whatever is chosen already exceed this limit. So cheaper
    // choices would not help, and none is replaced.
    config.target = toml::from_str("max_ram_bytes = 4000").unwrap();
    let above = run("b", &config).unwrap_err().to_string();
    assert!(
        above.contains("more than the 4000 bytes of target.max_ram_bytes"),
        "{above}"
    );
    // The result can be inspected, but it is refused every time. Its gap is not written: a run with
    // a gap would count as accepted.
    let refused = folder.path().join("b");
    assert!(refused.join("genotype.json").is_file() && refused.join("cost.json").is_file());
    let mut job = Job::open(&refused, &Request::default(), false, "da2s train".to_owned()).unwrap();
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
    config.target = toml::from_str("max_parameters = 10_000_000").unwrap();
    assert!(run("c", &config).unwrap() > least);
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
