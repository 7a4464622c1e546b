//! `da2s config`: precedence of defaults, recipes, files and flags, and the errors about each.

use std::fs;
use std::path::Path;

use crate::da2s;
use predicates::prelude::*;

/// What `da2s config` prints for `arguments`, as a table.
fn resolved(arguments: &[&str]) -> toml::Table {
    let output = da2s()
        .arg("config")
        .args(arguments)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).unwrap().parse().unwrap()
}

fn integer(table: &toml::Table, section: &str, key: &str) -> i64 {
    table[section][key].as_integer().unwrap()
}

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("my.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn defaults_then_recipe_then_file_then_flags() {
    let temporary = tempfile::tempdir().unwrap();
    let file = write(
        temporary.path(),
        "[search]\nepochs = 40\ncells = 6\n[data]\ndir = \"x\"\n",
    );
    let epochs_and_cells = |arguments: &[&str]| {
        let table = resolved(arguments);
        (integer(&table, "search", "epochs"), integer(&table, "search", "cells"))
    };
    assert_eq!(epochs_and_cells(&[]), (30, 3));
    assert_eq!(epochs_and_cells(&["cifar10", "--data-dir", "x"]), (50, 8));
    assert_eq!(epochs_and_cells(&["cifar10", "--config", &file]), (40, 6));
    assert_eq!(
        epochs_and_cells(&["cifar10", "--config", &file, "--search-epochs", "45"]),
        (45, 6)
    );
    // The data set selects the recipe unless another is requested, even if a file names the data
    // set.
    assert_eq!(
        epochs_and_cells(&["images", "--recipe", "digits", "--data-dir", "x", "--image-size", "16"]),
        (30, 3)
    );
    let file = write(temporary.path(), "data = { dataset = \"cifar100\", dir = \"x\" }");
    assert_eq!(epochs_and_cells(&["--config", &file]), (50, 8));
}

#[test]
fn flags_are_settings() {
    let table = resolved(&[
        "--seed",
        "7",
        "--method",
        "darts",
        "--edges",
        "1,2,1,3",
        "--operations",
        "2",
        "--train-epochs",
        "3",
        "--limit",
        "100",
        "--threads",
        "2",
        "--engine",
        "plain",
        "--set",
        "search.beta_rate=auto",
    ]);
    assert_eq!(
        (integer(&table, "run", "seed"), integer(&table, "run", "threads")),
        (7, 2)
    );
    assert_eq!(
        (integer(&table, "network", "epochs"), integer(&table, "data", "limit")),
        (3, 100)
    );
    assert_eq!(table["search"]["method"].as_str(), Some("darts"));
    assert_eq!(table["search"]["beta_rate"].as_str(), Some("auto"));
    assert_eq!(table["run"]["engine"].as_str(), Some("plain"));
    let edges: Vec<i64> = table["target"]["edges"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(toml::Value::as_integer)
        .collect();
    assert_eq!(edges, [1, 2, 1, 3]);
}

#[test]
fn what_is_printed_can_be_read() {
    let temporary = tempfile::tempdir().unwrap();
    let arguments = ["--recipe", "imagenet", "--data-dir", "x", "--edges", "1"];
    let table = resolved(&arguments);
    let file = write(temporary.path(), &table.to_string());
    assert_eq!(resolved(&["--config", &file]), table);
}

/// `docs/settings.md` and the JSON schema match the declarations of the settings.
#[test]
fn what_is_generated_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (flag, path) in [
        ("--reference", "docs/settings.md"),
        ("--schema", "crates/da2s/recipes/settings.schema.json"),
    ] {
        let output = da2s()
            .args(["config", flag])
            .assert()
            .success()
            .get_output()
            .stdout
            .clone();
        assert!(
            fs::read(root.join(path)).unwrap() == output,
            "{path} is not current: write it with `da2s config {flag} > {path}`"
        );
    }
    da2s().args(["config", "--schema", "--seed", "3"]).assert().code(2);
}

#[test]
fn what_is_invalid_is_reported_with_its_position() {
    let temporary = tempfile::tempdir().unwrap();
    for (text, expected) in [
        (
            "[search]\n\nepcohs = 3",
            "my.toml, line 3: unknown key search.epcohs: did you mean search.epochs?",
        ),
        (
            "[search]\nepochs = true",
            "my.toml, line 2: search.epochs = true: expected a whole number from 1 to",
        ),
        (
            "[run]\ndevice = 3",
            "my.toml, line 2: run.device = 3: expected a string in quotes",
        ),
        ("target.edges = [1, 2, 9, 1]", "allowed are 1 to 4"),
        ("[search]\nepochs = [", "my.toml, line 2: "),
    ] {
        let file = write(temporary.path(), text);
        let one_sentence = predicate::str::starts_with("da2s: ").and(predicate::str::contains(expected));
        da2s()
            .args(["config", "--config", &file])
            .assert()
            .code(2)
            .stdout("")
            .stderr(one_sentence);
    }
    let missing = temporary.path().join("missing.toml");
    da2s()
        .arg("config")
        .arg("--config")
        .arg(missing)
        .assert()
        .code(7)
        .stderr(predicate::str::contains("missing.toml"));
    for (arguments, expected) in [
        (
            &["shapes"][..],
            "shapes is neither a file, a folder nor a data set (digits, cifar10, ",
        ),
        (&["cifar-10"], "; did you mean cifar10?"),
        // A folder that is not there.
        (&["my-images"], "images)\n"),
        (&["cifar10"], "data.dir is not set: expected its folder: "),
        (
            &["--search-epochs", "0"],
            "da2s: --search-epochs: search.epochs = 0: expected a whole number from 1",
        ),
        (&["--set", "epochs=3"], "did you mean"),
        (&["--edges", "2,x"], "expected a whole number from 1, a list"),
        (
            &["--edges", "4"],
            "node 2, which has 2 incoming edges: allowed are 1 to 2",
        ),
        (
            &["--image-size", "10"],
            "data.image_size = 10: expected a multiple of 4",
        ),
    ] {
        da2s()
            .arg("config")
            .args(arguments)
            .assert()
            .code(2)
            .stderr(predicate::str::contains(expected));
    }
}
