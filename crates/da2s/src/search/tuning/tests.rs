//! Tests of tuning: the order of decisions, resuming, and a brute-force check.

use super::*;
use crate::data::{DataOptions, Format, open};
use crate::device::host;
use crate::observer::Silent;
use crate::resumable::Ended;
use crate::search::{Method, SearchSetup, Trains};
use crate::space::{CellKind, Genotype};
use burn::tensor::Device;
use da2s_engine::Engine;

/// A search on 60 images, of cells with one node, two edges and three operations; one edge stays.
fn tiny() -> (Search, SearchState) {
    tiny_by(Method::Da2s, 2)
}

fn tiny_by(method: Method, epochs: usize) -> (Search, SearchState) {
    let options = DataOptions {
        limit: Some(120),
        ..DataOptions::default()
    };
    let dataset = open(Format::Digits, None, &options).unwrap();
    let mut setup = SearchSetup {
        seed: 3,
        target: toml::from_str("edges = 1").unwrap(),
        space: toml::from_str("nodes = 1\noperations = [\"max_pool_3x3\", \"skip_connect\", \"sep_conv_3x3\"]")
            .unwrap(),
        ..SearchSetup::default()
    };
    (setup.search.channels, setup.search.batch_size, setup.search.epochs) = (2, 20, epochs);
    (setup.search.method, setup.search.warmup_epochs) = (method, 1);
    let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
    let mut state = search.start();
    search
        .run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))
        .unwrap();
    (search, state)
}

/// The tuned rule, spelled out: every candidate is left out by hand, the one that costs most is
/// kept, and the weights take their steps in a plain loop.
#[test]
fn a_tuning_is_what_brute_force_decides_and_trains() {
    const EPOCHS: usize = 2;
    let (search, finished) = tiny();
    let tuning = Tuning::new(&search, &finished, EPOCHS);
    let mut state = tuning.start();
    let mut records = Vec::new();
    let mut save = |state: &TuningState, ended: Option<Ended<'_, TuningEpoch>>| {
        assert!(tuning.has(&state.progress), "{:?}", state.progress);
        records.extend(ended.map(|ended| ended.record.clone()));
        Ok(())
    };
    tuning.run::<StageError>(&mut state, &mut Silent, &mut save).unwrap();
    // Two edges of two kinds of cells, then the node of each.
    assert_eq!((records.len(), tuning.epochs()), (6 * EPOCHS, 6 * EPOCHS));

    let mut supernet = tuning.fresh();
    let mut strengths = search.outcome(&finished).strengths;
    let (normal, reduction) = (CellKind::Normal, CellKind::Reduction);
    let decisions = [
        (normal, Some(0)),
        (normal, Some(1)),
        (reduction, Some(0)),
        (reduction, Some(1)),
        (normal, None),
        (reduction, None),
    ];
    let mut kept = Vec::new();
    for (at, (kind, edge)) in decisions.into_iter().enumerate() {
        let row = |strengths: &mut PerKind<KindStrengths>| -> Vec<f32> {
            let strengths = strengths.kind_mut(kind);
            edge.map_or_else(|| strengths.q.clone(), |edge| strengths.p[edge].clone())
        };
        let with = |strengths: &mut PerKind<KindStrengths>, row: Vec<f32>| {
            let strengths = strengths.kind_mut(kind);
            match edge {
                Some(edge) => strengths.p[edge] = row,
                None => strengths.q = row,
            }
        };
        let mut worst = None;
        let own = row(&mut strengths);
        for candidate in 0..own.len() {
            let mut without = own.clone();
            without[candidate] = 0.0;
            let (whole, rest): (f32, f32) = (own.iter().sum(), without.iter().sum());
            without.iter_mut().for_each(|weight| *weight *= whole / rest);
            let mut left = strengths.clone();
            with(&mut left, without);
            let aside = TuningState {
                supernet: supernet.clone(),
                progress: TuningProgress::default(),
            };
            let Quality { accuracy, loss } = tuning.quality(&aside, &left, &|| false).unwrap();
            let is_worse = worst.is_none_or(|(_, before, its_loss): (usize, f64, f64)| {
                accuracy < before || accuracy == before && loss > its_loss
            });
            if is_worse {
                worst = Some((candidate, accuracy, loss));
            }
        }
        let (stays, ..) = worst.unwrap();
        kept.push(vec![stays]);
        let mut one = vec![0.0; own.len()];
        one[stays] = 1.0;
        with(&mut strengths, one);
        for epoch in 0..EPOCHS {
            for step in 0..search.steps() {
                let number = 2 + at * EPOCHS + epoch + 1;
                let batch = search.weight_loader.batch(number as u64, step as u64).unwrap();
                let batch = DeviceBatch::new(batch, &search.device);
                let undecided = search.space.cell(Vec::new());
                let mixtures = strengths.map(|kind, strengths| {
                    let choices = (&search.space, search.target.kind(kind));
                    discrete_mixture(strengths, choices, &undecided, false, false, &search.device).on_graph()
                });
                let (weights, arch) = (supernet.weights.on_graph(true), supernet.arch.untracked());
                let (stepper, moment) = (search.stepper(&supernet), search.moment(&supernet));
                let under = Under {
                    mixtures: &mixtures,
                    shifts: None,
                };
                let draw = Draw::new(3, moment).for_half(Trains::Weights.half());
                let (loss, _) = stepper
                    .loss_under(&mut supernet, &weights, &arch, under, &batch, draw)
                    .unwrap();
                let phase = std::f64::consts::PI * ((at * EPOCHS + epoch) as f64 / 12.0);
                let (first, last) = (0.1 * 0.025, 0.001);
                let rate = last + (first - last) * (1.0 + phase.cos()) / 2.0;
                let SearchState { sgd, weights: own, .. } = &mut supernet;
                sgd.step(rate, own, weights.gradients(loss.backward()), &search.backbone)
                    .unwrap();
            }
        }
    }
    assert_eq!(state.progress.kept, kept);
    assert!(state.supernet.bytes() == supernet.bytes(), "the weights differ");
    assert!(state.supernet.bytes() != finished.bytes());
    let (outcome, accuracy) = tuning.outcome(&state).unwrap();
    let one: Genotype = outcome.genotype;
    assert_eq!(one.cells.normal.edges.len(), 1);
    let names = |record: &TuningEpoch| (record.decision, record.kind.clone(), record.choice.clone());
    assert_eq!(names(&records[0]), (1, "normal".to_owned(), "0→2".to_owned()));
    assert_eq!(names(&records[11]), (6, "reduction".to_owned(), "0→2 1→2".to_owned()));
    assert!((0.0..=100.0).contains(&accuracy));
}

/// P-DARTS drops skip connections for different images in every step, also during a tuning.
#[test]
fn every_step_of_a_tuning_draws_again() {
    let (search, finished) = tiny_by(Method::PDarts, 6);
    let tuning = Tuning::new(&search, &finished, 2);
    let mut state = tuning.start();
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for (epochs_done, steps_done) in [(0, 0), (0, 1), (1, 0)] {
        (state.progress.epochs_done, state.progress.steps_done) = (epochs_done, steps_done);
        let factors = search.stepper(&state.supernet).skip_factors(100, tuning.draw(&state));
        let factors = factors.unwrap();
        seen.push(factors.iter().flatten().flat_map(host).collect());
    }
    assert!(seen[0] != seen[1] && seen[0] != seen[2] && seen[1] != seen[2]);
}

/// With too many skip connections the weakest is excluded, and everything is decided again.
#[test]
fn a_limit_on_skip_connections_is_kept() {
    let (mut search, finished) = tiny();
    search.target.normal.most_skips = Some(0);
    let tuning = Tuning::new(&search, &finished, 1);
    let mut state = tuning.start();
    // As if the rule had kept the skip connections.
    let complete = TuningProgress {
        kept: vec![vec![1], vec![1], vec![1], vec![1], vec![0], vec![0]],
        epochs_done: 5,
        steps_done: search.steps(),
        ..TuningProgress::default()
    };
    state.progress = complete;
    let record = tuning.end_epoch(&mut state).unwrap();
    assert_eq!((&state.progress.excluded[..], state.progress.kept.len()), (&[0][..], 0));
    assert_eq!(
        (record.epoch, record.epochs, &record.excluded[..]),
        (6, 12, &["0→2".to_owned()][..])
    );
    assert!(tuning.is_unfinished(&state) && state.supernet.bytes() == finished.bytes());
    assert!(tuning.has(&state.progress));
    let mut save = |state: &TuningState, ended: Option<Ended<'_, TuningEpoch>>| {
        assert!(tuning.has(&state.progress), "{:?}", state.progress);
        assert!(
            ended
                .as_ref()
                .is_none_or(|ended| ended.record.epoch <= ended.record.epochs),
            "{ended:?}"
        );
        Ok(())
    };
    tuning.run::<StageError>(&mut state, &mut Silent, &mut save).unwrap();
    let (outcome, _) = tuning.outcome(&state).unwrap();
    assert_eq!(outcome.genotype.cells.normal.count(Operation::SkipConnect), 0);
}

#[test]
fn impossible_progress_is_not_continued() {
    let (search, finished) = tiny();
    let tuning = Tuning::new(&search, &finished, 2);
    let possible = TuningProgress {
        kept: vec![vec![1], vec![2]],
        tuned: 1,
        epochs_done: 3,
        steps_done: 1,
        correct: 20,
        ..TuningProgress::default()
    };
    assert!(tuning.has(&possible) && tuning.has(&TuningProgress::default()));
    let damages: [fn(&mut TuningProgress); 11] = [
        |progress| progress.kept[0] = vec![99],
        |progress| progress.kept[0] = vec![],
        |progress| progress.kept[1] = vec![0, 1],
        |progress| progress.kept.push(vec![1]),
        |progress| progress.kept = vec![vec![0]; 1000],
        |progress| progress.kept.clear(),
        |progress| progress.excluded = vec![9999],
        |progress| progress.tuned = 2,
        |progress| progress.epochs_done = usize::MAX,
        |progress| progress.steps_done = 1000,
        |progress| progress.correct = usize::MAX,
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let mut damaged = possible.clone();
        damage(&mut damaged);
        assert!(!tuning.has(&damaged), "{at}");
    }
}
