//! Writes synthetic runs and their reports into a folder, to check the page by eye: finished, one
//! epoch, undecided, interrupted, imbalanced, and one with many classes.
//!
//! `cargo run -p da2s-report --example synthetic_report -- FOLDER`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use support::{Reached, Synthetic};

fn main() {
    let folder = std::env::args().nth(1).expect("usage: synthetic_report FOLDER");
    let finished = Synthetic::default();
    let hundred: Vec<String> = (0..100).map(|class| format!("class number {class}")).collect();
    let runs = [
        ("finished", finished.clone()),
        (
            "one-epoch",
            Synthetic {
                epochs: 1,
                train_epochs: 1,
                ..finished.clone()
            },
        ),
        (
            "undecided",
            Synthetic {
                decided: false,
                ..finished.clone()
            },
        ),
        (
            "stopped",
            Synthetic {
                reached: Reached::SearchCutAfter(7),
                ..finished.clone()
            },
        ),
        (
            "imbalanced",
            Synthetic {
                edges: [1, 2, 1, 3],
                operations: 2,
                ..finished.clone()
            },
        ),
        (
            "many-classes",
            Synthetic {
                classes: hundred,
                epochs: 600,
                ..finished
            },
        ),
    ];
    for (name, run) in runs {
        let dir = Path::new(&folder).join(name);
        run.write(&dir);
        println!("{}", da2s_report::write_report(&dir).unwrap().display());
    }
}
