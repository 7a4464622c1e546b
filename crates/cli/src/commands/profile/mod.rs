//! `da2s profile`: measures a table of block latencies on this machine, with the kernels of
//! `da2s-infer`, and on request how well it predicts whole networks. With `--onnx` it writes the
//! blocks for another runtime instead.

mod onnx;

use std::path::Path;

use da2s::Error;
use da2s::backbone::{NetworkSize, Statistics, Weights};
use da2s::config::{Config, baseline_of};
use da2s::data::{Dataset, open, preprocessing};
use da2s::device;
use da2s::discretize::{random_genotype, whole_genotype};
use da2s::network::{
    Conditions, LatencyTable, TimedBlock, Trained, WidthError, channels_at, network, network_blocks, timed_blocks,
};
use da2s::random::Purpose;
use da2s::run::{deployed, deployed_engine};
use da2s::space::PlainNetwork;
use da2s_bench::median;
use da2s_engine::Engine;
use da2s_infer::Network;
use da2s_infer::profile::{Subject, machine, medians_ms};
use da2s_records::write_output;
use da2s_settings::Quantity;

use crate::args::ProfileArguments;
use crate::commands::session::start_threads;
use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal;

/// Measures the blocks of the configured space, writes the table, and prints a summary of it.
///
/// # Errors
/// If the arguments are invalid, the images or the genotypes do not fit, or the table cannot be
/// written.
pub fn execute(arguments: &ProfileArguments) -> Result<(), Failure> {
    let config = arguments.settings.resolve()?;
    let folder = arguments.out.parent().filter(|path| !path.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Failure::new(
            Code::Files,
            format!("{}: there is no such folder", folder.display()),
        ));
    }
    // One thread by default, like the measured latency of a run's network.
    let threads = config.run.threads.max(1);
    start_threads(threads)?;
    let data = &config.data;
    let dataset = open(data.dataset, data.dir.as_deref(), &config.data_options()).map_err(Error::Data)?;
    let widths: Result<Vec<usize>, WidthError> = arguments
        .widths
        .iter()
        .map(|&width| channels_at(width, config.network.shape.channels))
        .collect();
    let widths = widths.map_err(|error| Failure::usage(error.to_string()))?;
    let mut blocks = Vec::new();
    for (&width, &channels) in arguments.widths.iter().zip(&widths) {
        blocks.extend(of_space(&config, &dataset, channels)?);
        for &network in config.network.beside.baselines.iter().flatten() {
            blocks.extend(of_baseline(&config, &dataset, network, width)?);
        }
    }
    blocks.sort_by(|a, b| a.shape.cmp(&b.shape));
    blocks.dedup_by(|a, b| a.shape == b.shape);
    let size = size_of(&config, &dataset, widths.first().copied());
    let side = size.image_size;
    let drawn = drawn(&config, &dataset, &size, arguments.check)?;
    if let Some(folder) = &arguments.onnx {
        return terminal::print(&onnx::write(folder, &blocks, &drawn, side)?);
    }
    let networks: Result<Vec<Network>, Failure> = drawn.iter().map(|trained| Ok(deployed(trained)?)).collect();
    let networks = networks?;
    let subjects: Vec<Subject<'_>> = blocks
        .iter()
        .map(subject)
        .chain(networks.iter().map(Subject::Network))
        .collect();
    let times_ms = medians_ms(&subjects, arguments.repeat.into()).map_err(da2s::run::Error::from)?;
    let (of_blocks, of_networks) = times_ms.split_at(blocks.len());

    let conditions = Conditions {
        threads: Some(threads),
        engine: Some(deployed_engine()),
        machine: Some(arguments.machine.clone().unwrap_or_else(machine)),
    };
    let shapes = blocks.iter().map(|timed| timed.shape.clone());
    let table = LatencyTable::new(&arguments.out, conditions, shapes.zip(of_blocks.iter().copied()));
    write_output(&arguments.out, &table.to_csv().map_err(internal)?)?;
    let mut text = described(&table, blocks.len(), &arguments.out);
    if !drawn.is_empty() {
        let predicted: Result<Vec<f64>, Failure> = drawn
            .iter()
            .map(|trained| {
                table
                    .of_network(&trained.network, side)
                    .map_err(|error| Error::from(error).into())
            })
            .collect();
        text += &comparison(&predicted?, of_networks);
    }
    terminal::print(&text)
}

/// The sizes of the network of `config` with this number of channels, by default its own.
fn size_of(config: &Config, dataset: &Dataset, channels: Option<usize>) -> NetworkSize {
    let shape = &config.network.shape;
    let size = shape.size(&config.space, dataset.shape, dataset.classes());
    NetworkSize {
        auxiliary: false,
        channels: channels.unwrap_or(size.channels),
        ..size
    }
}

/// Every block that a network of the space can have with this number of channels.
fn of_space(config: &Config, dataset: &Dataset, channels: usize) -> Result<Vec<TimedBlock>, Failure> {
    let space = config.space.build();
    let size = size_of(config, dataset, Some(channels));
    let side = size.image_size;
    let network = network(&whole_genotype(&space), size, &Engine::Plain).map_err(internal)?;
    Ok(timed_blocks(&space, &network, side))
}

/// The blocks of the baseline `plain` at `width`.
fn of_baseline(
    config: &Config,
    dataset: &Dataset,
    plain: PlainNetwork,
    width: f64,
) -> Result<Vec<TimedBlock>, Failure> {
    let channels = channels_at(width, plain.stem_channels()).map_err(|error| Failure::usage(error.to_string()))?;
    let size = size_of(&baseline_of(config, plain), dataset, Some(channels));
    let side = size.image_size;
    let network = network(&plain.genotype(), size, &Engine::Plain).map_err(internal)?;
    Ok(network_blocks(&network, side))
}

/// Random networks of the target with their initial weights.
fn drawn(config: &Config, dataset: &Dataset, size: &NetworkSize, count: u16) -> Result<Vec<Trained>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let space = config.space.build();
    let target = config
        .target
        .resolve(&space)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let device = device::open("cpu").map_err(Error::from)?;
    let one = |index: u16| {
        let genotype = random_genotype(&space, &target, config.run.seed + u64::from(index));
        let backbone = network(&genotype, size.clone(), &Engine::Plain).map_err(internal)?;
        let weights = Weights::new(&backbone, config.run.seed, Purpose::Weights, &device);
        let tensors = backbone.named(&weights, &Statistics::new(&backbone, &device));
        let described = preprocessing(dataset, 1.0);
        Trained::new(genotype, size.clone(), described, &tensors, (&Engine::Plain, &device)).map_err(internal)
    };
    (0..count).map(one).collect()
}

fn subject<'a>(timed: &TimedBlock) -> Subject<'a> {
    let shape = &timed.shape;
    let (inputs, outputs, size) = (shape.inputs, shape.outputs, (shape.height, shape.width));
    match timed.block {
        Some(block) => Subject::Block {
            block,
            inputs,
            outputs,
            size,
        },
        None => Subject::Classifier {
            features: inputs,
            classes: outputs,
            size,
        },
    }
}

fn described(table: &LatencyTable, blocks: usize, path: &Path) -> String {
    let Conditions {
        threads,
        engine,
        machine,
    } = &table.conditions;
    let threads = da2s_records::counted(threads.unwrap_or_default(), "thread");
    let [engine, machine] = [engine, machine].map(|word| word.as_deref().unwrap_or_default());
    let blocks = da2s_records::counted(blocks, "block");
    format!(
        "{blocks}, {threads}, {engine}, {}\n{}\n",
        terminal::escaped(machine),
        terminal::escaped(&path.display().to_string())
    )
}

/// Predicted against measured times.
fn comparison(predicted_ms: &[f64], measured_ms: &[f64]) -> String {
    let mut text = format!("\n{:>12}{:>12}{:>11}\n", "predicted", "measured", "error");
    let mut errors = Vec::new();
    for (predicted, measured) in predicted_ms.iter().zip(measured_ms) {
        let error = 100.0 * (predicted / measured - 1.0);
        errors.push(error.abs());
        let [predicted, measured] = [predicted, measured].map(|ms| Quantity::Milliseconds.text(*ms));
        text += &format!("{predicted:>12}{measured:>12}{error:>9.1} %\n");
    }
    text + &format!("median error {:.1} %\n", median(&errors))
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_what_was_measured() {
        insta::assert_snapshot!(comparison(&[1.0, 0.3, 2.2], &[1.1, 0.25, 2.0]), @r"

           predicted    measured      error
             1.00 ms     1.10 ms     -9.1 %
            0.300 ms    0.250 ms     20.0 %
             2.20 ms     2.00 ms     10.0 %
        median error 10.0 %
        ");
    }
}
