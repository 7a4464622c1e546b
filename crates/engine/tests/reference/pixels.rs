//! Operations on each pixel, and on whole images: activation functions, sums, concatenation.

use da2s_engine::ActivationFunction;

use super::tape::{Backward, Image, Tape, Value};
use super::windows::Window;

/// A summand: an image, the position of its weight (a vector on the tape and an index), and one
/// constant per image of the batch.
pub type Part = (Image, Option<(Value, usize)>, Vec<f64>);

impl Tape {
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
    pub fn squeeze_and_excite(&mut self, x: Image, weights: Value, at: usize, squeezed: usize) -> Image {
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
        let reduced = self.convolve(means, (weights, at), squeezed, Window::POINT, (1, 1));
        let reduced = self.bias(reduced, weights, at + matrix);
        let reduced = self.activated(reduced, ActivationFunction::Relu);
        let second = at + matrix + squeezed;
        let excited = self.convolve(reduced, (weights, second), x.channels, Window::POINT, (1, 1));
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
