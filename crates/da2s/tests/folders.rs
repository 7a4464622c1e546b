//! Runs on a folder of images: with separate validation images, and with damaged images, in memory
//! or read when needed.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::config::Config;
use da2s::data::{BadImages, Format};
use da2s::observer::{Event, Observer, Warning};
use da2s::parallel::Group;
use da2s::records::schema::Summary;
use da2s::run::{Context, Opened, RunDirectory, discretize, evaluate, search, train};

/// Collects the warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Warning(Warning { text, .. }) = event {
            self.0.push(text);
        }
    }
}

/// Two classes of ten images in each of `parts`.
fn pictures(dir: &Path, parts: &[&str]) {
    for part in parts {
        for (class, red) in [("ape", 30), ("bee", 220)] {
            let folder = dir.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for file in 0..10_u8 {
                let picture = image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([red, (x * 25) as u8, y as u8 * file]));
                picture.save(folder.join(format!("{file}.png"))).unwrap();
            }
        }
    }
}

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dataset = Format::Images;
    config.data.dir = Some(dir.to_owned());
    config.data.image_size = Some(8);
    config.search.epochs = 2;
    config.search.warmup_epochs = 1;
    config.search.batch_size = 5;
    config.search.channels = 2;
    config.network.training.epochs = 2;
    config.network.shape.channels = 2;
    config.network.shape.cells = 3;
    config.network.training.batch_size = 5;
    config
}

/// Runs every stage; returns the summary, the lines of the training's metrics, and the warnings.
fn run(config: &Config, path: &Path) -> Result<(Summary, String, Vec<String>), Error> {
    let directory = RunDirectory::create(path)?;
    directory.write_config(config)?;
    let context = Context {
        directory: &directory,
        config,
        resume: false,
        command: "test".to_owned(),
        arrays: None,
        opened: Opened::default(),
        group: Group::alone(),
        is_below: false,
    };
    let mut warnings = Warnings::default();
    search(&context, &mut warnings)?;
    discretize(&context, None, &mut warnings)?;
    train(&context, &mut warnings)?;
    let summary = evaluate(&context, &mut warnings)?;
    let metrics = fs::read_to_string(path.join("network/metrics.jsonl")).unwrap();
    Ok((summary, metrics, warnings.0))
}

#[test]
fn separate_validation_images_choose_the_epoch() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    pictures(&data, &["train", "test"]);
    let mut config = config(&data);
    let (_, without, _) = run(&config, &temporary.path().join("without")).unwrap();
    pictures(&data, &["val"]);
    let (_, with, _) = run(&config, &temporary.path().join("with")).unwrap();
    let accuracy = |metrics: &str| {
        let line: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
        line["validation_accuracy"].as_f64()
    };
    assert_eq!(accuracy(&without), None);
    assert!(accuracy(&with).is_some(), "{with}");

    config.data.validation_fraction = 0.2;
    let told = run(&config, &temporary.path().join("both")).unwrap_err().to_string();
    assert_eq!(
        told,
        "data.validation_fraction = 0.2: expected 0: the folder has validation images of its own, in val/"
    );
}

/// A run that skips damaged images names them, and gives the same result in memory or read when
/// needed.
#[test]
fn damaged_images_are_refused_or_skipped_and_named() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    pictures(&data, &["train", "test"]);
    fs::write(data.join("train/bee/4.png"), "no picture").unwrap();
    fs::write(data.join("test/ape/9.png"), "no picture").unwrap();
    let mut config = config(&data);
    let told = run(&config, &temporary.path().join("refused")).unwrap_err().to_string();
    assert!(told.contains("4.png: not an image"), "{told}");

    config.data.bad_images = BadImages::Skip;
    let (eager, eager_metrics, warnings) = run(&config, &temporary.path().join("eager")).unwrap();
    let named = warnings
        .iter()
        .filter(|text| text.starts_with("2 damaged images were each replaced"));
    let named: Vec<&String> = named.collect();
    assert_eq!(named.len(), 3, "search, train, evaluate: {warnings:?}");
    assert!(
        named[0].contains("bee/4.png") && named[0].contains("ape/9.png"),
        "{}",
        named[0]
    );

    config.data.memory_limit_bytes = 0;
    let (lazy, lazy_metrics, warnings) = run(&config, &temporary.path().join("lazy")).unwrap();
    assert_eq!(lazy_metrics, eager_metrics);
    assert_eq!(lazy.network_accuracy, eager.network_accuracy);
    // If images are read when needed, a stage only knows about those that it has read.
    let last = warnings.iter().rfind(|text| text.contains("damaged images")).unwrap();
    assert!(last.contains("ape/9.png"), "{last}");
}
