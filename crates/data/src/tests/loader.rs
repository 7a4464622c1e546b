//! The loader's contract: batches depend only on (seed, epoch, step), and cover the images.

use super::*;
use crate::dataset::Normalisation;
use crate::{Arrays, DataOptions, Format, LabelledImages, SearchSplit, open};
use proptest::prelude::*;

fn digits() -> Dataset {
    let options = DataOptions {
        limit: Some(50),
        test_limit: Some(20),
        ..DataOptions::default()
    };
    open(Format::Digits, None, &options).unwrap()
}

fn order(seed: u64, stream: Stream) -> TrainingOrder {
    let augmentation = Augmentation {
        crop_padding: 1,
        cutout: 2,
        ..Augmentation::default()
    };
    TrainingOrder {
        seed,
        stream,
        augmentation,
    }
}

fn training(seed: u64, stream: Stream, batch_size: usize) -> Loader {
    Loader::training(&digits(), (0..50).collect(), batch_size, order(seed, stream)).unwrap()
}

#[test]
fn an_epoch_uses_each_image_once_and_drops_an_incomplete_batch() {
    let loader = training(1, Stream::Weights, 16);
    assert_eq!(loader.steps_per_epoch(), 3);
    let mut seen: Vec<usize> = (0..3).flat_map(|step| loader.batch(0, step).unwrap().indices).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 48);
}

#[test]
fn batches_that_are_prepared_ahead_are_those_of_their_steps() {
    let alone = |epoch, step| training(1, Stream::Weights, 8).batch(epoch, step).unwrap();
    for stride in [1, 2] {
        let loader = training(1, Stream::Weights, 8).every(stride);
        // Two passes of each epoch.
        for (epoch, step) in [1, 2]
            .into_iter()
            .flat_map(|epoch| (0..12).map(move |step| (epoch, step)))
        {
            if step % stride as u64 == 0 {
                assert_eq!(loader.batch(epoch, step).unwrap(), alone(epoch, step), "{epoch} {step}");
            }
        }
    }
}

#[test]
fn passes_epochs_seeds_and_streams_differ() {
    let loader = training(1, Stream::Weights, 50);
    let first = loader.batch(0, 0).unwrap();
    for other in [
        loader.batch(0, 1).unwrap(),
        loader.batch(1, 0).unwrap(),
        training(2, Stream::Weights, 50).batch(0, 0).unwrap(),
        training(1, Stream::ArchParams, 50).batch(0, 0).unwrap(),
    ] {
        assert_ne!(first.indices, other.indices);
        let image_0 = |batch: &Batch| {
            let at = batch.indices.iter().position(|&index| index == 0).unwrap();
            batch.images[at * 64..][..64].to_vec()
        };
        assert_ne!(image_0(&first), image_0(&other), "augmented alike");
    }
}

#[test]
fn the_order_is_pinned() {
    let batch = training(7, Stream::Weights, 8).batch(3, 2).unwrap();
    assert_eq!(batch.indices, [13, 29, 15, 42, 21, 8, 0, 30]);
    assert_eq!(batch.shape, [8, 1, 8, 8]);
}

#[test]
fn evaluation_is_sequential_complete_and_plain() {
    let digits = digits();
    let loader = Loader::evaluation(&digits, Part::Test, (0..20).collect(), 8).unwrap();
    assert_eq!(loader.steps_per_epoch(), 3);
    let batches: Vec<Batch> = (0..3).map(|step| loader.batch(0, step).unwrap()).collect();
    assert_eq!(batches[2].shape, [4, 1, 8, 8]);
    let labels: Vec<u32> = batches.iter().flat_map(|batch| batch.labels.clone()).collect();
    assert_eq!(labels, digits.test.labels());
    let byte = digits.test.image(9).unwrap().pixels()[20];
    let expected = (f32::from(byte) / 255.0 - digits.normalisation.mean[0]) / digits.normalisation.std[0];
    assert_eq!(batches[1].images[64 + 20], expected);
    assert_eq!(loader.batch(5, 1).unwrap(), batches[1]);
}

#[test]
fn the_channels_of_a_pixel_are_adjacent() {
    let shape = ImageShape {
        channels: 3,
        height: 4,
        width: 4,
    };
    let images = LabelledImages {
        shape,
        pixels: (0..6 * 48).map(|at| (at * 37 % 251) as u8).collect(),
        labels: vec![0, 1, 0, 1, 0, 1],
    };
    let names = ["a", "b"].map(str::to_owned).to_vec();
    let arrays = Arrays::new(names, images.clone(), Some(images)).unwrap();
    let colours = arrays.open(&DataOptions::default()).unwrap();
    let batch = Loader::evaluation(&colours, Part::Test, vec![4, 1], 2)
        .unwrap()
        .batch(0, 0)
        .unwrap();
    assert_eq!(batch.shape, [2, 3, 4, 4]);
    let planar: Vec<Vec<f32>> = batch.planar().collect();
    for (place, index) in [4, 1].into_iter().enumerate() {
        let image = colours.test.image(index).unwrap();
        for (at, &byte) in image.pixels().iter().enumerate() {
            let (channel, pixel) = (at / 16, at % 16);
            let Normalisation { mean, std } = &colours.normalisation;
            let expected = (f32::from(byte) / 255.0 - mean[channel]) / std[channel];
            assert_eq!(batch.images[place * 48 + pixel * 3 + channel], expected);
            assert_eq!(planar[place][at], expected);
        }
    }
}

#[test]
fn sizes_that_give_no_batch_are_refused() {
    let digits = digits();
    for (indices, batch_size) in [(50, 51), (50, 0), (0, 1)] {
        let loader = Loader::training(&digits, (0..indices).collect(), batch_size, order(0, Stream::Network));
        assert!(loader.is_err());
    }
    let error = Loader::evaluation(&digits, Part::Train, vec![0], 0).unwrap_err();
    assert_eq!(error.to_string(), "batch_size = 0: expected at least 1");
    let none = Loader::evaluation(&digits, Part::Train, vec![], 4).unwrap();
    assert_eq!(none.steps_per_epoch(), 0);
}

#[test]
fn the_halves_of_a_search_never_share_an_image() {
    let digits = digits();
    let split = SearchSplit::new(digits.train.labels(), 0.5, 0.0, 3).unwrap();
    let load = |indices: &[usize], stream| {
        let loader = Loader::training(&digits, indices.to_vec(), 5, order(3, stream)).unwrap();
        let batches = (0..5).map(move |step| loader.batch(0, step).unwrap().indices);
        batches.flatten().collect::<Vec<_>>()
    };
    let weights = load(&split.weight_half, Stream::Weights);
    let arch = load(&split.arch_half, Stream::ArchParams);
    assert_eq!((weights.len(), arch.len()), (25, 25));
    assert!(weights.iter().all(|index| !arch.contains(index)));
}

#[test]
fn a_file_that_breaks_later_is_an_error_of_its_batch() {
    let dir = tempfile::TempDir::new().unwrap();
    for part in ["train", "test"] {
        for class in ["a", "b"] {
            let folder = dir.path().join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for file in ["1.png", "2.png"] {
                image::RgbImage::new(9, 9).save(folder.join(file)).unwrap();
            }
        }
    }
    let options = DataOptions {
        image_size: Some(8),
        memory_limit_bytes: 0,
        ..DataOptions::default()
    };
    let dataset = open(Format::Images, Some(dir.path()), &options).unwrap();
    let broken = dir.path().join("test/b/1.png");
    std::fs::write(&broken, "x").unwrap();
    let loader = Loader::evaluation(&dataset, Part::Test, (0..4).collect(), 1).unwrap();
    assert!((0..2).all(|step| loader.batch(0, step).is_ok()));
    let error = loader.batch(0, 2).unwrap_err().to_string();
    assert!(error.starts_with(&broken.display().to_string()), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_batch_depends_on_seed_epoch_and_step_only(seed: u64, epoch in 0u64..9, step in 0u64..20) {
        let resumed = training(seed, Stream::Network, 7).batch(epoch, step).unwrap();
        let running = training(seed, Stream::Network, 7);
        for earlier in 0..step.min(3) {
            running.batch(epoch + 1, earlier).unwrap();
        }
        prop_assert_eq!(running.batch(epoch, step).unwrap(), resumed);
    }
}
