//! A dry run of every recipe: it resolves, its networks can be built at full size, and at a small
//! size all stages of a run succeed.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::Path;

use da2s::backbone::Stem;
use da2s::config::{Config, Layer, RECIPES, resolve};
use da2s::data::{Arrays, Format, ImageShape, LabelledImages};
use da2s::network::network;
use da2s::observer::Silent;
use da2s::parallel::Group;
use da2s::run::{self, Context, Opened, RunDirectory};
use da2s::space::{Genotype, SpaceName};
use da2s::supernet::supernet;
use da2s_engine::Engine;

/// The genotype published by DARTS, from which every recipe's final network is built here.
const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
    ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
    normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
    ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
    reduce_concat=range(2, 6))";

/// A network of the space `mobile`.
const CHAIN: &str = "Genotype(stages=[['mbconv_k3_e3', None, 'mbconv_k5_e6'], ['mbconv_k7_e1']])";
/// An architecture of NAS-Bench-201.
const BENCH: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|";

/// The recipe `name` with a data set in `dir` and further settings `sets`.
fn config(name: &str, dir: &Path, sets: &[&str]) -> Config {
    let mut layers = vec![Layer::recipe(name).unwrap()];
    layers.push(Layer::flag("--data-dir", "data.dir", dir.to_str().unwrap().into()).unwrap());
    layers.extend(sets.iter().map(|set| Layer::assignment("--set", set).unwrap()));
    resolve(&layers).unwrap()
}

/// The smallest data set of `format`: at least 16 images per part, of two classes or more.
fn data_set(format: Format, dir: &Path) {
    match format {
        Format::Digits | Format::Arrays => {}
        Format::Cifar10 => {
            let names: Vec<String> = (0..10).map(|class| format!("class {class}")).collect();
            fs::write(dir.join("batches.meta.txt"), names.join("\n")).unwrap();
            let records: Vec<u8> = (0..10).flat_map(|class| picture(&[class], 3 * 32 * 32)).collect();
            let train = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
            for file in train.chain(["test_batch.bin".to_owned()]) {
                fs::write(dir.join(file), &records).unwrap();
            }
        }
        Format::Cifar100 => {
            let names: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
            fs::write(dir.join("fine_label_names.txt"), names.join("\n")).unwrap();
            let records: Vec<u8> = (0..100).flat_map(|class| picture(&[0, class], 3 * 32 * 32)).collect();
            for file in ["train.bin", "test.bin"] {
                fs::write(dir.join(file), &records).unwrap();
            }
        }
        Format::Mnist | Format::Fashion => {
            for part in ["train", "t10k"] {
                let images: Vec<u8> = (0..40).flat_map(|_| picture(&[], 28 * 28)).collect();
                let header = [&[0, 0, 8, 3, 0, 0, 0, 40][..], &[0, 0, 0, 28, 0, 0, 0, 28]].concat();
                fs::write(dir.join(format!("{part}-images-idx3-ubyte")), [header, images].concat()).unwrap();
                let labels: Vec<u8> = (0..40).map(|image| image % 10).collect();
                let header = vec![0, 0, 8, 1, 0, 0, 0, 40];
                fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), [header, labels].concat()).unwrap();
            }
        }
        Format::Images => {
            for folder in ["train/ape", "train/bee", "test/ape", "test/bee"] {
                fs::create_dir_all(dir.join(folder)).unwrap();
                for file in 0..20 {
                    let picture =
                        image::RgbImage::from_fn(40, 36, |x, y| image::Rgb([(x * 6) as u8, (y * 7) as u8, file]));
                    picture.save(dir.join(folder).join(format!("{file}.png"))).unwrap();
                }
            }
        }
    }
}

/// 40 colour images of two classes in memory.
fn arrays() -> Arrays {
    let images = LabelledImages {
        shape: ImageShape {
            channels: 3,
            height: 16,
            width: 16,
        },
        pixels: (0..40)
            .flat_map(|image| picture(&[image], 3 * 16 * 16).split_off(1))
            .collect(),
        labels: (0..40).map(|image| image % 2).collect(),
    };
    Arrays::new(vec!["ape".to_owned(), "bee".to_owned()], images, None).unwrap()
}

/// Labels, then pixels that vary.
fn picture(labels: &[u8], pixels: usize) -> Vec<u8> {
    let seed = labels.last().copied().unwrap_or(1);
    let pixel = |at: usize| (at as u8).wrapping_mul(31).wrapping_add(seed);
    labels.iter().copied().chain((0..pixels).map(pixel)).collect()
}

/// The published sizes fit together: a stem, cells and an auxiliary head can be built at the
/// recipe's image size.
#[test]
fn every_recipe_can_be_built_at_its_full_size() {
    for (name, _) in RECIPES {
        let config = config(name, Path::new("somewhere"), &[]);
        let shape = config.data.shape().unwrap();
        let engine = Engine::Plain;
        let searched = config.search.size(&config.space, shape, 10);
        supernet(&config.space.build(), searched, config.search.partial(), &engine);
        let size = config.network.shape.size(&config.space, shape, 10);
        let genotype = match config.space.name {
            SpaceName::Darts => DARTS_V2,
            SpaceName::NasBench201 => BENCH,
            SpaceName::Mobile => CHAIN,
            SpaceName::Plain => panic!("no recipe is for a space that is not searched"),
        };
        network(&Genotype::parse(genotype).unwrap(), size, &engine).unwrap();
    }
}

/// Settings that make a recipe small; the others are unchanged.
const SMALL: [&str; 14] = [
    "data.limit=40",
    "data.test_limit=20",
    "search.epochs=2",
    "search.warmup_epochs=1",
    "search.batch_size=10",
    "search.channels=4",
    "search.cells=3",
    "search.monitor_images=10",
    "network.epochs=1",
    "network.warmup_epochs=0",
    "network.batch_size=10",
    "network.channels=2",
    "network.cells=3",
    "network.auxiliary=false",
];

#[test]
fn every_recipe_runs() {
    let arrays = arrays();
    for (name, _) in RECIPES {
        let temporary = tempfile::tempdir().unwrap();
        let data = temporary.path().join("data");
        fs::create_dir(&data).unwrap();
        let full = config(name, &data, &[]);
        data_set(full.data.dataset, &data);
        let mut sets = SMALL.to_vec();
        match full.search.skeleton {
            // The smallest image that both stems and both reduction cells can halve.
            Stem::Imagenet => sets.push("data.image_size=32"),
            Stem::Cifar => sets.extend([
                "data.image_size=16",
                "search.augmentation.cutout=0",
                "network.augmentation.cutout=8",
            ]),
        }
        if full.space.name == SpaceName::Mobile {
            sets.extend(["search.cells=1", "network.cells=1", "network.channels=4"]);
        }
        let config = config(name, &data, &sets);
        let directory = RunDirectory::create(&temporary.path().join("run")).unwrap();
        directory.write_config(&config).unwrap();
        let context = Context {
            directory: &directory,
            config: &config,
            resume: false,
            command: "test".to_owned(),
            arrays: (full.data.dataset == Format::Arrays).then_some(&arrays),
            opened: Opened::default(),
            group: Group::alone(),
            is_below: false,
        };
        run::search(&context, &mut Silent).unwrap();
        run::discretize(&context, None, &mut Silent).unwrap();
        run::train(&context, &mut Silent).unwrap();
        let summary = run::evaluate(&context, &mut Silent).unwrap();
        assert!(summary.network_accuracy.is_some(), "{name}");
        assert_eq!(summary.dataset.as_deref(), Some(full.data.dataset.name()), "{name}");
    }
}
