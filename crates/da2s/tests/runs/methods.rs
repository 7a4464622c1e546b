//! Every method, drive and rule runs to the end.

use da2s::discretize::Rule;
use da2s::observer::Silent;
use da2s::run::{RunDirectory, discretize, search};
use da2s::search::{Drive, Method};
use da2s::space::EdgeCount;

use crate::{context, genotype_of, tiny, twice, whole};

/// P-DARTS needs two epochs for each of its three stages.
fn epochs_of(method: Method) -> usize {
    if method == Method::PDarts { 6 } else { 2 }
}

#[test]
fn every_method_runs_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for method in Method::ALL {
        let mut config = tiny();
        config.network.training.epochs = 1;
        (config.search.method, config.search.epochs) = (method, epochs_of(method));
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

/// Every combination of method and drive that makes sense; the path decides every choice of any
/// method.
#[test]
fn every_method_runs_with_every_drive() {
    let folder = tempfile::tempdir().unwrap();
    for method in Method::ALL {
        for drive in Drive::ALL {
            let mut config = tiny();
            (config.search.method, config.search.epochs) = (method, epochs_of(method));
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
