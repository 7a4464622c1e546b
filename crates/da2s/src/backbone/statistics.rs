//! Running statistics of the batch norms of a backbone.
//!
//! Contract: means start at 0 and variances at 1; variances are unbiased, as in PyTorch; values
//! only, outside of autodiff.

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::NormStatistics;
use da2s_records::Named;

use super::weights::index;
use super::{Backbone, LoadError};
use crate::device::host;
use crate::parallel::Group;

/// Momentum of the running statistics, as in PyTorch.
pub(crate) const MOMENTUM: f64 = 0.1;

/// Means and variances for each of [`Backbone::parts`]; `None` for parts without batch norm.
#[derive(Clone, Debug)]
pub struct Statistics {
    parts: Vec<Option<NormStatistics>>,
}

impl Statistics {
    /// Initial statistics: means 0, variances 1.
    pub fn new(backbone: &Backbone, device: &Device) -> Self {
        let start = |channels: usize| NormStatistics {
            mean: Tensor::zeros([channels], device),
            variance: Tensor::ones([channels], device),
            live: None,
        };
        let parts = backbone
            .parts()
            .iter()
            .map(|part| (part.norm_channels > 0).then(|| start(part.norm_channels)));
        Self { parts: parts.collect() }
    }

    /// The statistics of one batch.
    pub(super) fn from_batch(parts: Vec<Option<NormStatistics>>) -> Self {
        Self { parts }
    }

    /// The statistics of part `index`; `None` if it has no batch norm.
    pub(super) fn part(&self, index: usize) -> Option<NormStatistics> {
        self.parts[index].clone()
    }

    /// Moves toward the statistics of a batch with the usual momentum.
    pub fn update(&mut self, batch: &Self) {
        self.blend(batch, MOMENTUM);
    }

    /// Moves toward the statistics of a batch: `(1 − share)·running + share·batch`. Statistics of
    /// parts that did not run are unchanged.
    pub fn blend(&mut self, batch: &Self, share: f64) {
        for (running, batch) in self.parts.iter_mut().zip(&batch.parts) {
            if let (Some(running), Some(batch)) = (running.as_mut(), batch) {
                running.mean = moved(running.mean.clone(), batch.mean.clone(), share, batch.live.as_deref());
                running.variance = moved(
                    running.variance.clone(),
                    batch.variance.clone(),
                    share,
                    batch.live.as_deref(),
                );
            }
        }
    }

    /// The means over the processes of `group`: for each batch norm, the mean of the means and the
    /// mean of the variances.
    pub fn averaged(&self, group: &Group) -> Self {
        let tensors = self.parts.iter().flat_map(|part| {
            let part = part.as_ref();
            [
                part.map(|part| part.mean.clone()),
                part.map(|part| part.variance.clone()),
            ]
        });
        let mut averaged = group.average(tensors.collect()).into_iter();
        let parts = self.parts.iter().map(|part| {
            let (mean, variance) = (averaged.next().flatten(), averaged.next().flatten());
            let live = part.as_ref().and_then(|part| part.live.clone());
            mean.zip(variance)
                .map(|(mean, variance)| NormStatistics { mean, variance, live })
        });
        Self { parts: parts.collect() }
    }

    /// All means and variances.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor<1>> {
        self.parts
            .iter()
            .flatten()
            .flat_map(|part| [&part.mean, &part.variance])
    }

    /// Every statistic under its name.
    pub fn named(&self, backbone: &Backbone) -> Vec<Named> {
        let of_part = |(part, statistics): (&super::PartLayout, &Option<NormStatistics>)| {
            let statistics = statistics.as_ref()?;
            Some(part.name_norms(&host(&statistics.mean), &host(&statistics.variance)))
        };
        backbone
            .parts()
            .iter()
            .zip(&self.parts)
            .filter_map(of_part)
            .flatten()
            .collect()
    }

    /// Statistics from named tensors.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_named(backbone: &Backbone, named: &[Named], device: &Device) -> Result<Self, LoadError> {
        let index = index(named);
        let load = |part: &super::PartLayout| {
            if part.norm_channels == 0 {
                return Ok(None);
            }
            let [mean, variance] = part.join_norms(|name| index.get(name).copied())?;
            Ok(Some(NormStatistics {
                mean: Tensor::from_data(mean, device),
                variance: Tensor::from_data(variance, device),
                live: None,
            }))
        };
        Ok(Self {
            parts: backbone.parts().iter().map(load).collect::<Result<_, LoadError>>()?,
        })
    }
}

/// `(1 − share)·running + share·batch` on the live channels, `running` on the others.
fn moved(running: Tensor<1>, batch: Tensor<1>, share: f64, live: Option<&[bool]>) -> Tensor<1> {
    let Some(live) = live else {
        return running * (1.0 - share) + batch * share;
    };
    let shares: Vec<f32> = live.iter().map(|&live| if live { share as f32 } else { 0.0 }).collect();
    let count = shares.len();
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [count]), &running.device());
    running.clone() + (batch - running) * shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_run_keeps_its_statistics() {
        let device = Device::flex();
        let full = |value: f32| Tensor::<1>::full([2], value, &device);
        assert_eq!(host(&moved(full(1.0), full(3.0), 0.5, None)), [2.0, 2.0]);
        assert_eq!(
            host(&moved(full(1.0), full(3.0), 0.5, Some(&[true, false]))),
            [2.0, 1.0]
        );
    }
}
