//! The plan of a run: what is printed before it starts, what `--time` chooses, and that a repeated
//! run does not choose again.

use std::fs;
use std::path::Path;

use crate::{TINY, da2s, with};
use assert_cmd::Command;
use predicates::prelude::*;

/// A folder of two classes of small images, bright and dark.
fn images(dir: &Path) {
    for (class, level) in [("bright", 200u8), ("dark", 40)] {
        fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..20u8 {
            let pixel = |x: u32, y: u32| level + (x * 5 + y * 3) as u8 % 20 + number;
            let image = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([pixel(x, y)]));
            image.save(dir.join(class).join(format!("{number}.png"))).unwrap();
        }
    }
}

/// `da2s run` on these images with a short training, which leaves all of the time to the search.
fn timed(dir: &Path, time: &str) -> Command {
    let mut command = da2s();
    command.args(["run", "photos", "--time", time, "--image-size", "8", "--threads", "1"]);
    for setting in [
        "network.epochs=2",
        "network.channels=4",
        "network.cells=3",
        "network.batch_size=8",
        "search.channels=4",
        "search.cells=3",
        "discretize.edge_images=0",
        "network.augmentation.cutout=0",
    ] {
        command.args(["--set", setting]);
    }
    command.current_dir(dir);
    command
}

fn setting(config: &str, table: &str, name: &str) -> i64 {
    let config: toml::Table = config.parse().unwrap();
    config[table][name].as_integer().unwrap()
}

#[test]
fn a_time_chooses_what_was_not_requested_and_config_toml_repeats_it() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    images(&dir.join("photos"));
    let plan = predicate::str::contains("2 classes (bright 20, dark 20); 32 images to train on, 8 for the test")
        .and(predicate::str::contains("of 0:20 min"))
        .and(predicate::str::contains("results "))
        .and(predicate::str::contains(
            "as requested: search.channels, search.cells, discretize.edge_images, network.channels",
        ));
    timed(dir, "20s")
        .args(["--out", "first"])
        .assert()
        .success()
        .stderr(plan);
    let config = fs::read_to_string(dir.join("first/config.toml")).unwrap();
    assert!(
        config.starts_with("# Chosen from measured steps, for a run of 0:20 min: search."),
        "{config}"
    );
    let epochs = setting(&config, "search", "epochs");
    assert!((4..=100).contains(&epochs), "{epochs}");
    assert!(setting(&config, "search", "batch_size") < 64);
    for (table, name, requested) in [
        ("network", "epochs", 2),
        ("network", "cells", 3),
        ("search", "channels", 4),
    ] {
        assert_eq!(setting(&config, table, name), requested, "{table}.{name}");
    }

    // Nothing is chosen again, by a resumed run or by a run of its settings.
    timed(dir, "8h")
        .args(["--out", "first", "--resume"])
        .assert()
        .success()
        .stderr(
            predicate::str::contains("a time applies only to a new run")
                .and(predicate::str::contains("plan for").not()),
        );
    da2s()
        .current_dir(dir)
        .args(["run", "--config", "first/config.toml", "--quiet", "--out", "second"])
        .assert()
        .success();
    assert_eq!(fs::read_to_string(dir.join("first/config.toml")).unwrap(), config);
    let again = fs::read_to_string(dir.join("second/config.toml")).unwrap();
    assert!(!again.starts_with('#') && config.ends_with(&again), "{again}");
    for name in ["search/metrics.jsonl", "genotype.json", "network/metrics.jsonl"] {
        let of = |run: &str| fs::read(dir.join(run).join(name)).unwrap();
        assert!(of("first") == of("second"), "{name}");
    }
}

#[test]
fn a_time_that_is_too_short_is_refused_before_anything_is_written() {
    let temporary = tempfile::tempdir().unwrap();
    let refused =
        predicate::str::contains("a time of 0:30 min is too short: even at its smallest, this run takes about ").and(
            predicate::str::contains(", with search.channels, search.batch_size, search.epochs, search.warmup_epochs"),
        );
    with("run", &TINY)
        .current_dir(temporary.path())
        .args([
            "--quiet",
            "--time",
            "30s",
            "--set",
            "search.epochs=1000000",
            "--out",
            "run",
        ])
        .assert()
        .code(2)
        .stdout("")
        .stderr(refused);
    assert!(!temporary.path().join("run").exists());
}

#[test]
fn a_time_has_a_unit() {
    for (time, told) in [
        (
            "30",
            "expected a time with its unit, from 1s to 365d, such as 30m, 8h, 1h30m or 90s",
        ),
        ("soon", "expected a time with its unit"),
    ] {
        da2s()
            .args(["run", "--time", time])
            .assert()
            .code(2)
            .stderr(predicate::str::contains(told));
    }
}

#[test]
fn a_run_without_a_terminal_reports_at_once_what_it_does() {
    let temporary = tempfile::tempdir().unwrap();
    let said = predicate::str::is_match(
        r"(?s)^(reading the images, and measuring a few steps\n)?plan for run\n  found .*\n  search .*2 epochs of 2 steps of 16 images.*\n  discretize .*\n  train .*\n  evaluate .*\n  in all .* from now on; \d+ % of it for search and discretization\n  memory .*\n  results +run\n  watch it +da2s watch run --http 8080\nsearch: 2 epochs, .* left\nsearch 1/2: loss .* left\n",
    );
    with("run", &TINY)
        .current_dir(temporary.path())
        .args(["--out", "run"])
        .assert()
        .success()
        .stderr(said.unwrap());
    let config = fs::read_to_string(temporary.path().join("run/config.toml")).unwrap();
    assert!(!config.starts_with('#'), "nothing was chosen");
}
