//! Compiles the blocks that can have a residual in parallel: ResNet's basic block and the inverted
//! bottleneck.

use da2s_kernels::activation::ActivationFunction;
use da2s_kernels::{Padded, Squeeze, Window, table};
use da2s_plan::{Choice, Layout};

use super::{Compiler, stage_norm};
use crate::cpu::compiled::{Chain, ChainOperation, PackedWeights, Shape};

/// The fields of [`da2s_plan::Block::InvertedBottleneck`] that its convolutions depend on.
pub(super) struct Bottleneck {
    pub relu: bool,
    pub kernel: usize,
    pub stride: usize,
    pub expansion: usize,
    pub activation: ActivationFunction,
}

impl Compiler<'_> {
    /// A stage for each of the two convolutions.
    pub(super) fn basic(
        &mut self,
        [input, output]: [Shape; 2],
        source: Padded,
        layout: &Layout,
        (kernel, stride): (usize, usize),
    ) -> Vec<Chain> {
        let stages = [
            (input, source, Window::same(kernel, stride, 1)),
            (output, output.padded(kernel / 2), Window::same(kernel, 1, 1)),
        ];
        let with_weights = stages.into_iter().zip(layout.convolutions.iter().zip(&layout.norms));
        let mut made: Vec<Chain> = Vec::with_capacity(stages.len());
        for ((from, padded, window), (weights, norm)) in with_weights {
            let walk = self.walk(window, from, output, padded, output.channels);
            let weights = self.place_weights(
                weights.kernel.offset,
                window.taps() * from.channels * output.channels,
                window.taps() * from.channels * table::rounded(output.channels),
                window.taps() * output.channels * table::rounded(from.channels),
            );
            let operation = ChainOperation::Dense {
                relu: true,
                walk,
                weights,
                bias: None,
            };
            let mut stage = self.stage(operation, from, output, Some(stage_norm(norm)), false);
            stage.inner = made.is_empty();
            made.push(stage);
        }
        made
    }

    /// A stage for each convolution, since each has a norm of its own.
    pub(super) fn inverted_bottleneck(
        &mut self,
        [input, output]: [Shape; 2],
        source: Padded,
        bottleneck: Bottleneck,
        (choice, layout): (&Choice, &Layout),
    ) -> Vec<Chain> {
        let Bottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation,
        } = bottleneck;
        let channels = input.channels * expansion;
        let (expanded, filtered) = (Shape { channels, ..input }, Shape { channels, ..output });
        let depthwise = layout.convolutions.len() - 2;
        let mut made: Vec<Chain> = Vec::with_capacity(layout.convolutions.len());
        for (index, (weights, norm)) in layout.convolutions.iter().zip(&layout.norms).enumerate() {
            let from = made.last().map_or(input, |before| before.output);
            let at = weights.kernel.offset;
            let relu = relu || index > 0;
            let (to, operation) = if index == depthwise {
                let window = Window::same(kernel, stride, 1);
                let padded = if index == 0 {
                    source
                } else {
                    from.padded(window.padding)
                };
                let walk = self.walk(window, from, filtered, padded, channels);
                let tables = window.taps() * table::length(channels);
                let weights = self.place_weights(at, window.taps() * channels, tables, 0);
                (filtered, ChainOperation::Depthwise { relu, walk, weights })
            } else {
                let to = if index == 0 { expanded } else { output };
                let padded = if index == 0 { source } else { from.padded(0) };
                let walk = self.walk(Window::same(1, 1, 1), from, to, padded, to.channels);
                let weights = self.place_weights(
                    at,
                    from.channels * to.channels,
                    from.channels * table::rounded(to.channels),
                    to.channels * table::rounded(from.channels),
                );
                let bias = None;
                (
                    to,
                    ChainOperation::Dense {
                        relu,
                        walk,
                        weights,
                        bias,
                    },
                )
            };
            let mut stage = self.stage(operation, from, to, Some(stage_norm(norm)), false);
            stage.inner = index + 1 < layout.convolutions.len();
            stage.activation = activation;
            made.push(stage);
        }
        if let Some(last) = made.last_mut() {
            last.squeeze = self.squeeze(choice, layout);
        }
        made
    }

    /// The squeeze-and-excitation of an inverted bottleneck, whose weights are used as they are.
    fn squeeze(&mut self, choice: &Choice, layout: &Layout) -> Option<(Squeeze, PackedWeights)> {
        let (channels, squeezed) = choice.block.squeezed(choice.inputs)?;
        let [first, _] = layout.squeeze.as_ref()?;
        let squeeze = Squeeze { channels, squeezed };
        self.out.squeeze_len = self.out.squeeze_len.max(squeeze.scratch_len());
        let len = squeeze.weight_count();
        Some((squeeze, self.place_weights(first.kernel.offset, len, len, 0)))
    }
}
