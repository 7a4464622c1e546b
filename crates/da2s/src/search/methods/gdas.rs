//! GDAS: one operation per edge is drawn in each half of a step, and only that one is computed.
//!
//! Reference: Dong, Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR
//! 2019, equations 3 to 5: h = one_hot(argmax(log softmax(α) + g)) with Gumbel noise g in the
//! forward pass, p̃ = softmax((log softmax(α) + g)/τ) in the backward pass; τ falls linearly over
//! the epochs (10 to 0.1 in the paper); in algorithm 1 each half of a step has its own draw.
//! Contract: the draw is a pure function of seed, epoch, step, half and kind of cell; outside of
//! training, p = softmax(α).

use std::sync::Arc;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Tensor, TensorData};
use rand::Rng;

use crate::arch::{KindParams, Strengths};
use crate::device::host;
use crate::random::Purpose;
use crate::search::method::{Choices, SearchMethod};
use crate::search::moment::{Moment, When};
use crate::search::settings::SearchSettings;

/// The method and its temperatures in the first and the last epoch.
#[derive(Clone, Debug)]
pub(super) struct Gdas {
    temperatures: [f64; 2],
}

impl Gdas {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let temperatures = [settings.temperature_first, settings.temperature_last];
        Self { temperatures }
    }

    fn temperature(&self, moment: Moment) -> f64 {
        let [first, last] = self.temperatures;
        let done = (moment.epoch - 1) as f64 / moment.epochs.saturating_sub(1).max(1) as f64;
        // A search that continues for further epochs stays at the last temperature.
        first + (last - first) * done.min(1.0)
    }
}

impl SearchMethod for Gdas {
    fn refuses_dropping(&self) -> Option<&'static str> {
        Some("it already computes only one operation of each edge")
    }

    fn strengths(&self, arch: &KindParams, choices: Choices<'_>, when: When) -> Strengths {
        let alpha = arch.alpha.clone();
        let q = self.edges(arch.beta.clone(), choices);
        let Some(draw) = when.draw() else {
            return Strengths::new(self.operations(alpha, choices, when), q);
        };

        let shape = alpha.dims();
        let mut random = draw.random(Purpose::Gumbel);
        let mut gumbel = || -(-random.random_range(f32::MIN_POSITIVE..1.0).ln()).ln();
        let noise: Vec<f32> = (0..shape[0] * shape[1]).map(|_| gumbel()).collect();
        let device = alpha.device();
        let noisy = log_softmax(alpha, 1) + Tensor::from_data(TensorData::new(noise, shape), &device);
        let drawn: Vec<bool> = host(&noisy).chunks(shape[1]).flat_map(one_hot).collect();
        let hard: Vec<f32> = drawn.iter().map(|&drawn| f32::from(u8::from(drawn))).collect();
        let soft = softmax(noisy * (1.0 / self.temperature(draw.moment)), 1);
        // Straight-through: the value of the hard draw, the gradient of the soft one.
        let p = Tensor::from_data(TensorData::new(hard, shape), &device) + soft.clone() - soft.detach();
        Strengths {
            p,
            q,
            active: Some(Arc::from(drawn)),
        }
    }
}

fn one_hot(row: &[f32]) -> impl Iterator<Item = bool> + use<> {
    let largest = row
        .iter()
        .enumerate()
        .fold(0, |best, (index, value)| if *value > row[best] { index } else { best });
    (0..row.len()).map(move |index| index == largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_falls_and_stays() {
        let method = Gdas {
            temperatures: [10.0, 0.1],
        };
        let at = |epoch| method.temperature(Moment::of_epoch(epoch, 11, 0));
        assert!((at(1) - 10.0).abs() < 1e-12 && (at(6) - 5.05).abs() < 1e-12);
        assert!((at(11) - 0.1).abs() < 1e-12 && (at(16) - 0.1).abs() < 1e-12);
    }
}
