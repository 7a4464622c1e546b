//! Times the cells of a super-network or final network: forward and backward passes, as in one step
//! of search or retraining.
//!
//! Run with `cargo bench --bench cells -- [standard|small|final] [threads] [repeats] [batch]`.
//! Stems, heads and optimisers are not included. Prints seconds per step (minimum and median),
//! GFLOP/s of the method's arithmetic, and peak memory.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use da2s_engine::cpu::{CellKernel, Forward, Gradients, Statistics, Workspace};
use da2s_engine::{Block, CellPlan, CellPlanBuilder, PoolKind};

const PREPROCESS: Block = Block::Conv {
    relu: true,
    kernel: 1,
    stride: 1,
    padding: 0,
    bias: false,
    norm: true,
};

fn separable(kernel: usize, stride: usize, dilation: usize) -> Block {
    Block::Separable {
        kernel,
        stride,
        dilation,
        stages: if dilation == 1 { 2 } else { 1 },
    }
}

fn candidates(stride: usize) -> impl Iterator<Item = (Block, String, usize)> {
    let pool = |kind: PoolKind| Block::Pool {
        kind,
        kernel: 3,
        stride,
        padding: 1,
        norm: true,
    };
    let skip = if stride == 1 {
        Block::Identity
    } else {
        Block::FactorizedReduce
    };
    let blocks = [
        pool(PoolKind::Max),
        pool(PoolKind::Average),
        skip,
        separable(3, stride, 1),
        separable(5, stride, 1),
        separable(3, stride, 2),
        separable(5, stride, 2),
    ];
    blocks
        .into_iter()
        .enumerate()
        .map(|(at, block)| (block, format!("{at}"), 0))
}

/// A cell and the sizes of its inputs.
struct SizedCell {
    plan: CellPlan,
    sizes: [(usize, usize); 2],
}

/// Consecutive cells, with reductions at one third and two thirds of the depth.
fn chain(channels: usize, cells: usize, side: usize, stem: usize, affine: bool) -> Vec<SizedCell> {
    let mut places = Vec::new();
    let (mut channels, mut before, mut last) = (channels, (stem * channels, side), (stem * channels, side));
    let mut reduced = false;
    for cell in 0..cells {
        let reduction = cell == cells / 3 || cell == 2 * cells / 3;
        if reduction {
            channels *= 2;
        }
        let first = if reduced { Block::FactorizedReduce } else { PREPROCESS };
        let mut builder = CellPlanBuilder::new(affine)
            .preprocessed_input(before.0, channels, first, "preprocess0", 0)
            .preprocessed_input(last.0, channels, PREPROCESS, "preprocess1", 0);
        for node in 2..6 {
            builder = builder.node(channels);
            let sources: Vec<usize> = if affine {
                vec![node - 2, node - 1]
            } else {
                (0..node).collect()
            };
            for from in sources {
                let stride = if reduction && from < 2 { 2 } else { 1 };
                // The final network keeps one choice; here it is one of the separable convolutions,
                // in turn.
                let kept = 3 + (from + node) % 4;
                builder = builder.edge(
                    from,
                    node,
                    candidates(stride)
                        .enumerate()
                        .filter_map(|(at, choice)| (!affine || at == kept).then_some(choice)),
                );
            }
        }
        places.push(SizedCell {
            plan: builder.output(2..6),
            sizes: [(before.1, before.1), (last.1, last.1)],
        });
        before = last;
        last = (4 * channels, if reduction { last.1 / 2 } else { last.1 });
        reduced = reduction;
    }
    places
}

struct Numbers(u64);

impl Numbers {
    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        (0..count).map(|_| next()).collect()
    }
}

struct Network {
    places: Vec<SizedCell>,
    kernels: Vec<CellKernel>,
    weights: Vec<Vec<f32>>,
    mixtures: Vec<Vec<f32>>,
    statistics: Vec<[Vec<f32>; 2]>,
    gradients: Vec<Vec<f32>>,
    /// The stem's output, then every cell's.
    images: Vec<Vec<f32>>,
    d_images: Vec<Vec<f32>>,
    spare: Vec<f32>,
    later: Vec<f32>,
}

impl Network {
    fn new(places: Vec<SizedCell>, batch: usize) -> Self {
        let workspace = Workspace::new();
        let mut numbers = Numbers(7);
        let kernels: Vec<CellKernel> = places
            .iter()
            .map(|place| CellKernel::new(&place.plan, &place.sizes, batch, &workspace))
            .collect();
        let stem = places[0].sizes[0].0.pow(2) * places[0].plan.input_channels[0] * batch;
        let mut images = vec![numbers.take(stem, 1.0)];
        images.extend(kernels.iter().map(|kernel| vec![0.0; kernel.output_len()]));
        Self {
            weights: places
                .iter()
                .map(|place| numbers.take(place.plan.weight_count, 0.3))
                .collect(),
            mixtures: places
                .iter()
                .map(|place| vec![0.14; place.plan.choice_count()])
                .collect(),
            statistics: places
                .iter()
                .map(|place| [(); 2].map(|()| vec![0.0; place.plan.norm_channels]))
                .collect(),
            gradients: places.iter().map(|place| vec![0.0; place.plan.weight_count]).collect(),
            d_images: images.iter().map(|image| vec![0.0; image.len()]).collect(),
            spare: vec![0.0; images.iter().map(Vec::len).max().unwrap_or(0)],
            later: vec![0.0; images.iter().map(Vec::len).max().unwrap_or(0)],
            images,
            kernels,
            places,
        }
    }

    /// Forward and backward through all cells, with gradients of the mixture, of the weights, or of
    /// both.
    fn half_step(&mut self, weights: bool, mixture: bool) -> [f64; 2] {
        let start = Instant::now();
        for cell in 0..self.kernels.len() {
            let (before, rest) = self.images.split_at_mut(cell + 1);
            let inputs: [&[f32]; 2] = [&before[cell.saturating_sub(1)], &before[cell]];
            let [mean, variance] = &mut self.statistics[cell];
            let call = Forward {
                inputs: &inputs,
                weights: &self.weights[cell],
                mixture: Some(&self.mixtures[cell]),
                active: None,
                drop: None,
                statistics: Statistics::Batch { mean, variance },
                keep: true,
                mixture_gradient: mixture,
            };
            self.kernels[cell].forward(call, &mut rest[0]);
        }
        let forward = start.elapsed().as_secs_f64();
        for image in &mut self.d_images {
            image.fill(0.0);
        }
        self.d_images.last_mut().into_iter().for_each(|image| image.fill(1e-3));
        for cell in (0..self.kernels.len()).rev() {
            let (before, rest) = self.d_images.split_at_mut(cell + 1);
            let first = cell.saturating_sub(1);
            let inputs: [&[f32]; 2] = [&self.images[first], &self.images[cell]];
            let mut d_mixture = vec![0.0; self.mixtures[cell].len()];
            let spare = &mut self.spare[..before[first].len()];
            // The stem is not a cell: the gradient of its output is needed if weights are trained.
            let needed = cell > 0 || weights;
            let needed_first = first > 0 || weights;
            // If two cells read an image, its gradient has two parts. The backward pass of this
            // cell overwrites the part of the later cell, so that part is saved here and added
            // after it.
            let later = &mut self.later[..before[cell].len()];
            later.copy_from_slice(&before[cell]);
            let gradients = Gradients {
                inputs: vec![
                    needed_first.then_some(&mut spare[..]),
                    needed.then_some(&mut before[cell][..]),
                ],
                weights: weights.then_some(&mut self.gradients[cell][..]),
                mixture: mixture.then_some(&mut d_mixture[..]),
            };
            self.kernels[cell].backward(&inputs, &self.weights[cell], &rest[0], gradients);
            for (to, from) in before[cell].iter_mut().zip(later.iter()) {
                *to += from;
            }
            for (to, from) in before[first].iter_mut().zip(&self.spare) {
                *to += from;
            }
        }
        [forward, start.elapsed().as_secs_f64() - forward]
    }

    fn multiply_adds(&self) -> u64 {
        self.places
            .iter()
            .map(|place| place.plan.multiply_adds(&place.sizes))
            .sum()
    }
}

/// Peak resident memory in MB, if the system reports it.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|kb| kb.parse::<f64>().ok())
        .map_or(0.0, |kb| kb / 1024.0)
}

/// Processor time of all threads so far, in seconds, if the system reports it (in hundredths).
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|x| x.parse().unwrap_or(0.0))
        .collect();
    fields
        .get(11)
        .zip(fields.get(12))
        .map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let name = arguments.first().map_or("standard", String::as_str);
    let threads = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let repeats = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(5);
    let batch_argument: Option<usize> = arguments.get(3).and_then(|text| text.parse().ok());
    let (places, batch, search) = match name {
        "small" => (chain(8, 5, 16, 3, false), 32, true),
        "final" => (chain(36, 20, 32, 3, true), 32, false),
        _ => (chain(16, 8, 32, 3, false), 64, true),
    };
    let batch = batch_argument.unwrap_or(batch);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let Ok(pool) = pool else { return };
    let mut network = Network::new(places, batch);
    let flops = 2.0 * network.multiply_adds() as f64 * batch as f64;
    // A forward pass, gradients of the inputs and gradients of the weights each cost the same
    // arithmetic.
    let parts: &[(&str, bool, bool, f64)] = if search {
        &[("architecture", false, true, 2.0), ("weights", true, false, 3.0)]
    } else {
        &[("retraining", true, false, 3.0)]
    };
    let (mut steps, mut used) = (Vec::new(), f64::INFINITY);
    for repeat in 0..=repeats {
        let (mut total, before) = (0.0, processor_time());
        for &(part, weights, mixture, factor) in parts {
            let [forward, backward] = pool.install(|| network.half_step(weights, mixture));
            total += forward + backward;
            let rate = factor * flops / (forward + backward) / 1e9;
            println!("  {part:12} forward {forward:.3} s, backward {backward:.3} s, {rate:.0} GFLOP/s");
        }
        if repeat > 0 {
            steps.push(total);
            used = used.min(processor_time() - before);
        }
    }
    steps.sort_by(f64::total_cmp);
    let work: f64 = parts.iter().map(|part| part.3 * flops).sum();
    println!(
        "{name}, batch {batch}, {threads} threads: minimum {:.3} s, median {:.3} s, {:.2} s of processor time, {:.0} GFLOP/s peak, {:.0} MB",
        steps[0],
        steps[steps.len() / 2],
        used,
        work / steps[0] / 1e9,
        peak_mb()
    );
}
