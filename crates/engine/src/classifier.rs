//! A linear classifier on the mean over each image: the last layer of a network.
//!
//! Contract: images `[batch, features, height, width]`, weights `[classes, features]` followed by a
//! bias per class in one flat vector, logits `[batch, classes]`. Like a [`Cell`](crate::Cell), it
//! has a plain path, which is the reference, and a fused one for the CPU; GPUs run the plain path.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::cell::Engine;
use crate::cpu;
use crate::fused::{self, Memory};

/// Maximum number of products that a GPU stores individually, 64 MiB; if a classifier has more, the
/// GPU multiplies matrices.
const MOST_PRODUCTS: usize = 1 << 24;

/// A classifier that can be run.
#[derive(Clone, Debug)]
pub struct Classifier {
    features: usize,
    classes: usize,
    relu: bool,
    fused: Option<Memory>,
}

impl Classifier {
    /// A classifier that runs on `engine`.
    pub fn new(features: usize, classes: usize, engine: &Engine) -> Self {
        let fused = match engine {
            Engine::Fused(memory) => Some(memory.clone()),
            Engine::Plain => None,
            #[cfg(feature = "gpu")]
            Engine::Gpu => None,
        };
        Self {
            features,
            classes,
            relu: false,
            fused,
        }
    }

    /// The same classifier with ReLU before the mean.
    pub fn with_relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Whether ReLU comes before the mean.
    pub fn has_relu(&self) -> bool {
        self.relu
    }

    /// The logits of `images`.
    ///
    /// # Panics
    /// If a shape does not match the classifier's.
    pub fn forward(&self, images: Tensor<4>, weights: Tensor<1>) -> Tensor<2> {
        assert_eq!(images.dims()[1], self.features, "channels of an image");
        assert_eq!(
            weights.dims(),
            [self.classes * (self.features + 1)],
            "length of the weight vector"
        );
        let Some(memory) = &self.fused else {
            return self.plain_forward(images, weights);
        };
        let kernel = cpu::Classifier {
            features: self.features,
            classes: self.classes,
            relu: self.relu,
            level: memory.level(),
        };
        fused::classify(kernel, memory, images, weights)
    }

    fn plain_forward(&self, images: Tensor<4>, weights: Tensor<1>) -> Tensor<2> {
        let (features, classes) = (self.features, self.classes);
        let images = if self.relu { relu(images) } else { images };
        let [batch, ..] = images.dims();
        let means = images.mean_dim(2).mean_dim(3).reshape([batch, features]);
        let matrix = weights
            .clone()
            .narrow(0, 0, classes * features)
            .reshape([classes, features]);
        let bias = weights.narrow(0, classes * features, classes).reshape([1, classes]);
        // GPUs multiply matrices with less precision than float32 (TF32); individual products keep
        // full precision, as long as there are few of them.
        let on_cpu = means.device().without_autodiff() == Device::flex();
        if on_cpu || batch * classes * features > MOST_PRODUCTS {
            return means.matmul(matrix.transpose()) + bias;
        }
        let products = means.reshape([batch, 1, features]) * matrix.reshape([1, classes, features]);
        products.sum_dim(2).reshape([batch, classes]) + bias
    }
}
