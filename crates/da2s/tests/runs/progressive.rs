//! Searches in stages whose super-network changes.

use std::fs;
use std::path::Path;

use da2s::config::Config;
use da2s::observer::Silent;
use da2s::records::WeightsFile;
use da2s::records::schema::{ArchCell, ArchEpoch, SearchEpoch};
use da2s::run::{RunDirectory, discretize, search};
use da2s::search::{Drive, Method};
use da2s::space::Operation;
use serde::de::DeserializeOwned;

use crate::{context, genotype_of, tiny, twice};

fn p_darts(drive: Drive) -> Config {
    let mut config = tiny();
    config.search.method = Method::PDarts;
    config.search.drive = Some(drive);
    config.search.epochs = 7;
    config.network.training.epochs = 1;
    config
}

fn lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_progressive_search_resumes_to_the_bit_and_keeps_its_limit_on_skip_connections() {
    for drive in [Drive::None, Drive::Path] {
        let mut config = p_darts(drive);
        config.target.most_skips = Some(0);
        let summary = twice(&config);
        assert!(drive == Drive::None || summary.decided, "{summary:?}");
        // 7 candidates, then 5, then 3, on 14 edges of two kinds of cells.
        assert_eq!(summary.removed_operations, Some(4 * 28), "{summary:?}");
        assert!(summary.removal_gap.is_some_and(f64::is_finite) && summary.gap.is_some());
        let genotype = genotype_of(&summary);
        assert_eq!(genotype.cells.normal.count(Operation::SkipConnect), 0);
    }
}

#[test]
fn drnas_sends_more_channels_through_fewer_candidates_and_keeps_its_concentrations() {
    let folder = tempfile::tempdir().unwrap();
    for drive in [Drive::None, Drive::Path] {
        let mut config = tiny();
        config.search.method = Method::DrNas;
        config.search.drive = Some(drive);
        (
            config.search.epochs,
            config.search.warmup_epochs,
            config.search.channels,
        ) = (6, 2, 4);
        config.search.stages.partial_channels = Some(vec![4, 2]);
        config.network.training.epochs = 1;
        let summary = twice(&config);
        // 7 candidates, then 4.
        assert_eq!(summary.removed_operations, Some(3 * 28), "{summary:?}");
        assert!(drive == Drive::None || summary.decided, "{summary:?}");
        let arch = searched(&folder.path().join(drive.name()), &config);
        let [first, ended, begun] = [0, 3, 4].map(|epoch| remaining(&arch[epoch], &arch[4]));
        // α does not change in the first epoch of a stage.
        assert!(ended == begun && first != ended);
    }
}

#[test]
fn p_darts_starts_its_architecture_again_in_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = p_darts(Drive::None);
    (config.search.epochs, config.search.warmup_epochs) = (9, 2);
    let arch = searched(&folder.path().join("run"), &config);
    let [first, ended, begun] = [0, 3, 4].map(|epoch| remaining(&arch[epoch], &arch[4]));
    assert!(first == begun && first != ended);
}

fn searched(path: &Path, config: &Config) -> Vec<ArchEpoch> {
    let directory = RunDirectory::create(path).unwrap();
    directory.write_config(config).unwrap();
    search(&context(&directory, config, false), &mut Silent).unwrap();
    lines(&directory.file("search/arch.jsonl"))
}

/// α of `epoch`, of the candidates that remain in `later`.
fn remaining(epoch: &ArchEpoch, later: &ArchEpoch) -> Vec<Option<f64>> {
    let of_kind = |(kind, cell): (&String, &ArchCell)| {
        let rows = cell.alpha.iter().zip(&later.cells[kind].p);
        let all = rows.flat_map(|(alpha, p)| alpha.iter().zip(p));
        let left = all.filter(|(_, p)| **p > 0.0).map(|(alpha, _)| *alpha);
        left.collect::<Vec<_>>()
    };
    epoch.cells.iter().flat_map(of_kind).collect()
}

#[test]
fn each_stage_has_more_cells_and_fewer_candidates_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = p_darts(Drive::None);
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, false);
    search(&context, &mut Silent).unwrap();
    let epochs: Vec<SearchEpoch> = lines(&directory.file("search/metrics.jsonl"));
    let numbers: Vec<usize> = epochs.iter().map(|epoch| epoch.epoch).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    let removed: Vec<Option<usize>> = epochs.iter().map(|epoch| epoch.removed_operations).collect();
    let of_stage = Some(2 * 28);
    assert_eq!(removed, [None, of_stage, None, of_stage, None, None, None]);
    // The cosine starts again with each stage.
    let rates: Vec<f64> = epochs.iter().map(|epoch| epoch.learning_rate.unwrap()).collect();
    assert_eq!([rates[0], rates[2], rates[4]], [config.search.learning_rate; 3]);
    assert!(rates[1] < rates[0] && rates[6] < rates[5]);
    let arch: Vec<ArchEpoch> = lines(&directory.file("search/arch.jsonl"));
    let left: Vec<usize> = arch
        .iter()
        .map(|epoch| {
            let counts = epoch.cells.values().flat_map(|cell| &cell.p);
            let counts = counts.map(|row| row.iter().filter(|p| **p > 0.0).count());
            let counts: Vec<usize> = counts.collect();
            assert!(counts.iter().all(|count| *count == counts[0]));
            counts[0]
        })
        .collect();
    assert_eq!(left, [7, 7, 5, 5, 3, 3, 3, 3]);
    // 3, 6 and 9 cells; the checkpoint is that of the last stage.
    let bytes = fs::read(directory.file("search/checkpoint.safetensors")).unwrap();
    let tensors = WeightsFile::from_own_bytes(&bytes).unwrap().tensors;
    assert!(tensors.iter().any(|tensor| tensor.name.starts_with("cells.8.")));
    assert!(!tensors.iter().any(|tensor| tensor.name.starts_with("cells.9.")));
    let found = discretize(&context, None, &mut Silent).unwrap();
    assert_eq!(found.gap.unwrap().removed.unwrap().operations, 4 * 28);
}
