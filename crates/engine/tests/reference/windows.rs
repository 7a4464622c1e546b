//! Operations that read neighbours: convolution and pooling.

use da2s_engine::PoolKind;

use super::tape::{Backward, Image, Tape, Value};

/// How a convolution reads an image. The window's first tap of output (0, 0) lies at (−padding,
/// −padding).
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub padding: isize,
    pub groups: usize,
}

impl Window {
    /// One pixel, all channels.
    pub const POINT: Self = Self {
        kernel: 1,
        stride: 1,
        dilation: 1,
        padding: 0,
        groups: 1,
    };
}

impl Tape {
    /// Convolution to `outputs` channels and the height and width `size`, with weights `[outputs,
    /// inputs / groups, k, k]` at an offset of a vector on the tape.
    pub fn convolve(
        &mut self,
        x: Image,
        (weights, offset): (Value, usize),
        outputs: usize,
        window: Window,
        size: (usize, usize),
    ) -> Image {
        let Window {
            kernel,
            stride,
            dilation,
            padding,
            groups,
        } = window;
        let (inputs_each, outputs_each) = (x.channels / groups, outputs / groups);
        // Every product: (output, input, weight).
        let mut products = Vec::new();
        for n in 0..x.batch {
            for y in 0..size.0 {
                for column in 0..size.1 {
                    for tap in 0..kernel * kernel {
                        let reach = |at: usize, tap: usize| (at * stride + tap * dilation) as isize - padding;
                        let (iy, ix) = (reach(y, tap / kernel), reach(column, tap % kernel));
                        if iy < 0 || ix < 0 || iy >= x.height as isize || ix >= x.width as isize {
                            continue;
                        }
                        let pixel = (n * x.height + iy as usize) * x.width + ix as usize;
                        for output in 0..outputs {
                            for i in 0..inputs_each {
                                products.push((
                                    ((n * size.0 + y) * size.1 + column) * outputs + output,
                                    pixel * x.channels + output / outputs_each * inputs_each + i,
                                    offset + (output * inputs_each + i) * kernel * kernel + tap,
                                ));
                            }
                        }
                    }
                }
            }
        }
        let mut out = vec![0.0; x.batch * size.0 * size.1 * outputs];
        for &(output, input, weight) in &products {
            out[output] += self.values[x.value][input] * self.values[weights][weight];
        }
        let from = x.value;
        let step: Backward = Box::new(move |d, values, gradients| {
            for &(output, input, weight) in &products {
                gradients[from][input] += d[output] * values[weights][weight];
                gradients[weights][weight] += d[output] * values[from][input];
            }
        });
        Image {
            value: self.push(out, Some(step)),
            height: size.0,
            width: size.1,
            channels: outputs,
            ..x
        }
    }

    pub fn pool(&mut self, x: Image, kind: PoolKind, kernel: usize, stride: usize, padding: usize) -> Image {
        let out_side = |side: usize| (side + 2 * padding - kernel) / stride + 1;
        let (height, width) = (out_side(x.height), out_side(x.width));
        // For every output, the inputs with their shares.
        let mut shares: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut out = Vec::new();
        for n in 0..x.batch {
            for y in 0..height {
                for column in 0..width {
                    for c in 0..x.channels {
                        let mut inside = Vec::new();
                        for tap in 0..kernel * kernel {
                            let iy = (y * stride + tap / kernel).wrapping_sub(padding);
                            let ix = (column * stride + tap % kernel).wrapping_sub(padding);
                            if iy < x.height && ix < x.width {
                                inside.push(((n * x.height + iy) * x.width + ix) * x.channels + c);
                            }
                        }
                        let value = |at: usize| self.values[x.value][at];
                        let share = match kind {
                            PoolKind::Average => inside.iter().map(|&at| (at, 1.0 / inside.len() as f64)).collect(),
                            PoolKind::Max => {
                                let best = inside
                                    .iter()
                                    .copied()
                                    .reduce(|a, b| if value(b) > value(a) { b } else { a });
                                vec![(best.unwrap(), 1.0)]
                            }
                        };
                        out.push(share.iter().map(|&(at, share): &(usize, f64)| share * value(at)).sum());
                        shares.push(share);
                    }
                }
            }
        }
        let from = x.value;
        let step: Backward = Box::new(move |d, _, gradients| {
            for (d, shares) in d.iter().zip(&shares) {
                for &(at, share) in shares {
                    gradients[from][at] += share * d;
                }
            }
        });
        Image {
            value: self.push(out, Some(step)),
            height,
            width,
            ..x
        }
    }
}
