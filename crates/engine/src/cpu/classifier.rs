//! A linear classifier on the mean over each image, on slices.
//!
//! Contract: images are `[batch, height, width, features]`, weights `[classes, features]` followed
//! by a bias per class, logits `[batch, classes]`. Means are summed pixel by pixel, and products
//! over features and over images in order, so the result does not depend on the number of threads.

use da2s_kernels::pointwise::{self, Shape};
use da2s_kernels::{Level, elementwise, table};
use rayon::prelude::*;

/// A classifier; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// Channels of an image.
    pub features: usize,
    /// Number of logits.
    pub classes: usize,
    /// Whether ReLU comes before the mean.
    pub relu: bool,
    /// The instruction set that it uses.
    pub level: Level,
}

impl Classifier {
    /// Computes `means`, `[batch, features]`, and `logits` of the `images`.
    ///
    /// # Panics
    /// If the lengths of the slices do not match; the other functions panic likewise.
    pub fn forward(&self, images: &[f32], weights: &[f32], means: &mut [f32], logits: &mut [f32]) {
        let (features, classes) = (self.features, self.classes);
        let batch = logits.len() / classes;
        let image = images.len() / batch;
        images
            .par_chunks(image)
            .zip(means.par_chunks_mut(features))
            .for_each(|(image, mean)| self.mean(image, mean));

        let (matrix, bias) = weights.split_at(classes * features);
        let mut packed = vec![0.0; features * table::rounded(classes)];
        pointwise::pack(matrix, features, classes, &mut packed);
        for logits in logits.chunks_exact_mut(classes) {
            logits.copy_from_slice(bias);
        }
        pointwise::product(self.level, self.shape(batch), &packed, means, true, classes, logits);
    }

    /// Computes the requested gradients, of the weights and of the images, given those of the
    /// logits and the means that [`Classifier::forward`] computed.
    pub fn backward(
        &self,
        (images, means): (&[f32], &[f32]),
        weights: &[f32],
        d_logits: &[f32],
        d_weights: Option<&mut [f32]>,
        d_images: Option<&mut [f32]>,
    ) {
        let (features, classes) = (self.features, self.classes);
        let batch = d_logits.len() / classes;
        if let Some(d_weights) = d_weights {
            let (matrix, bias) = d_weights.split_at_mut(classes * features);
            let mut packed = vec![0.0; features * table::rounded(classes)];
            pointwise::weight_gradient(self.level, self.shape(batch), means, classes, d_logits, &mut packed);
            matrix.fill(0.0);
            pointwise::unpack_add(&packed, features, classes, matrix);
            bias.fill(0.0);
            for d_logits in d_logits.chunks_exact(classes) {
                elementwise::add(self.level, d_logits, bias);
            }
        }
        if let Some(d_images) = d_images {
            let mut packed = vec![0.0; classes * table::rounded(features)];
            pointwise::pack_transposed(&weights[..classes * features], features, &mut packed);
            let mut d_means = vec![0.0; batch * features];
            let shape = Shape {
                pixels: batch,
                inputs: classes,
                outputs: features,
            };
            pointwise::product(self.level, shape, &packed, d_logits, false, features, &mut d_means);
            let image = images.len() / batch;
            let rows = images.par_chunks(image).zip(d_images.par_chunks_mut(image));
            rows.zip(d_means.par_chunks_mut(features))
                .for_each(|((image, d_image), d_mean)| self.spread(image, d_mean, d_image));
        }
    }

    fn shape(&self, batch: usize) -> Shape {
        Shape {
            pixels: batch,
            inputs: self.features,
            outputs: self.classes,
        }
    }

    fn mean(&self, image: &[f32], mean: &mut [f32]) {
        mean.fill(0.0);
        for pixel in image.chunks_exact(self.features) {
            if self.relu {
                elementwise::add_gated(self.level, pixel, pixel, mean);
            } else {
                elementwise::add(self.level, pixel, mean);
            }
        }
        let pixels = (image.len() / self.features) as f32;
        mean.iter_mut().for_each(|sum| *sum /= pixels);
    }

    /// The gradient of an image, given that of its mean. Divides `d_mean` by the number of pixels
    /// in place.
    fn spread(&self, image: &[f32], d_mean: &mut [f32], d_image: &mut [f32]) {
        let pixels = (image.len() / self.features) as f32;
        d_mean.iter_mut().for_each(|gradient| *gradient /= pixels);
        let pixels = image.chunks_exact(self.features);
        for (pixel, d_pixel) in pixels.zip(d_image.chunks_exact_mut(self.features)) {
            if self.relu {
                elementwise::gate(self.level, pixel, d_mean, d_pixel);
            } else {
                d_pixel.copy_from_slice(d_mean);
            }
        }
    }
}
