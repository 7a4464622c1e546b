//! Published genotypes, random networks and plain networks, compared with the networks that the
//! searches found.

use std::fs;

use super::json;
use crate::{TINY, da2s, with};
use predicates::prelude::*;

/// Methods × drives, published cells and random ones; combinations that make no sense are skipped
/// and reported.
#[test]
fn published_genotypes_are_trained_too_and_ranked_among_random_ones() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("rivals");
    let told = predicate::str::contains("random, search.drive=path is left out: it learns no mixture")
        .and(predicate::str::contains("published_darts-v2-s1: retrained "));
    let table = predicate::str::contains("percentile").and(predicate::str::contains("Holm"));
    with("compare", &TINY)
        .args(["--methods", "darts,random", "--drives", "none,path", "--seeds", "1"])
        .args(["--genotypes", "darts-v2", "--random", "2", "--out"])
        .arg(&out)
        .assert()
        .success()
        .stderr(told)
        .stdout(table);
    let nothing = predicate::str::contains("no run is left: random, search.drive=path is left out");
    with("compare", &TINY)
        .args(["--methods", "random", "--drives", "path", "--seeds", "1", "--out"])
        .arg(temporary.path().join("nothing"))
        .assert()
        .code(2)
        .stderr(nothing);
    let comparison = json(&out.join("compare.json"));
    let runs = comparison["runs"].as_array().unwrap();
    let directories: Vec<&str> = runs.iter().filter_map(|run| run["directory"].as_str()).collect();
    assert_eq!(
        directories,
        [
            "darts-search.drive=none-s1",
            "darts-search.drive=path-s1",
            "random-search.drive=none-s1",
            "published_darts-v2-s1",
            "random_genotype-s1",
            "random_genotype-s2",
        ]
    );
    for run in runs {
        let percentile = run["values"]["percentile"].as_f64();
        let is_random = run["setup"]["method"] == "random genotype";
        assert_eq!(percentile.is_none(), is_random, "{run}");
        assert!(percentile.is_none_or(|share| (0.0..=100.0).contains(&share)), "{run}");
    }
    let drive = |run: &str| json(&out.join(run).join("summary.json"))["drive"].clone();
    assert_eq!([drive(directories[0]), drive(directories[1])], ["none", "path"]);

    let refused = predicate::str::contains("belong to the space darts");
    with("compare", &TINY)
        .args(["--space", "nas-bench-201", "--genotypes", "darts-v2", "--out"])
        .arg(temporary.path().join("bench"))
        .assert()
        .code(2)
        .stderr(refused);
}

#[test]
fn baselines_are_as_wide_as_the_network_of_the_same_seed_allows() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("yardsticks");
    let compare = |arguments: &[&str]| {
        let mut command = with("compare", &TINY);
        command
            .args(["--methods", "darts", "--seeds", "2", "--jobs", "2", "--out"])
            .arg(&out)
            .args(arguments);
        command.assert()
    };
    let told = predicate::str::contains("resnet8-s2: retrained ");
    compare(&["--baselines", "resnet8"])
        .success()
        .stderr(told)
        .stdout(predicate::str::contains("\nresnet8 "));
    let summary = |run: &str| json(&out.join(run).join("summary.json"));
    for seed in ["s1", "s2"] {
        let (baseline, searched) = (summary(&format!("resnet8-{seed}")), summary(&format!("darts-{seed}")));
        assert!(baseline["multiply_adds"].as_u64() <= searched["multiply_adds"].as_u64());
        assert_eq!(
            (&baseline["network"], &baseline["seed"]),
            (&"resnet8".into(), &searched["seed"])
        );
        // In a comparison, baselines are separate runs, not parts of the searched run.
        assert!(!out.join(format!("darts-{seed}/baselines")).exists());
    }

    // The comparison continues where it was, and grows.
    let kept = fs::read(out.join("resnet8-s1/summary.json")).unwrap();
    fs::remove_file(out.join("resnet8-s2/summary.json")).unwrap();
    da2s()
        .args(["compare", "--quiet", "--out"])
        .arg(&out)
        .assert()
        .success();
    compare(&["--baselines", "resnet8,ds-cnn", "--quiet"]).success();
    assert!(kept == fs::read(out.join("resnet8-s1/summary.json")).unwrap());
    let directories: Vec<String> = json(&out.join("compare.json"))["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["directory"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "darts-s1",
        "darts-s2",
        "resnet8-s1",
        "resnet8-s2",
        "ds-cnn-s1",
        "ds-cnn-s2",
    ];
    assert_eq!(directories, expected);
    compare(&["--baselines", "ds-cnn"])
        .code(5)
        .stderr(predicate::str::contains("it trains resnet8"));

    // A baseline that is too large even at its smallest width fails, and its row says so.
    let too_wide = predicate::str::contains("mobilenet-v2-s1 failed: ").and(predicate::str::contains("cannot be kept"));
    compare(&["--baselines", "resnet8,ds-cnn,mobilenet-v2"])
        .code(9)
        .stdout(too_wide);
}
