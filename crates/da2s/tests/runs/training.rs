//! Training of the final network with the additional parts of the training recipe: mixup, a weight
//! average and others.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::config::Config;
use da2s::data::RandomErasing;
use da2s::network::DropPathRamp;
use da2s::observer::Silent;
use da2s::records::{Named, WeightsFile};
use da2s::resumable::StageError;
use da2s::run::{RunDirectory, discretize, evaluate, train};
use da2s::space::Genotype;

use crate::{StopAfter, context};

/// The settings on the guide's page *The training recipe*.
fn config() -> Config {
    let mut config = Config::default();
    (config.data.limit, config.data.test_limit) = (Some(160), Some(40));
    (config.network.shape.channels, config.network.shape.cells) = (4, 3);
    let training = &mut config.network.training;
    (training.epochs, training.warmup_epochs, training.batch_size) = (3, 1, 40);
    training.label_smoothing = 0.1;
    training.weight_average = 0.9;
    training.decay_norms = false;
    training.drop_path = 0.2;
    training.drop_path_ramp = DropPathRamp::Depth;
    training.mixing.mixup = 0.2;
    training.mixing.cutmix = 1.0;
    training.augmentation.trivial_augment = true;
    training.augmentation.random_erasing = Some(RandomErasing::default());
    config
}

/// A training of a given genotype and its evaluation, stopped after every third step if `stopped`.
fn trained(path: &Path, stopped: bool) {
    let config = config();
    let directory = RunDirectory::create(path).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, stopped);
    let text = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], \
        reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
    discretize(&context, Some(&Genotype::parse(text).unwrap()), &mut Silent).unwrap();
    let mut stops = 0;
    let observer = || StopAfter {
        steps: Cell::new(if stopped { 3 } else { usize::MAX }),
    };
    while let Err(error) = train(&context, &mut observer()) {
        assert!(matches!(error, Error::Stage(StageError::Stopped { .. })), "{error}");
        stops += 1;
    }
    assert_eq!(stops > 0, stopped);
    evaluate(&context, &mut Silent).unwrap();
}

#[test]
fn a_resumed_training_ends_with_the_same_bytes_and_keeps_the_average() {
    let folder = tempfile::tempdir().unwrap();
    let (once, resumed) = (folder.path().join("a"), folder.path().join("b"));
    trained(&once, false);
    trained(&resumed, true);
    let read = |path: &Path, name: &str| fs::read(path.join("network").join(name)).unwrap();
    for name in [
        "metrics.jsonl",
        "checkpoint.safetensors",
        "best.safetensors",
        "evaluation.json",
    ] {
        assert!(read(&once, name) == read(&resumed, name), "{name} differs");
    }
    let tensors = |name| WeightsFile::from_own_bytes(&read(&once, name)).unwrap().tensors;
    let sorted = |mut tensors: Vec<Named>| {
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    };
    let checkpoint = tensors("checkpoint.safetensors");
    let best = sorted(tensors("best.safetensors"));
    assert_eq!(best, sorted(Named::below(&checkpoint, "average.")));
    // Every tensor of the average differs from the last weights and statistics.
    let last = |name: &str| checkpoint.iter().find(|tensor| tensor.name == name).unwrap();
    assert!(best.iter().all(|tensor| last(&tensor.name).data != tensor.data));
}
