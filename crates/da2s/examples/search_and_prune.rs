//! Searches on the embedded digits, prunes the super-network and measures the cost of pruning.
//!
//!     cargo run --release -p da2s --example search_and_prune

#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;

use da2s::config::{Layer, resolve};
use da2s::device::EngineName;
use da2s::discretize::{Rule, measure_gap};
use da2s::observer::Silent;
use da2s::resumable::{Resumable, StageError};
use da2s::search::Search;
use da2s::{data, device};

/// Searches, prunes and prints the gap.
pub fn main() -> Result<(), Box<dyn Error>> {
    // The recipe of `da2s run`, reduced to a few seconds.
    let mut config = resolve(&[Layer::recipe("digits")?])?;
    (
        config.search.channels,
        config.search.epochs,
        config.search.warmup_epochs,
    ) = (4, 10, 2);

    let dataset = data::open(config.data.dataset, None, &config.data_options())?;
    let (cpu, engine) = (device::open("cpu")?, device::engine(EngineName::Auto, "cpu")?);
    let search = Search::new(&config.search_setup()?, &dataset, &cpu, &engine)?;
    let mut state = search.start();
    search.run::<StageError>(&mut state, &mut Silent, &mut |_, epoch| {
        if let Some(metrics) = epoch.map(|epoch| &epoch.record.metrics)
            && let (Some(whole), Some(pruned)) = (metrics.supernet_accuracy, metrics.discretized_accuracy)
        {
            println!("epoch {}: {whole:.1} %, if pruned now {pruned:.1} %", metrics.epoch);
        }
        Ok(())
    })?;

    let never_stop = || false;
    let outcome = search.discretized(&state, &*Rule::Strongest.build(), &never_stop)?;
    let (held_out, calibration) = search.gap_loaders();
    let gap = measure_gap(
        &search.pruned(&state, &outcome),
        held_out,
        calibration,
        &cpu,
        &never_stop,
    )?;
    println!("{}", outcome.genotype);
    let points = gap.points().ok_or("no gap was measured")?;
    println!(
        "pruning costs {points:.1} points on {} held-out images",
        held_out.samples()
    );
    Ok(())
}
