//! Times blocks and networks as they run here: the times in a table of latencies.
//!
//! Method: in every round the blocks are put in a new order and taken in groups. A group runs
//! twice, and each block of the second run is timed by itself, so that the caches contain about the
//! same data as in a network, where other blocks run before this one. (A block that is timed many
//! times in a row is a fifth faster than in a network.) Networks run twice, too, and the second run
//! counts. All take turns, so that a machine that is busy for a while slows all of them alike. Time
//! that the thread waited for a processor is subtracted, and the median over the rounds counts.
//! Contract: batch 1, on the threads of the caller's pool, except [`latency`]; the calling thread
//! computes too if it belongs to the pool.

use std::ops::Range;
use std::time::{Duration, Instant};

use da2s_engine::deployed::{DeployedError, DeployedNetwork, StepWeights};
use da2s_engine::{Block, CellPlan, CheckedStage, NetworkPlan, Operation, StagePlan, Steps, TensorShape};

use crate::error::NetworkError;
use crate::float32::Classifier;
use crate::network::Network;

/// Blocks that run one after another. With 2, 3, 4, 6 and 8 the median errors of three tables are
/// 20, 14, 9, 7 and 14 % (the book, *Latency, predicted and measured*).
const GROUP: usize = 6;

/// What is timed.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A block, with its shortcut if it has one.
    Block {
        /// The block.
        block: Block,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Height and width of the input.
        size: (usize, usize),
    },
    /// ReLU, the global mean and the classifier.
    Classifier {
        /// Channels.
        features: usize,
        /// Classes.
        classes: usize,
        /// Height and width.
        size: (usize, usize),
    },
    /// A network, from a preprocessed image to logits.
    Network(&'a Network),
}

/// The median time of each subject over this number of rounds, in milliseconds.
///
/// # Errors
/// If a block needs too much memory.
pub fn medians_ms(subjects: &[Subject<'_>], rounds: usize) -> Result<Vec<f64>, NetworkError> {
    let mut runs = subjects.iter().map(ready).collect::<Result<Vec<_>, _>>()?;
    let is_network = |at: &usize| matches!(subjects[*at], Subject::Network(_));
    let (networks, mut parts): (Vec<usize>, Vec<usize>) = (0..runs.len()).partition(is_network);
    let mut times_ms = vec![Vec::with_capacity(rounds); runs.len()];
    for round in 0..rounds {
        parts.sort_by_key(|&at| mixed(round * runs.len() + at));
        for group in parts.chunks(GROUP).chain(networks.chunks(1)) {
            for &at in group {
                runs[at]();
            }
            for &at in group {
                times_ms[at].push(timed_ms(&mut runs[at]));
            }
        }
    }
    Ok(times_ms.into_iter().map(median).collect())
}

/// The latency of a network by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The median time, in milliseconds.
    pub median_ms: f64,
    /// Number of runs.
    pub runs: usize,
}

/// The fewest runs of a network that are timed, and the most.
const RUNS: [usize; 2] = [3, 300];
/// Untimed runs first, to warm up memory and caches.
const WARM_UP: usize = 3;

/// The time of `network` for one image on one thread, whatever the pool of the caller has: runs are
/// timed one after another until there are 300, or until `within` is over and there are at least 3.
///
/// # Errors
/// If the thread cannot be started.
pub fn latency(network: &Network, within: Duration) -> Result<Latency, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    Ok(pool.install(|| {
        let began = Instant::now();
        let picture = [numbers(network.preprocessing().len())];
        let mut run = || {
            std::hint::black_box(network.logits(&picture));
        };
        for _ in 0..WARM_UP {
            run();
        }
        let [least, most] = RUNS;
        let mut times_ms = Vec::with_capacity(most);
        while times_ms.len() < least || (times_ms.len() < most && began.elapsed() < within) {
            times_ms.push(timed_ms(&mut run));
        }
        Latency {
            runs: times_ms.len(),
            median_ms: median(times_ms),
        }
    }))
}

/// The processor, as the system names it.
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned());
    model.unwrap_or_else(|| format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))
}

/// The time of `run` in milliseconds, without the time that its thread waited.
fn timed_ms(run: &mut dyn FnMut()) -> f64 {
    let waited = waited_ns();
    let began = Instant::now();
    run();
    let time_ms = 1e3 * began.elapsed().as_secs_f64();
    let waited_ms = waited_ns().saturating_sub(waited) as f64 / 1e6;
    // If the thread waited longer than the run took, the wait began before the run.
    if waited_ms < time_ms {
        time_ms - waited_ms
    } else {
        time_ms
    }
}

/// How long this thread was ready to run, but waited for a processor: on Linux, where the system
/// counts it; otherwise 0.
fn waited_ns() -> u64 {
    // Time on a processor, time of waiting, number of turns; see `sched-stats.rst` of Linux.
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = counts.split_whitespace().nth(1);
    waited.and_then(|waited| waited.parse().ok()).unwrap_or(0)
}

/// A pseudorandom number: the finaliser of splitmix64.
fn mixed(number: usize) -> u64 {
    let number = (number as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// A subject that is ready to run, with what it needs in memory.
fn ready<'a>(subject: &Subject<'a>) -> Result<Box<dyn FnMut() + 'a>, DeployedError> {
    Ok(match *subject {
        Subject::Block {
            block,
            inputs,
            outputs,
            size,
        } => {
            let network = part(Some(block.alone(inputs, outputs)), inputs, size)?;
            Box::new(move || {
                std::hint::black_box(network.run_again());
            })
        }
        Subject::Classifier {
            features,
            classes,
            size,
        } => {
            let classifier = Classifier {
                matrix: numbers(features * classes),
                bias: numbers(classes),
            };
            let network = part(None, features, size)?;
            Box::new(move || {
                std::hint::black_box(classifier.logits(&network.run_again()));
            })
        }
        Subject::Network(network) => {
            let picture = [numbers(network.preprocessing().len())];
            Box::new(move || {
                std::hint::black_box(network.logits(&picture));
            })
        }
    })
}

/// A network of one block, or of none, that reads images with this number of channels.
fn part(block: Option<CellPlan>, channels: usize, size: (usize, usize)) -> Result<DeployedNetwork, DeployedError> {
    let stages = block.iter().map(|cell| StagePlan::new("", vec![None], cell));
    let plan = NetworkPlan {
        stages: stages.collect(),
        last_relu: false,
    };
    let checked = block.map(|cell| CheckedStage {
        cell,
        sizes: vec![size],
    });
    let shape = TensorShape { channels, size };
    let steps = Steps::new(&plan, checked.as_slice(), shape);
    let of_step = |at: usize, outputs: Range<usize>| {
        Ok::<_, DeployedError>(match &steps.steps[at].operation {
            Operation::Convolution(one) => {
                StepWeights::Convolution(numbers(outputs.len() * one.per_output()), numbers(outputs.len()))
            }
            Operation::Squeeze(one) => {
                let matrices = 2 * one.channels * one.squeezed;
                StepWeights::Squeeze(numbers(matrices + one.channels + one.squeezed))
            }
            _ => StepWeights::None,
        })
    };
    let network = DeployedNetwork::new(&steps, of_step)?;
    network.features(&[numbers(channels * size.0 * size.1)]);
    Ok(network)
}

/// Numbers of both signs, none of them so small that arithmetic with it is slow: weights and images
/// where only the time counts.
pub fn numbers(len: usize) -> Vec<f32> {
    let number = |at: usize| ((at * 37 % 101) as f32 - 50.0) / 500.0 + 0.001;
    (0..len).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s_engine::ActivationFunction;

    /// A pool and a classifier, for grey images of 8×8.
    fn tiny() -> Network {
        let plan = serde_json::json!({
            "stages": [{
                "prefix": "", "sources": [null], "inputs": [{ "channels": 1, "outputs": 1, "block": null }],
                "nodes": [1], "output": [1],
                "edges": [{ "from": 0, "to": 1, "blocks": [{
                    "block": { "pool": { "kind": "max", "kernel": 3, "stride": 1, "padding": 1, "norm": false } },
                    "name": "", "first": 0,
                }] }],
            }],
            "last_relu": false,
        });
        let preprocessing = serde_json::json!({
            "channels": 1, "image_size": 8, "centre_crop": 1.0, "mean": [0.0], "std": [1.0], "classes": ["a"],
        });
        let description = serde_json::json!({ "plan": plan, "preprocessing": preprocessing });
        let header = serde_json::json!({
            "__metadata__": { "da2s": description.to_string() },
            "classifier.weight": { "dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4] },
            "classifier.bias": { "dtype": "F32", "shape": [1], "data_offsets": [4, 8] },
        })
        .to_string();
        let length = (header.len() as u64).to_le_bytes();
        Network::from_bytes(&[&length, header.as_bytes(), &[0; 8]].concat()).unwrap()
    }

    #[test]
    fn a_network_is_timed_at_least_3_and_at_most_300_times() {
        let network = tiny();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (within, runs) in [(Duration::ZERO, 3), (Duration::from_secs(3600), 300)] {
            let measured = pool.install(|| latency(&network, within)).unwrap();
            assert_eq!(measured.runs, runs);
            assert!(measured.median_ms.is_finite() && measured.median_ms >= 0.0);
        }
    }

    #[test]
    fn every_subject_has_the_median_of_its_times() {
        let bottleneck = Block::InvertedBottleneck {
            relu: false,
            kernel: 3,
            stride: 1,
            expansion: 3,
            activation: ActivationFunction::Relu,
            squeeze: false,
        };
        let subjects = [
            Subject::Block {
                block: bottleneck,
                inputs: 4,
                outputs: 4,
                size: (5, 5),
            },
            Subject::Block {
                block: Block::Identity,
                inputs: 4,
                outputs: 4,
                size: (5, 5),
            },
            Subject::Classifier {
                features: 4,
                classes: 3,
                size: (5, 5),
            },
        ];
        let times_ms = medians_ms(&subjects, 3).unwrap();
        assert!(
            times_ms.iter().all(|time| time.is_finite() && *time > 0.0),
            "{times_ms:?}"
        );
        assert_eq!([median(vec![3.0, 1.0, 9.0]), median(vec![4.0, 1.0])], [3.0, 2.5]);
    }
}
