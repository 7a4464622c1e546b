//! Operations on images in f64, by plain loops, on a tape that propagates their gradients.

use da2s_engine::{ActivationFunction, PoolKind};

/// A value on the tape: its position.
pub type Value = usize;

type Backward = Box<dyn Fn(&[f64], &[Vec<f64>], &mut [Vec<f64>])>;

/// Values in the order of their computation, each with the step that propagates its gradient.
#[derive(Default)]
pub struct Tape {
    values: Vec<Vec<f64>>,
    steps: Vec<Option<Backward>>,
}

/// An image batch on the tape, NHWC.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    pub value: Value,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// A summand: an image, the position of its weight (a vector on the tape and an index), and one
/// constant per image of the batch.
pub type Part = (Image, Option<(Value, usize)>, Vec<f64>);

impl Tape {
    pub fn leaf(&mut self, value: Vec<f64>) -> Value {
        self.push(value, None)
    }

    fn push(&mut self, value: Vec<f64>, step: Option<Backward>) -> Value {
        self.values.push(value);
        self.steps.push(step);
        self.values.len() - 1
    }

    pub fn value(&self, value: Value) -> &[f64] {
        &self.values[value]
    }

    /// Gradients of Σ `seed` · `output` with respect to everything on the tape.
    pub fn gradients(&self, output: Value, seed: &[f64]) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = self.values.iter().map(|value| vec![0.0; value.len()]).collect();
        gradients[output].copy_from_slice(seed);
        for at in (0..self.values.len()).rev() {
            if let Some(step) = &self.steps[at] {
                let gradient = std::mem::take(&mut gradients[at]);
                step(&gradient, &self.values, &mut gradients);
                gradients[at] = gradient;
            }
        }
        gradients
    }

    pub fn relu(&mut self, x: Image) -> Image {
        self.activated(x, ActivationFunction::Relu)
    }

    pub fn activated(&mut self, x: Image, function: ActivationFunction) -> Image {
        let of = move |x: f64| match function {
            ActivationFunction::Relu => (x.max(0.0), f64::from(u8::from(x > 0.0))),
            ActivationFunction::Relu6 => (x.clamp(0.0, 6.0), f64::from(u8::from(x > 0.0 && x < 6.0))),
            ActivationFunction::HardSwish if x <= -3.0 => (0.0, 0.0),
            ActivationFunction::HardSwish if x >= 3.0 => (x, 1.0),
            ActivationFunction::HardSwish => (x * (x + 3.0) / 6.0, (2.0 * x + 3.0) / 6.0),
        };
        let from = x.value;
        let out = self.values[from].iter().map(|&x| of(x).0).collect();
        let step: Backward = Box::new(move |d, values, gradients| {
            for (i, d) in d.iter().enumerate() {
                gradients[from][i] += d * of(values[from][i]).1;
            }
        });
        Image {
            value: self.push(out, Some(step)),
            ..x
        }
    }

    /// `x`, each channel multiplied by the hard-sigmoid of W₂ ReLU(W₁ m + b₁) + b₂, where m are its
    /// means; `at` is the offset of W₁, b₁, W₂, b₂.
    pub fn squeeze(&mut self, x: Image, weights: Value, at: usize, squeezed: usize) -> Image {
        let pixels = x.height * x.width;
        let mut means = vec![0.0; x.batch * x.channels];
        let of = move |i: usize| i / (pixels * x.channels) * x.channels + i % x.channels;
        for (i, value) in self.values[x.value].iter().enumerate() {
            means[of(i)] += value / pixels as f64;
        }
        let from = x.value;
        let step: Backward = Box::new(move |d, _, gradients| {
            for (i, to) in gradients[from].iter_mut().enumerate() {
                *to += d[of(i)] / pixels as f64;
            }
        });
        let means = Image {
            value: self.push(means, Some(step)),
            height: 1,
            width: 1,
            ..x
        };
        let matrix = x.channels * squeezed;
        let reduced = self.convolve(means, weights, at, squeezed, 1, 1, 1, 0, 1, (1, 1));
        let reduced = self.bias(reduced, weights, at + matrix);
        let reduced = self.relu(reduced);
        let second = at + matrix + squeezed;
        let excited = self.convolve(reduced, weights, second, x.channels, 1, 1, 1, 0, 1, (1, 1));
        let excited = self.bias(excited, weights, second + matrix).value;
        let gate = |u: f64| ((u + 3.0) / 6.0).clamp(0.0, 1.0);
        let values = self.values[from].iter().enumerate();
        let out = values
            .map(|(i, value)| value * gate(self.values[excited][of(i)]))
            .collect();
        let step: Backward = Box::new(move |d, values, gradients| {
            for (i, d) in d.iter().enumerate() {
                let u = values[excited][of(i)];
                gradients[from][i] += d * gate(u);
                if u > -3.0 && u < 3.0 {
                    gradients[excited][of(i)] += d * values[from][i] / 6.0;
                }
            }
        });
        Image {
            value: self.push(out, Some(step)),
            ..x
        }
    }

    /// Convolution with weights `[outputs, inputs / groups, k, k]` at `offset` of the vector
    /// `weights`. The window's first tap of output (0, 0) lies at (−padding, −padding).
    #[allow(clippy::too_many_arguments)]
    pub fn convolve(
        &mut self,
        x: Image,
        weights: Value,
        offset: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: isize,
        groups: usize,
        size: (usize, usize),
    ) -> Image {
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

    pub fn bias(&mut self, x: Image, weights: Value, offset: usize) -> Image {
        let (from, channels) = (x.value, x.channels);
        let bias = &self.values[weights][offset..offset + channels];
        let out = self.values[from]
            .iter()
            .enumerate()
            .map(|(i, x)| x + bias[i % channels])
            .collect();
        let step: Backward = Box::new(move |d, _, gradients| {
            for (i, d) in d.iter().enumerate() {
                gradients[from][i] += d;
                gradients[weights][offset + i % channels] += d;
            }
        });
        Image {
            value: self.push(out, Some(step)),
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

    /// Batch norm; also returns mean and biased variance. `given`: statistics to use instead of the
    /// batch's.
    pub fn norm(
        &mut self,
        x: Image,
        affine: Option<(Value, usize)>,
        given: Option<(&[f64], &[f64])>,
    ) -> (Image, Vec<f64>, Vec<f64>) {
        let (from, channels) = (x.value, x.channels);
        let count = (x.batch * x.height * x.width) as f64;
        let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
        match given {
            Some((given_mean, given_variance)) => {
                mean.copy_from_slice(given_mean);
                variance.copy_from_slice(given_variance);
            }
            None => {
                for (i, x) in self.values[from].iter().enumerate() {
                    mean[i % channels] += x / count;
                }
                for (i, x) in self.values[from].iter().enumerate() {
                    variance[i % channels] += (x - mean[i % channels]).powi(2) / count;
                }
            }
        }
        let inverse: Vec<f64> = variance.iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
        let normal: Vec<f64> = self.values[from]
            .iter()
            .enumerate()
            .map(|(i, x)| (x - mean[i % channels]) * inverse[i % channels])
            .collect();
        let gamma: Vec<f64> = affine.map_or(vec![1.0; channels], |(w, at)| {
            self.values[w][at..at + channels].to_vec()
        });
        let beta: Vec<f64> = affine.map_or(vec![0.0; channels], |(w, at)| {
            self.values[w][at + channels..at + 2 * channels].to_vec()
        });
        let out = normal
            .iter()
            .enumerate()
            .map(|(i, x)| gamma[i % channels] * x + beta[i % channels])
            .collect();
        let from_batch = given.is_none();
        let step: Backward = Box::new(move |d, _, gradients| {
            let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
            for (i, d) in d.iter().enumerate() {
                first[i % channels] += d;
                second[i % channels] += d * normal[i];
            }
            if let Some((weights, at)) = affine {
                for c in 0..channels {
                    gradients[weights][at + c] += second[c];
                    gradients[weights][at + channels + c] += first[c];
                }
            }
            for (i, d) in d.iter().enumerate() {
                let c = i % channels;
                let centred = if from_batch {
                    d - first[c] / count - normal[i] * second[c] / count
                } else {
                    *d
                };
                gradients[from][i] += gamma[c] * inverse[c] * centred;
            }
        });
        (
            Image {
                value: self.push(out, Some(step)),
                ..x
            },
            mean,
            variance,
        )
    }

    /// Σ of `parts`, each times an element of a vector and one constant per image.
    pub fn weighted_sum(&mut self, shape: Image, parts: Vec<Part>) -> Image {
        let len = shape.height * shape.width * shape.channels;
        let mut out = vec![0.0; shape.batch * len];
        for (part, weight, factors) in &parts {
            let weight = weight.map_or(1.0, |(vector, at)| self.values[vector][at]);
            for (i, out) in out.iter_mut().enumerate() {
                *out += weight * factors[i / len] * self.values[part.value][i];
            }
        }
        let step: Backward = Box::new(move |d, values, gradients| {
            for (part, place, factors) in &parts {
                let weight = place.map_or(1.0, |(vector, at)| values[vector][at]);
                for (i, d) in d.iter().enumerate() {
                    gradients[part.value][i] += weight * factors[i / len] * d;
                    if let Some((vector, at)) = *place {
                        gradients[vector][at] += factors[i / len] * d * values[part.value][i];
                    }
                }
            }
        });
        Image {
            value: self.push(out, Some(step)),
            ..shape
        }
    }

    pub fn concatenate(&mut self, parts: &[Image]) -> Image {
        let channels: usize = parts.iter().map(|part| part.channels).sum();
        let pixels = parts[0].batch * parts[0].height * parts[0].width;
        let mut out = Vec::with_capacity(pixels * channels);
        for p in 0..pixels {
            for part in parts {
                out.extend_from_slice(&self.values[part.value][p * part.channels..(p + 1) * part.channels]);
            }
        }
        let owned = parts.to_vec();
        let step: Backward = Box::new(move |d, _, gradients| {
            let mut at = 0;
            for p in 0..pixels {
                for part in &owned {
                    for c in 0..part.channels {
                        gradients[part.value][p * part.channels + c] += d[at];
                        at += 1;
                    }
                }
            }
        });
        Image {
            value: self.push(out, Some(step)),
            channels,
            ..parts[0]
        }
    }
}
