//! Operations and edges that are removed while the search runs.

use std::fs;
use std::path::Path;

use da2s::config::Config;
use da2s::observer::Silent;
use da2s::records::schema::{ArchCell, ArchEpoch, Gap, SearchEpoch};
use da2s::run::{RunDirectory, discretize, search};
use da2s::search::{Drive, Method};
use da2s::space::EdgeCount;
use serde::de::DeserializeOwned;

use crate::{context, tiny, twice};

fn dropping() -> Config {
    let mut config = tiny();
    config.search.epochs = 5;
    config.search.drive = Some(Drive::Path);
    config.search.drop_below = 0.1;
    config
}

fn lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The weights of a kind of cell. A weight of 0 was removed, or it underflowed.
fn weights(cell: &ArchCell) -> Vec<f64> {
    cell.p.iter().flatten().chain(&cell.q).copied().collect()
}

#[test]
fn a_search_that_removes_what_has_lost_resumes_bit_for_bit_and_reaches_its_target() {
    for edges in [vec![2, 2, 2, 2], vec![1, 2, 1, 3]] {
        let mut config = dropping();
        config.target.edges = EdgeCount::PerNode(edges);
        let summary = twice(&config);
        assert!(summary.decided, "{summary:?}");
        assert!(summary.removed_operations.unwrap() > 20, "{summary:?}");
        assert!(
            summary.removed_edges.unwrap() > 0 && summary.removal_gap.is_some(),
            "{summary:?}"
        );
    }
}

#[test]
fn removals_are_recorded_and_permanent_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = dropping();
    config.search.warmup_epochs = 2;
    let paths = [1, 4].map(|threads| {
        let path = folder.path().join(threads.to_string());
        let directory = RunDirectory::create(&path).unwrap();
        directory.write_config(&config).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let context = context(&directory, &config, false);
        pool.install(|| search(&context, &mut Silent).unwrap());
        discretize(&context, None, &mut Silent).unwrap();
        path
    });
    for file in [
        "search/checkpoint.safetensors",
        "search/metrics.jsonl",
        "search/arch.jsonl",
        "gap.json",
    ] {
        let [one, four] = [0, 1].map(|at: usize| fs::read(paths[at].join(file)).unwrap());
        assert!(one == four, "{file}");
    }
    let epochs: Vec<SearchEpoch> = lines(&paths[0].join("search/metrics.jsonl"));
    let arch: Vec<ArchEpoch> = lines(&paths[0].join("search/arch.jsonl"));
    let gap: Gap = serde_json::from_slice(&fs::read(paths[0].join("gap.json")).unwrap()).unwrap();
    let all = |of: fn(&SearchEpoch) -> Option<usize>| epochs.iter().filter_map(of).sum::<usize>() as u64;
    let removed = gap.removed.unwrap();
    assert_eq!(all(|epoch| epoch.removed_operations), removed.operations);
    assert_eq!(all(|epoch| epoch.removed_edges), removed.edges);
    let points: f64 = epochs.iter().filter_map(|epoch| epoch.removal_gap).sum();
    assert!((points - removed.points.unwrap()).abs() < 1e-9);
    assert!(removed.operations > 20 && removed.edges > 0, "{removed:?}");
    // Nothing is removed before the last epoch of the warm-up, in which α begins to train, or in
    // the last epoch of the search.
    assert!(epochs[0].removed_operations.is_none() && epochs[4].removed_operations.is_none());
    for pair in arch.windows(2) {
        for (kind, cell) in &pair[0].cells {
            let (before, after) = (weights(cell), weights(&pair[1].cells[kind]));
            assert!(
                before
                    .iter()
                    .zip(&after)
                    .all(|(before, after)| *before > 0.0 || *after == 0.0)
            );
        }
    }
    let gone = |cell: &ArchCell| weights(cell).iter().filter(|weight| **weight == 0.0).count() as u64;
    let gone: u64 = arch[5].cells.values().map(gone).sum();
    assert!(gone >= removed.operations + removed.edges, "{gone} of {removed:?}");
}

#[test]
fn every_method_that_can_be_driven_can_remove_what_has_lost() {
    let folder = tempfile::tempdir().unwrap();
    let methods = [
        (Method::Darts, Drive::Regulariser),
        (Method::Da2sEdges, Drive::Path),
        (Method::Entropy, Drive::Path),
        (Method::DartsMinus, Drive::Path),
        (Method::DrNas, Drive::Path),
        (Method::FairDarts, Drive::Path),
        (Method::Gaea, Drive::Path),
        (Method::LambdaDarts, Drive::Path),
        (Method::Oles, Drive::Path),
        (Method::PcDarts, Drive::Path),
        (Method::SdartsRs, Drive::Path),
    ];
    for (method, drive) in methods {
        let mut config = dropping();
        (config.search.method, config.search.drive) = (method, Some(drive));
        config.search.channels = if method == Method::PcDarts { 4 } else { 2 };
        config.search.drop_below = 0.12;
        config.search.hardening.decided_at = 0.6;
        let path = folder.path().join(method.name());
        let directory = RunDirectory::create(&path).unwrap();
        directory.write_config(&config).unwrap();
        let context = context(&directory, &config, false);
        search(&context, &mut Silent).unwrap();
        let found = discretize(&context, None, &mut Silent).unwrap();
        let removed = found.gap.unwrap().removed;
        if drive == Drive::Path {
            let removed = removed.unwrap();
            assert_eq!(
                removed.operations > 0,
                method != Method::Da2sEdges,
                "{method:?}: {removed:?}"
            );
            assert_eq!(removed.edges > 0, method != Method::Entropy, "{method:?}: {removed:?}");
            let (p, q) = (found.decision.p_least, found.decision.q_least);
            assert!(p > 0.99 || method == Method::Da2sEdges, "{method:?}: {p}");
            assert!(q > 0.99 || method == Method::Entropy, "{method:?}: {q}");
        }
    }
}
