//! Squeeze-and-excitation on one image: a gate for each channel, computed from the means of all.
//!
//! Reference: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, equations 2 to 4, with
//! the gate of Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.3: with the mean m
//! of each channel, h = max(W₁ m + b₁, 0), u = W₂ h + b₂, and the gate s = min(max(u + 3, 0), 6)/6
//! multiplies its channel. Contract: images are packed pixels; weights are W₁ `[squeezed,
//! channels]`, b₁, W₂ `[channels, squeezed]`, b₂, one after another. Plain loops: the matrices are
//! small, and the image is read once.

use std::ops::Range;

/// Accumulators of a sum of products, kept in vectors.
const LANES: usize = 16;

/// The sizes of a squeeze-and-excitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squeeze {
    /// Channels of the image.
    pub channels: usize,
    /// Channels between the two matrices.
    pub squeezed: usize,
}

/// What a forward pass computes, and a backward pass computes again, in memory of
/// [`Squeeze::scratch_len`] floats.
struct Values<'a> {
    mean: &'a mut [f32],
    hidden: &'a mut [f32],
    /// u.
    excited: &'a mut [f32],
    /// Gradients of `mean`, `hidden` and `excited`.
    d_mean: &'a mut [f32],
    d_hidden: &'a mut [f32],
    d_excited: &'a mut [f32],
}

impl Squeeze {
    /// Number of weights.
    pub const fn weight_count(self) -> usize {
        2 * self.channels * self.squeezed + self.channels + self.squeezed
    }

    /// Floats of memory that a call needs.
    pub const fn scratch_len(self) -> usize {
        4 * self.channels + 2 * self.squeezed
    }

    /// Positions of W₁, b₁, W₂ and b₂.
    const fn parts(self) -> [Range<usize>; 4] {
        let matrix = self.channels * self.squeezed;
        let second = matrix + self.squeezed;
        [
            0..matrix,
            matrix..second,
            second..second + matrix,
            second + matrix..self.weight_count(),
        ]
    }

    fn cut(self, memory: &mut [f32]) -> Values<'_> {
        let (mean, memory) = memory.split_at_mut(self.channels);
        let (excited, memory) = memory.split_at_mut(self.channels);
        let (d_mean, memory) = memory.split_at_mut(self.channels);
        let (d_excited, memory) = memory.split_at_mut(self.channels);
        let (hidden, memory) = memory.split_at_mut(self.squeezed);
        Values {
            mean,
            hidden,
            excited,
            d_mean,
            d_hidden: &mut memory[..self.squeezed],
            d_excited,
        }
    }

    /// Computes the means, h and u of `image`.
    fn forward(self, weights: &[f32], image: &[f32], values: &mut Values<'_>) {
        values.mean.fill(0.0);
        for pixel in image.chunks_exact(self.channels) {
            add(pixel, 1.0, values.mean);
        }
        let share = self.channels as f32 / image.len() as f32;
        values.mean.iter_mut().for_each(|mean| *mean *= share);
        self.excite(weights, values.mean, values.hidden, values.excited);
    }

    /// Computes h and u.
    fn excite(self, weights: &[f32], mean: &[f32], hidden: &mut [f32], excited: &mut [f32]) {
        let [first, first_bias, second, second_bias] = self.parts().map(|part| &weights[part]);
        let rows = first.chunks_exact(self.channels).zip(first_bias);
        for (hidden, (row, bias)) in hidden.iter_mut().zip(rows) {
            let sum = product(row, mean) + bias;
            // NaN stays, so that it is found before a step moves anything.
            *hidden = if sum <= 0.0 { 0.0 } else { sum };
        }
        let rows = second.chunks_exact(self.squeezed).zip(second_bias);
        for (excited, (row, bias)) in excited.iter_mut().zip(rows) {
            *excited = product(row, hidden) + bias;
        }
    }

    /// Computes the gates of an image from the means of its channels, with memory for the squeezed
    /// channels.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn gates(self, weights: &[f32], means: &[f32], hidden: &mut [f32], gates: &mut [f32]) {
        let (hidden, gates) = (&mut hidden[..self.squeezed], &mut gates[..self.channels]);
        self.excite(weights, &means[..self.channels], hidden, gates);
        gates.iter_mut().for_each(|u| *u = gate(*u));
    }

    /// Multiplies `image` by its gates.
    ///
    /// # Panics
    /// If the weights or the memory are too short.
    pub fn apply(self, weights: &[f32], image: &mut [f32], memory: &mut [f32]) {
        let mut values = self.cut(memory);
        self.forward(weights, image, &mut values);
        let gates = values.excited;
        gates.iter_mut().for_each(|u| *u = gate(*u));
        for pixel in image.chunks_exact_mut(self.channels) {
            for (value, gate) in pixel.iter_mut().zip(&*gates) {
                *value *= gate;
            }
        }
    }

    /// Turns `gradient`, that of the product of `image` and its gates, into that of `image`. Adds
    /// the gradients of the weights to `d_weights`, if they are requested.
    ///
    /// # Panics
    /// If the weights or the memory are too short.
    pub fn backward(
        self,
        weights: &[f32],
        image: &[f32],
        gradient: &mut [f32],
        memory: &mut [f32],
        d_weights: Option<&mut [f32]>,
    ) {
        let mut values = self.cut(memory);
        self.forward(weights, image, &mut values);
        let [first, _, second, _] = self.parts().map(|part| &weights[part]);
        values.d_excited.fill(0.0);
        for (pixel, d) in image
            .chunks_exact(self.channels)
            .zip(gradient.chunks_exact(self.channels))
        {
            for ((sum, value), d) in values.d_excited.iter_mut().zip(pixel).zip(d) {
                *sum += value * d;
            }
        }
        for (d, u) in values.d_excited.iter_mut().zip(&*values.excited) {
            *d *= if *u > -3.0 && *u < 3.0 { 1.0 / 6.0 } else { 0.0 };
        }
        values.d_hidden.fill(0.0);
        for (row, d) in second.chunks_exact(self.squeezed).zip(&*values.d_excited) {
            add(row, *d, values.d_hidden);
        }
        for (d, hidden) in values.d_hidden.iter_mut().zip(&*values.hidden) {
            *d = if *hidden > 0.0 { *d } else { 0.0 };
        }
        values.d_mean.fill(0.0);
        for (row, d) in first.chunks_exact(self.channels).zip(&*values.d_hidden) {
            add(row, *d, values.d_mean);
        }
        if let Some(d_weights) = d_weights {
            let [d_first, d_first_bias, d_second, d_second_bias] = self.parts();
            let rows = d_weights[d_first].chunks_exact_mut(self.channels);
            rows.zip(&*values.d_hidden)
                .for_each(|(row, d)| add(values.mean, *d, row));
            add(values.d_hidden, 1.0, &mut d_weights[d_first_bias]);
            let rows = d_weights[d_second].chunks_exact_mut(self.squeezed);
            rows.zip(&*values.d_excited)
                .for_each(|(row, d)| add(values.hidden, *d, row));
            add(values.d_excited, 1.0, &mut d_weights[d_second_bias]);
        }
        let share = self.channels as f32 / image.len() as f32;
        values.d_mean.iter_mut().for_each(|d| *d *= share);
        let gates = values.excited;
        gates.iter_mut().for_each(|u| *u = gate(*u));
        for pixel in gradient.chunks_exact_mut(self.channels) {
            for ((d, gate), of_mean) in pixel.iter_mut().zip(&*gates).zip(&*values.d_mean) {
                *d = *d * gate + of_mean;
            }
        }
    }
}

/// Hard-sigmoid; NaN stays NaN.
fn gate(u: f32) -> f32 {
    (u + 3.0).clamp(0.0, 6.0) / 6.0
}

/// `to += factor · from`.
fn add(from: &[f32], factor: f32, to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// The sum of products, with one partial sum per vector lane.
fn product(one: &[f32], other: &[f32]) -> f32 {
    let ((ones, one_rest), (others, other_rest)) = (one.as_chunks::<LANES>(), other.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (one, other) in ones.iter().zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    let rest = one_rest.iter().zip(other_rest).map(|(one, other)| one * other);
    sums.into_iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Squeeze = Squeeze {
        channels: 19,
        squeezed: 5,
    };

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        let number = |at: usize| ((at * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0;
        (0..len).map(number).collect()
    }

    /// Σ `pull` · the result, in f64.
    fn loss(weights: &[f64], image: &[f64], pull: &[f32]) -> f64 {
        let Squeeze { channels, squeezed } = SHAPE;
        let [first, first_bias, second, second_bias] = SHAPE.parts().map(|part| &weights[part]);
        let pixels = (image.len() / channels) as f64;
        let mean = |c: usize| image.iter().skip(c).step_by(channels).sum::<f64>() / pixels;
        let means: Vec<f64> = (0..channels).map(mean).collect();
        let row = |matrix: &[f64], from: &[f64], at: usize| -> f64 {
            let row = matrix[at * from.len()..].iter().zip(from);
            row.map(|(weight, value)| weight * value).sum()
        };
        let hidden: Vec<f64> = (0..squeezed)
            .map(|at| (row(first, &means, at) + first_bias[at]).max(0.0))
            .collect();
        let gates: Vec<f64> = (0..channels)
            .map(|at| ((row(second, &hidden, at) + second_bias[at] + 3.0) / 6.0).clamp(0.0, 1.0))
            .collect();
        let values = image.iter().zip(pull).enumerate();
        values
            .map(|(at, (value, pull))| value * gates[at % channels] * f64::from(*pull))
            .sum()
    }

    #[test]
    fn a_weight_that_is_nan_is_not_hidden_by_the_relu() {
        let mut weights = numbers(SHAPE.weight_count(), 1);
        weights[0] = f32::NAN;
        let mut image = numbers(3 * SHAPE.channels, 2);
        SHAPE.apply(&weights, &mut image, &mut vec![0.0; SHAPE.scratch_len()]);
        assert!(image.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn outputs_are_those_of_the_formula_and_gradients_are_central_differences() {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let pixels = 7;
        // Gates below 0, above 1 and between.
        let weights: Vec<f32> = numbers(SHAPE.weight_count(), 1).iter().map(|one| 2.5 * one).collect();
        let image = numbers(pixels * SHAPE.channels, 2);
        let pull = numbers(image.len(), 3);
        let mut memory = vec![f32::NAN; SHAPE.scratch_len()];
        let mut product = image.clone();
        SHAPE.apply(&weights, &mut product, &mut memory);
        let found: f64 = product.iter().zip(&pull).map(|(a, b)| f64::from(a * b)).sum();
        let expected = loss(&wide(&weights), &wide(&image), &pull);
        assert!(
            (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{found} {expected}"
        );
        let (mut gradient, mut d_weights) = (pull.clone(), vec![1.0; weights.len()]);
        memory.fill(f32::NAN);
        SHAPE.backward(&weights, &image, &mut gradient, &mut memory, Some(&mut d_weights));
        let mut without = pull.clone();
        SHAPE.backward(&weights, &image, &mut without, &mut memory, None);
        assert_eq!(without, gradient);
        let step = 1e-5;
        let check = |found: f32, loss: &dyn Fn(f64) -> f64, what: &str| {
            let slope = (loss(step) - loss(-step)) / (2.0 * step);
            assert!(
                (f64::from(found) - slope).abs() < 1e-3 * slope.abs().max(1.0),
                "{what}: {found} {slope}"
            );
        };
        for at in 0..weights.len() {
            let moved = |by: f64| {
                let mut weights = wide(&weights);
                weights[at] += by;
                loss(&weights, &wide(&image), &pull)
            };
            // The gradient was added to 1, the initial value.
            check(d_weights[at] - 1.0, &moved, &format!("weight {at}"));
        }
        for at in 0..image.len() {
            let moved = |by: f64| {
                let mut image = wide(&image);
                image[at] += by;
                loss(&wide(&weights), &image, &pull)
            };
            check(gradient[at], &moved, &format!("value {at}"));
        }
    }
}
