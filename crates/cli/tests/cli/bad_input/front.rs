//! Fronts that are impossible, or of runs without a search.

use std::fs;

use super::runs::finished_copy;
use super::{Case, case};

/// The settings of a run in the space `mobile`, where the search decides which layers vanish.
const CHAIN_WITH_SKIP: &str = r#"
space = { name = "mobile", skip = true }
target = { edges = "all" }
search = { cells = 1, reduction_cells = [] }
network = { cells = 1, reduction_cells = [], auxiliary = false }
"#;

pub fn cases() -> Vec<Case> {
    let front = |name: &str, arguments: &[&str], code: i32, says: &[&str]| {
        let arguments = [&["front", "run"], arguments].concat();
        case(&format!("front: {name}"), &arguments, code, says).make(finished_copy)
    };
    vec![
        case("front: no run", &["front", "."], 5, &["it has no config.toml"]),
        front(
            "a width of 0",
            &["--widths", "0"],
            2,
            &["a width of 0: expected a number above 0"],
        ),
        front("a width below 0", &["--widths", "1,-0.5"], 2, &["a width of -0.5"]),
        front("a width that is NaN", &["--widths", "nan"], 2, &["a width of NaN"]),
        front(
            "a width in words",
            &["--widths", "wide"],
            2,
            &["invalid value 'wide' for '--widths"],
        ),
        front(
            "a width that leaves no channel",
            &["--widths", "0.1"],
            2,
            &["turns 2 channels into 0"],
        ),
        front(
            "a width for too many channels",
            &["--widths", "1e12"],
            2,
            &["from 2 to 4096"],
        ),
        front(
            "a width twice",
            &["--widths", "1,2,1"],
            2,
            &["a width of 1 is requested twice"],
        ),
        front(
            "cells twice",
            &["--widths", "1", "--cells", "5,5"],
            2,
            &["5 cells is requested twice"],
        ),
        front(
            "a limit twice",
            &["--max-size", "8KB,8000"],
            2,
            &["8000 bytes of weights is requested twice"],
        ),
        front("no cell", &["--widths", "1", "--cells", "0"], 2, &["network.cells = 0"]),
        front(
            "too few cells",
            &["--widths", "1", "--cells", "2"],
            2,
            &["network.cells = 2", "at least 3"],
        ),
        front(
            "layers",
            &["--widths", "1", "--depths", "2"],
            2,
            &["vary the number of cells"],
        ),
        front(
            "layers if skip is a candidate",
            &["--depths", "2"],
            2,
            &["skip is a candidate of this run's search"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::write(dir.join("run/config.toml"), CHAIN_WITH_SKIP).unwrap();
        }),
        front(
            "a depth in words",
            &["--depths", "2/x"],
            2,
            &["one for each stage, such as 2/3/3/2"],
        ),
        front(
            "a limit without a unit",
            &["--max-ram", "8K"],
            2,
            &["expected a number of bytes from 1"],
        ),
        front(
            "a limit of 0",
            &["--max-parameters", "0"],
            2,
            &["expected a whole number from 1"],
        ),
        front("no epoch", &["--epochs", "0"], 2, &["network.epochs"]),
        front(
            "no table",
            &["--max-latency", "1ms"],
            2,
            &["target.latency_table is unset"],
        ),
        front(
            "a lost table",
            &["--widths", "1", "--latency-table", "lost.csv"],
            7,
            &["lost.csv"],
        ),
        front(
            "a damaged table",
            &["--widths", "1", "--latency-table", "run/config.toml"],
            3,
            &["config.toml, line 1"],
        ),
        front("a given genotype", &["--widths", "1"], 5, &["its genotype was given"]).make(|dir| {
            finished_copy(dir);
            let path = dir.join("run/genotype.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("\"p_least\":", "\"was\":")).unwrap();
        }),
    ]
}
