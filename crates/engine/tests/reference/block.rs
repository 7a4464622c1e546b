//! A block of a plan.

use da2s_engine::{ActivationFunction, Block, Choice};

use super::Call;
use super::tape::{Image, Tape, Value};
use super::windows::Window;

/// One block; `None` for zero.
pub fn block(
    tape: &mut Tape,
    choice: &Choice,
    x: Image,
    weights: Value,
    call: &Call,
    statistics: &mut (Vec<f64>, Vec<f64>),
) -> Option<Image> {
    let outputs = choice.outputs;
    let mut weight = choice.weight_offset;
    let mut norm_at = choice.norm_offset;
    let mut norm = |tape: &mut Tape, x: Image, weight: &mut usize| {
        let range = norm_at..norm_at + x.channels;
        norm_at += x.channels;
        let affine = choice.affine.then_some((weights, *weight));
        if choice.affine {
            *weight += 2 * x.channels;
        }
        let given = call
            .running
            .as_ref()
            .map(|(mean, variance)| (&mean[range.clone()], &variance[range.clone()]));
        let (out, mean, variance) = tape.norm(x, affine, given);
        let count = (x.batch * x.height * x.width) as f64;
        statistics.0[range.clone()].copy_from_slice(&mean);
        for (to, v) in statistics.1[range].iter_mut().zip(variance) {
            *to = v * count / (count - 1.0);
        }
        out
    };
    Some(match choice.block {
        Block::Zero { .. } => return None,
        Block::Identity => x,
        Block::Relu => tape.activated(x, ActivationFunction::Relu),
        Block::Relu6 => tape.activated(x, ActivationFunction::Relu6),
        Block::HardSwish => tape.activated(x, ActivationFunction::HardSwish),
        Block::Norm | Block::Take { .. } | Block::Shuffle { .. } => {
            panic!("no plan of these tests contains this block: engines.rs compares it with the plain path")
        }
        Block::Pool {
            kind,
            kernel,
            stride,
            padding,
            norm: with_norm,
        } => {
            let out = tape.pool(x, kind, kernel, stride, padding);
            if with_norm { norm(tape, out, &mut weight) } else { out }
        }
        Block::FactorizedReduce => {
            let size = (x.height.div_ceil(2), x.width.div_ceil(2));
            let x = tape.activated(x, ActivationFunction::Relu);
            let half = outputs / 2;
            let first = tape.convolve(
                x,
                (weights, weight),
                half,
                Window {
                    stride: 2,
                    ..Window::POINT
                },
                size,
            );
            let second = tape.convolve(
                x,
                (weights, weight + half * x.channels),
                outputs - half,
                Window {
                    stride: 2,
                    padding: -1,
                    ..Window::POINT
                },
                size,
            );
            weight += outputs * x.channels;
            let both = tape.concatenate(&[first, second]);
            norm(tape, both, &mut weight)
        }
        Block::Conv {
            relu,
            kernel,
            stride,
            padding,
            bias,
            norm: with_norm,
        } => {
            let side = |side: usize| (side + 2 * padding - kernel) / stride + 1;
            let size = (side(x.height), side(x.width));
            let x = if relu {
                tape.activated(x, ActivationFunction::Relu)
            } else {
                x
            };
            let mut out = tape.convolve(
                x,
                (weights, weight),
                outputs,
                Window {
                    kernel,
                    stride,
                    padding: padding as isize,
                    ..Window::POINT
                },
                size,
            );
            weight += outputs * x.channels * kernel * kernel;
            if bias {
                out = tape.bias(out, weights, weight);
                weight += outputs;
            }
            if with_norm { norm(tape, out, &mut weight) } else { out }
        }
        Block::Separable {
            kernel,
            stride,
            dilation,
            stages,
        } => {
            let mut x = x;
            for stage in 0..stages {
                let stride = if stage == 0 { stride } else { 1 };
                let to = if stage + 1 == stages { outputs } else { x.channels };
                let padding = (dilation * (kernel - 1) / 2) as isize;
                let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
                let channels = x.channels;
                x = tape.activated(x, ActivationFunction::Relu);
                x = tape.convolve(
                    x,
                    (weights, weight),
                    channels,
                    Window {
                        kernel,
                        stride,
                        dilation,
                        padding,
                        groups: channels,
                    },
                    size,
                );
                weight += channels * kernel * kernel;
                x = tape.convolve(x, (weights, weight), to, Window::POINT, size);
                weight += channels * to;
                x = norm(tape, x, &mut weight);
            }
            x
        }
        Block::Basic { kernel, stride } => {
            let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
            let padding = (kernel / 2) as isize;
            let mut x = x;
            for stride in [stride, 1] {
                let inputs = x.channels;
                x = tape.activated(x, ActivationFunction::Relu);
                x = tape.convolve(
                    x,
                    (weights, weight),
                    outputs,
                    Window {
                        kernel,
                        stride,
                        padding,
                        ..Window::POINT
                    },
                    size,
                );
                weight += inputs * outputs * kernel * kernel;
                x = norm(tape, x, &mut weight);
            }
            x
        }
        Block::InvertedBottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation,
            squeeze,
        } => {
            let (whole, hidden) = ((x.height, x.width), expansion * x.channels);
            let size = (x.height.div_ceil(stride), x.width.div_ceil(stride));
            let mut x = if relu {
                tape.activated(x, ActivationFunction::Relu)
            } else {
                x
            };
            if expansion > 1 {
                let inputs = x.channels;
                x = tape.convolve(x, (weights, weight), hidden, Window::POINT, whole);
                weight += inputs * hidden;
                x = norm(tape, x, &mut weight);
                x = tape.activated(x, activation);
            }
            let padding = (kernel / 2) as isize;
            x = tape.convolve(
                x,
                (weights, weight),
                hidden,
                Window {
                    kernel,
                    stride,
                    padding,
                    groups: hidden,
                    ..Window::POINT
                },
                size,
            );
            weight += hidden * kernel * kernel;
            x = norm(tape, x, &mut weight);
            x = tape.activated(x, activation);
            if squeeze {
                let squeezed = hidden.div_ceil(4);
                x = tape.squeeze_and_excite(x, weights, weight, squeezed);
                weight += 2 * hidden * squeezed + hidden + squeezed;
            }
            x = tape.convolve(x, (weights, weight), outputs, Window::POINT, size);
            weight += hidden * outputs;
            norm(tape, x, &mut weight)
        }
    })
}
