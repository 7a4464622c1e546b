//! Batch norm.

use super::tape::{Backward, Image, Tape, Value};

impl Tape {
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
}
