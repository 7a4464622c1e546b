//! Groups of processes, simulated by threads of one process that exchange the messages of MPI: the
//! same loops, without MPI.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use burn::tensor::{Device, Tensor, TensorData};
use da2s::backbone::{NetworkSize, Stem};
use da2s::config::Config;
use da2s::data::{Augmentation, DataOptions, Dataset, Format, Loader, Shard, Stream, TrainingOrder, open};
use da2s::device::host;
use da2s::evaluate::DeviceBatch;
use da2s::network::network;
use da2s::observer::{Event, Observer, Silent};
use da2s::parallel::{Apart, Group, Transport};
use da2s::probe::Probe;
use da2s::resumable::{Resumable, StageError};
use da2s::retrain::{MixedBatch, Mixing, Retraining, TrainSettings};
use da2s::search::{ArchOptimizerName, Bilevel, Draw, Method, Moment, Rates, Search, SearchState, Trains};
use da2s::space::{CellKind, ChainShape, Genotype, Reductions};
use da2s_engine::Engine;
use proptest::prelude::*;

/// Shared by the threads of a group: one slot per thread, and a barrier before and after each
/// exchange.
#[derive(Debug)]
struct Table {
    places: Mutex<Vec<Vec<u64>>>,
    barrier: Barrier,
}

/// One thread of a group.
#[derive(Debug)]
struct Member {
    rank: usize,
    size: usize,
    table: Arc<Table>,
}

impl Member {
    /// The values of every thread.
    fn exchange(&self, own: Vec<u64>) -> Vec<Vec<u64>> {
        self.table.places.lock().unwrap()[self.rank] = own;
        self.table.barrier.wait();
        let all = self.table.places.lock().unwrap().clone();
        self.table.barrier.wait();
        all
    }

    fn exchange_numbers(&self, own: &[f32]) -> Vec<Vec<f32>> {
        let all = self.exchange(own.iter().map(|value| u64::from(value.to_bits())).collect());
        let back = |words: Vec<u64>| words.into_iter().map(|word| f32::from_bits(word as u32)).collect();
        all.into_iter().map(back).collect()
    }
}

impl Transport for Member {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, own: &[f32]) -> Vec<f32> {
        self.exchange_numbers(own).concat()
    }

    fn all_gather_words(&self, own: &[u64]) -> Vec<u64> {
        self.exchange(own.to_vec()).concat()
    }

    fn all_to_all(&self, own: &[f32]) -> Vec<f32> {
        let piece = own.len() / self.size;
        let mine = |all: Vec<f32>| all[self.rank * piece..(self.rank + 1) * piece].to_vec();
        self.exchange_numbers(own).into_iter().flat_map(mine).collect()
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        let all = self.exchange(own.into_iter().map(u64::from).collect());
        all[0].iter().map(|&word| word as u8).collect()
    }

    fn abort(&self, code: i32) -> ! {
        panic!("ended with {code}")
    }
}

/// The results of `work` in each of `size` threads that form a group.
fn together<T: Send>(size: usize, work: impl Fn(Group) -> T + Sync) -> Vec<T> {
    let table = Arc::new(Table {
        places: Mutex::new(vec![Vec::new(); size]),
        barrier: Barrier::new(size),
    });
    thread::scope(|scope| {
        let start = |rank| {
            let table = Arc::clone(&table);
            let work = &work;
            scope.spawn(move || work(Group::over(Arc::new(Member { rank, size, table }))))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn digits() -> Dataset {
    open(Format::Digits, None, &DataOptions::default()).unwrap()
}

/// A small search without state that one step passes to the next, so that a step depends on the
/// gradient only.
fn plain_steps() -> Config {
    let mut config = Config::default();
    let search = &mut config.search;
    (search.channels, search.cells, search.batch_size) = (4, 3, 16);
    (search.epochs, search.warmup_epochs) = (2, 1);
    search.arch_optimizer = ArchOptimizerName::Sgd;
    (search.arch_momentum, search.arch_weight_decay) = (0.0, 0.0);
    (search.momentum, search.weight_decay, search.gradient_clip) = (0.0, 0.0, 1e9);
    config
}

/// Weights, α and β.
fn values(state: &SearchState) -> Vec<f32> {
    let mut all: Vec<f32> = state.weights.parts().iter().flat_map(host).collect();
    for kind in state.arch.kinds().values() {
        all.extend(host(&kind.alpha));
        all.extend(host(&kind.beta));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The mean is as defined, with the same bits in every process, for all lengths.
    #[test]
    fn a_mean_is_a_mean(size in 2usize..5, lengths in prop::collection::vec(0usize..7, 1..4), seed in 0u32..1000) {
        let value = |rank: usize, at: usize| ((rank as u32 * 7919 + at as u32 * 104_729 + seed * 31) % 1000) as f32 / 7.0 - 60.0;
        let all = together(size, |group| {
            let tensors = lengths.iter().enumerate().map(|(index, &length)| {
                let own: Vec<f32> = (0..length).map(|at| value(group.rank(), 100 * index + at)).collect();
                Some(Tensor::from_data(TensorData::new(own, [length]), &Device::flex()))
            });
            let averaged = group.average(tensors.chain([None]).collect());
            assert!(averaged.last().unwrap().is_none());
            averaged.iter().flatten().map(host).collect::<Vec<_>>()
        });
        for (index, &length) in lengths.iter().enumerate() {
            let expected: Vec<f32> = (0..length)
                .map(|at| ((0..size).map(|rank| f64::from(value(rank, 100 * index + at))).sum::<f64>() / size as f64) as f32)
                .collect();
            for process in &all {
                prop_assert_eq!(&process[index], &expected);
            }
        }
    }
}

#[test]
fn sums_requests_and_values_of_the_leader_are_the_same_in_all_processes() {
    let seen = together(3, |group| {
        let rank = group.rank();
        let sums = group.sum([rank as f64, 0.1]);
        let wishes = group.any([rank == 2, false]);
        let led = group.from_leader(|| Ok::<_, StageError>(b"genotype".to_vec())).unwrap();
        let apart = group.check_alike("images", || vec![u8::from(rank == 1)]);
        let alike = group.check_alike("images", || vec![7]);
        assert!(alike.is_ok() && matches!(apart, Err(Apart { what: "images" })));
        (sums, wishes, led, group.leads())
    });
    let expected = ([3.0, 0.1 + 0.1 + 0.1], [true, false], b"genotype".to_vec());
    for (rank, (sums, wishes, led, leads)) in seen.into_iter().enumerate() {
        assert_eq!((sums, wishes, led), expected);
        assert_eq!(leads, rank == 0);
    }
}

/// Put together, the batches of n processes equal one batch n times as large, including
/// augmentation.
#[test]
fn shards_side_by_side_are_the_batch_of_one_process() {
    let dataset = digits();
    let loader = |batch_size| {
        let order = TrainingOrder {
            seed: 5,
            stream: Stream::Weights,
            augmentation: Augmentation {
                crop_padding: 1,
                ..Augmentation::default()
            },
        };
        Loader::training(&dataset, (0..100).collect(), batch_size, order).unwrap()
    };
    let whole = loader(12);
    for size in [2, 3] {
        let shards: Vec<Loader> = (0..size)
            .map(|rank| loader(12 / size).sharded(Shard { rank, size }).unwrap())
            .collect();
        for step in [0, 3, whole.steps_per_epoch() + 1] {
            let one = whole.batch(2, step).unwrap();
            let parts: Vec<_> = shards.iter().map(|loader| loader.batch(2, step).unwrap()).collect();
            assert_eq!(
                parts.iter().flat_map(|part| part.indices.clone()).collect::<Vec<_>>(),
                one.indices
            );
            assert!(parts.iter().flat_map(|part| part.images.clone()).eq(one.images));
        }
    }
    let refused = loader(60).sharded(Shard { rank: 0, size: 2 }).unwrap_err().to_string();
    assert!(
        refused.contains("at most 50: 2 processes share 100 images"),
        "{refused}"
    );
}

#[test]
fn evaluation_takes_every_nth_batch_and_none_twice() {
    let dataset = digits();
    let loader = || Loader::evaluation(&dataset, da2s::data::Part::Test, (0..50).collect(), 8).unwrap();
    let mut seen = Vec::new();
    for rank in 0..3 {
        let part = loader().sharded(Shard { rank, size: 3 }).unwrap();
        for step in 0..part.steps_per_epoch() {
            seen.extend(part.batch(0, step).unwrap().indices);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

/// The statement of the book (*Several processes*): a step of two processes is the mean of the
/// steps of one process on each half of the batch, each half normalised with its own statistics;
/// the regulariser counts once.
#[test]
fn a_step_of_two_is_the_mean_of_the_steps_on_each_half() {
    let (config, dataset, device) = (plain_steps(), digits(), Device::flex());
    let draw = Draw::new(1, Moment::of_epoch(2, 2, 0));
    let rates = Rates {
        weights: 0.1,
        alpha: 1.0,
        beta: 1.0,
    };
    let part = |rank| {
        let order = TrainingOrder {
            seed: 1,
            stream: Stream::Weights,
            augmentation: config.search.augmentation.clone(),
        };
        let loader = Loader::training(&dataset, (0..200).collect(), 16, order).unwrap();
        let loader = loader.sharded(Shard { rank, size: 2 }).unwrap();
        DeviceBatch::new(loader.batch(1, 0).unwrap(), &device)
    };
    let search = Search::new(&config.search_setup().unwrap(), &dataset, &device, &Engine::fused()).unwrap();
    let method = config.search.driven();
    let moved = |rank: usize, group: Group| {
        let stepper = Bilevel::new(
            &search.backbone,
            &search.space,
            &search.target,
            &method,
            &config.search,
            &device,
        )
        .in_group(group);
        // Architecture and weights each from the start, so that they are tested independently.
        let (mut arch, mut weights, mut second) = (search.start(), search.start(), search.start());
        let half =
            |state: &mut SearchState, trains| stepper.half_step(state, trains, &part(rank), draw, rates).unwrap();
        let readings = [half(&mut arch, Trains::Arch), half(&mut weights, Trains::Weights)];
        half(&mut second, Trains::Both);
        let losses = readings.map(|reading| reading.loss);
        let statistics: Vec<f32> = weights.statistics.tensors().flat_map(host).collect();
        (
            [values(&arch), values(&weights), values(&second), statistics],
            losses,
            readings[1].correct,
        )
    };
    let group = together(2, |group| moved(group.rank(), group));
    let halves = [0, 1].map(|rank| moved(rank, Group::alone()));

    assert_eq!(group[0], group[1], "both processes have the same values");
    assert_eq!(group[0].2, halves[0].2 + halves[1].2);
    for (kind, ours) in group[0].0.iter().enumerate() {
        let start = values(&search.start());
        for (at, &value) in ours.iter().enumerate() {
            let mean = (halves[0].0[kind][at] + halves[1].0[kind][at]) / 2.0;
            assert!(
                (value - mean).abs() <= 1e-5 * (1.0 + mean.abs()),
                "{kind}, {at}: {value} for {mean}"
            );
        }
        assert!(kind == 3 || ours != &start, "something moved");
        assert_ne!(halves[0].0[kind], halves[1].0[kind], "the halves differ");
    }
    for (which, loss) in group[0].1.iter().enumerate() {
        assert!((loss - (halves[0].1[which] + halves[1].1[which]) / 2.0).abs() < 1e-9);
    }
}

#[test]
fn every_process_has_all_images_on_which_the_gap_is_measured() {
    let (config, dataset, device) = (plain_steps(), digits(), Device::flex());
    let taken = |group| {
        let search = Search::in_group(
            &config.search_setup().unwrap(),
            &dataset,
            &device,
            &Engine::fused(),
            group,
        )
        .unwrap();
        let loaders: [&Loader; 2] = search.gap_loaders().into();
        loaders.map(|loader| {
            let batch = loader.batch(0, 1).unwrap();
            (loader.steps_per_epoch(), batch.labels, batch.images)
        })
    };
    let alone = taken(Group::alone());
    for one in together(2, taken) {
        assert!(one == alone, "a process of two has other batches than one alone");
    }
}

/// Requests a stop after a step, in one process only.
struct StopsAt {
    step: Option<usize>,
    steps: usize,
}

impl Observer for StopsAt {
    fn on(&mut self, event: Event<'_>) {
        self.steps += usize::from(matches!(event, Event::Step { .. }));
    }

    fn stop(&self) -> bool {
        self.step.is_some_and(|step| self.steps >= step)
    }
}

#[test]
fn a_search_of_two_is_equal_in_both_and_stops_if_one_requests_it() {
    let (config, dataset, device) = (plain_steps(), digits(), Device::flex());
    let search = |group| {
        Search::in_group(
            &config.search_setup().unwrap(),
            &dataset,
            &device,
            &Engine::fused(),
            group,
        )
        .unwrap()
    };
    let whole = together(2, |group| {
        let search = search(group);
        let (mut state, mut accuracies) = (search.start(), Vec::new());
        search
            .run::<StageError>(&mut state, &mut Silent, &mut |_, ended| {
                let metrics = ended.map(|ended| &ended.record.metrics);
                accuracies.extend(metrics.and_then(|of| of.supernet_accuracy.zip(of.train_accuracy)));
                Ok(())
            })
            .unwrap();
        (state.bytes(), accuracies)
    });
    assert_eq!(whole[0], whole[1]);
    assert_eq!(whole[0].1.len(), 2);
    assert!(
        whole[0]
            .1
            .iter()
            .all(|&(supernet, train)| supernet > 5.0 && (10.0..=100.0).contains(&train)),
        "{:?}",
        whole[0].1
    );

    let stopped = together(2, |group| {
        let mut observer = StopsAt {
            step: (group.rank() == 1).then_some(5),
            steps: 0,
        };
        let search = search(group.clone());
        let (mut state, mut saved) = (search.start(), 0);
        let ended = search.run::<StageError>(&mut state, &mut observer, &mut |_, _| {
            saved += 1;
            Ok(())
        });
        assert!(matches!(ended, Err(StageError::Stopped { epoch: 1 })), "{ended:?}");
        assert_eq!((observer.steps, saved), (5, 1));
        // Both processes resume from the file of the leading process, and end with the bits of a
        // search that was never stopped.
        search
            .run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))
            .unwrap();
        state.bytes()
    });
    assert_eq!([&stopped[0], &stopped[1]], [&whole[0].0, &whole[1].0]);
}

/// Both processes have the same super-network in every stage, and drop the same skip connections.
#[test]
fn a_search_in_stages_is_equal_in_two_processes() {
    let (mut config, dataset, device) = (plain_steps(), digits(), Device::flex());
    (config.search.method, config.search.epochs) = (Method::PDarts, 6);
    config.search.channels = 2;
    config.search.stages.skip_dropout = Some(vec![0.5; 3]);
    let ended = together(2, |group| {
        let setup = config.search_setup().unwrap();
        let search = Search::in_group(&setup, &dataset, &device, &Engine::fused(), group).unwrap();
        let (mut state, mut removed) = (search.start(), 0);
        search
            .run::<StageError>(&mut state, &mut Silent, &mut |_, ended| {
                removed += ended
                    .and_then(|ended| ended.record.metrics.removed_operations)
                    .unwrap_or(0);
                Ok(())
            })
            .unwrap();
        (state.bytes(), removed)
    });
    assert_eq!(ended[0].1, 4 * 28);
    assert!(ended[0] == ended[1]);
}

#[test]
fn a_training_of_two_mixes_by_the_same_share_and_has_the_same_average() {
    let (dataset, device) = (digits(), Device::flex());
    let text = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], \
        reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: 4,
        cells: 3,
        reductions: Reductions::THIRDS,
        image_channels: 1,
        image_size: 8,
        classes: 10,
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let network = network(&Genotype::parse(text).unwrap(), size, &Engine::fused()).unwrap();
    let mixing = Mixing {
        mixup: 0.5,
        ..Mixing::default()
    };
    let settings = TrainSettings {
        epochs: 1,
        batch_size: 20,
        weight_average: 0.9,
        decay_norms: false,
        mixing,
        ..TrainSettings::default()
    };
    let [first, second] = together(2, |group| {
        let order = TrainingOrder {
            seed: 1,
            stream: Stream::Network,
            augmentation: Augmentation::default(),
        };
        let loader = Loader::training(&dataset, (0..400).collect(), settings.batch_size, order).unwrap();
        let training = Retraining {
            network: &network,
            settings: &settings,
            class_weights: Some((1..=10).map(|weight| weight as f32).collect()),
            seed: 1,
            initial: None,
            loader: loader.sharded(group.shard()).unwrap(),
            group,
            validation: None,
            device: &device,
            probe: Probe::default(),
        };
        let mut state = training.start();
        let mixed = training.images(&state, &|| false).unwrap();
        training
            .run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))
            .unwrap();
        let (weights, _) = state.evaluated();
        let averages: Vec<f32> = weights.parts().iter().flat_map(host).collect();
        (mixed, averages, training.bytes(&state))
    })
    .try_into()
    .unwrap();
    assert_eq!((&first.1, &first.2), (&second.1, &second.2));
    let share = |mixed: &MixedBatch| mixed.other.as_ref().unwrap().own_share;
    assert_eq!(share(&first.0), share(&second.0));
    assert_ne!(first.0.batch.images, second.0.batch.images);
}

/// α of one process differs from that of the other: the epoch ends with an error in both.
#[test]
fn processes_that_drift_apart_end_with_an_error() {
    let (config, dataset, device) = (plain_steps(), digits(), Device::flex());
    let ended = together(2, |group| {
        let search = Search::in_group(
            &config.search_setup().unwrap(),
            &dataset,
            &device,
            &Engine::fused(),
            group.clone(),
        )
        .unwrap();
        let mut state = search.start();
        if !group.leads() {
            let arch = state.arch.kind_mut(CellKind::Normal);
            arch.alpha = arch.alpha.clone() + 1e-6;
        }
        search.run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))
    });
    assert!(
        ended
            .iter()
            .all(|end| matches!(end, Err(StageError::Apart(Apart { what: "weights" })))),
        "{ended:?}"
    );
}
