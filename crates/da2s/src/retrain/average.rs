//! The average of weights and statistics over the steps of a training, which is evaluated and kept
//! in place of the last ones.
//!
//! Reference: Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, as
//! an exponential average whose decay warms up like that of timm's `ModelEmaV3` (`use_warmup`,
//! gamma 1, power 2/3). After step n
//!
//! ```text
//! average ← d(n) · average + (1 − d(n)) · weights,   d(n) = min(d, 1 − n^(−2/3))
//! ```
//!
//! d(1) is 0, so the average begins with the weights after the first step, and the initial ones
//! have no part in it; nothing is left to be corrected for bias. Running statistics are averaged
//! with the same d(n), as timm does: to recompute them, each evaluation would have to read training
//! images. Contract: a function of the steps alone, so a resumed training has the same average.

use da2s_records::Named;

use burn::tensor::Device;

use crate::backbone::{Backbone, LoadError, Statistics, Weights};

/// Prefix of the names of averages.
const PREFIX: &str = "average.";

/// The averages.
#[derive(Clone, Debug)]
pub struct Average {
    /// Of the weights.
    pub weights: Weights,
    /// Of the running statistics.
    pub statistics: Statistics,
}

impl Average {
    /// Adds the values after step `step`, from 1, with a decay of at most `most`.
    pub(super) fn add(&mut self, weights: &Weights, statistics: &Statistics, most: f64, step: usize) {
        let share = 1.0 - decay(most, step);
        self.weights.blend(weights, share);
        self.statistics.blend(statistics, share);
    }

    /// The averages, named `average.` and the name of the tensor.
    pub(crate) fn named(&self, network: &Backbone) -> Vec<Named> {
        let named = network.named(&self.weights, &self.statistics).into_iter();
        named.map(|named| named.with_prefix(PREFIX)).collect()
    }

    /// The averages among named tensors.
    ///
    /// # Errors
    /// If some are missing or have another shape.
    pub(crate) fn restored(network: &Backbone, named: &[Named], device: &Device) -> Result<Self, LoadError> {
        let (weights, statistics) = network.load(&Named::below(named, PREFIX), device)?;
        Ok(Self { weights, statistics })
    }
}

/// d(n) of step n = `step`, from 1.
fn decay(most: f64, step: usize) -> f64 {
    most.min(1.0 - (step as f64).powf(-2.0 / 3.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use crate::network::small_network;
    use crate::random::Purpose;

    #[test]
    fn the_average_is_that_of_the_formula_and_comes_back_from_its_tensors() {
        let network = small_network(1);
        let device = Device::flex();
        let after = |step| Weights::new(&network, step, Purpose::NetworkWeights, &device);
        let statistics = |step: u64| {
            let mut named = Statistics::new(&network, &device).named(&network);
            named.iter_mut().for_each(|tensor| tensor.data.fill(step as f32));
            Statistics::from_named(&network, &named, &device).unwrap()
        };
        let values = |weights: &Weights, statistics: &Statistics| {
            let tensors = weights.parts().iter().chain(statistics.tensors());
            tensors.flat_map(host).collect::<Vec<f32>>()
        };
        let mut average = Average {
            weights: after(99),
            statistics: statistics(99),
        };
        let mut expected: Vec<f64> = Vec::new();
        for step in 1..=4 {
            average.add(&after(step), &statistics(step), 0.5, step as usize);
            let decay = if step == 1 {
                0.0
            } else {
                (1.0 - (step as f64).powf(-2.0 / 3.0)).min(0.5)
            };
            let now = values(&after(step), &statistics(step));
            expected.resize(now.len(), 0.0);
            for (mean, value) in expected.iter_mut().zip(now) {
                *mean = decay * *mean + (1.0 - decay) * f64::from(value);
            }
        }
        let ours = values(&average.weights, &average.statistics);
        assert!(
            ours.iter()
                .zip(&expected)
                .all(|(ours, mean)| (f64::from(*ours) - mean).abs() < 1e-6)
        );

        let named = average.named(&network);
        assert!(named.iter().all(|tensor| tensor.name.starts_with("average.")));
        assert_eq!(
            Average::restored(&network, &named, &device).unwrap().named(&network),
            named
        );
        assert!(Average::restored(&network, &named[1..], &device).is_err());
    }

    /// Values of `ModelEmaV3(…, decay=0.99, use_warmup=True).get_decay(step)` of timm 1.0, by its
    /// formula 1 − (1 + (step − 1))^(−2/3).
    #[test]
    fn the_decay_warms_up_as_in_timm() {
        for (step, expected) in [
            (1, 0.0),
            (2, 0.3700394750525634),
            (8, 0.75),
            (1000, 0.99),
            (999, 0.989993327772835),
        ] {
            assert!(
                (decay(0.99, step) - expected).abs() < 1e-9,
                "{step}: {}",
                decay(0.99, step)
            );
        }
        assert_eq!(decay(0.9, 1000), 0.9);
        assert_eq!(decay(0.9, 1), 0.0);
    }
}
