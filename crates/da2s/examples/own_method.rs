//! A custom search method: DARTS with a penalty on skip connections, because it tends to choose too
//! many of them (Zela et al., "Understanding and Robustifying Differentiable Architecture Search",
//! ICLR 2020).
//!
//!     cargo run --release --example own_method

#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;

use burn::tensor::activation::softmax;
use da2s::arch::ArchParams;
use da2s::config::{Layer, resolve};
use da2s::device::EngineName;
use da2s::objective::Penalty;
use da2s::observer::Silent;
use da2s::resumable::{Resumable, StageError};
use da2s::search::{DrivenMethod, Moment, Search, SearchMethod};
use da2s::space::{Operation, Space, Target};
use da2s::{data, device};

/// L = CE + weight · t · Σ_edges p_skip, where t is the completed fraction of the search.
#[derive(Debug)]
struct FewerSkips {
    weight: f64,
}

/// Everything that is not overridden here is as in DARTS.
impl SearchMethod for FewerSkips {
    fn penalty(&self, arch: &ArchParams, space: &Space, _: &Target, moment: Moment) -> Penalty {
        let skips = arch.kinds().map(|_, arch| {
            let p = softmax(arch.alpha.clone(), 1);
            p.narrow(1, skip(space), 1).sum()
        });
        Penalty::of("skips", self.weight * moment.share(), skips)
    }
}

/// The column of α for skip-connect.
fn skip(space: &Space) -> usize {
    let mut operations = space.operations.iter();
    operations
        .position(|&operation| operation == Operation::SkipConnect)
        .unwrap_or(0)
}

/// Searches with the method and prints the genotype.
pub fn main() -> Result<(), Box<dyn Error>> {
    let mut config = resolve(&[Layer::recipe("digits")?])?;
    (
        config.search.channels,
        config.search.epochs,
        config.search.warmup_epochs,
    ) = (2, 6, 1);
    let dataset = data::open(config.data.dataset, None, &config.data_options())?;
    let (cpu, engine) = (device::open("cpu")?, device::engine(EngineName::Auto, "cpu")?);

    let search = Search::new(&config.search_setup()?, &dataset, &cpu, &engine)?
        .with_method(DrivenMethod::undriven(FewerSkips { weight: 1.0 }))?;
    let mut state = search.start();
    search.run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))?;

    let p = &search.outcome(&state).strengths.normal.p;
    let mean = p.iter().map(|edge| edge[skip(&search.space)]).sum::<f32>() / p.len() as f32;
    println!(
        "skip-connect has a mean weight of {mean:.3}; it began at {:.3}",
        1.0 / p[0].len() as f32
    );
    Ok(())
}
