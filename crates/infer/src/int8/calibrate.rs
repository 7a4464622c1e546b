//! The range of each tensor, from images.
//!
//! References: Krishnamoorthi 2018, section 3.1.2 (the smallest and the largest value seen);
//! Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 3.1, equation 16
//! (the range with the smallest mean squared error). Contract: two passes over the images, the
//! first for the ends, the second for a histogram between them; counts are integers, so the result
//! does not depend on the number of threads.

use std::fmt;

use rayon::prelude::*;

use super::network::Quantisation;
use super::quantise::QuantiseError;
use crate::plain::FloatSteps;

/// How a range follows from the values that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSetting {
    /// From the smallest to the largest.
    MinMax,
    /// The range whose quantisation has the smallest mean squared error: rare large values are cut
    /// off where that makes the others finer.
    #[default]
    Mse,
}

impl RangeSetting {
    /// Every setting.
    pub const ALL: [Self; 2] = [Self::Mse, Self::MinMax];
}

impl fmt::Display for RangeSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MinMax => "minmax",
            Self::Mse => "mse",
        })
    }
}

/// Bins of a histogram: eight for each value of a byte.
const BINS: usize = 2048;
/// For each end: the smallest share of it that is tried, and the number of steps to that share.
const NARROWEST: f32 = 0.2;
const TRIED: usize = 80;
/// Number of images after which it checks whether to stop.
const AT_ONCE: usize = 32;

/// The quantisation of each tensor. With [`RangeSetting::Mse`], the best range is determined only
/// for tensors that are `wanted`; the quantisation of others must not be used.
pub(super) fn calibrated(
    steps: &FloatSteps<'_>,
    images: &[Vec<f32>],
    wanted: &[bool],
    setting: RangeSetting,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Quantisation>, QuantiseError> {
    let mut ends = vec![(0.0f32, 0.0f32); wanted.len()];
    each(
        steps,
        images,
        stop,
        |tensors| {
            let of = |values: &Vec<f32>| {
                values.iter().fold((0.0f32, 0.0f32), |(low, high), &value| {
                    (low.min(value), high.max(value))
                })
            };
            let finite = tensors
                .iter()
                .all(|values| values.iter().all(|value| value.is_finite()));
            finite.then(|| tensors.iter().map(of).collect::<Vec<_>>())
        },
        |found| {
            let found = found.ok_or(QuantiseError::NotFinite)?;
            for (end, found) in ends.iter_mut().zip(found) {
                *end = (end.0.min(found.0), end.1.max(found.1));
            }
            Ok(())
        },
    )?;
    if setting == RangeSetting::MinMax {
        return Ok(ends
            .into_iter()
            .map(|(low, high)| Quantisation::of_range(low, high))
            .collect());
    }
    let mut histograms: Vec<Histogram> = ends.into_iter().map(Histogram::new).collect();
    let empty = histograms.clone();
    each(
        steps,
        images,
        stop,
        |tensors| {
            let mut own = empty.clone();
            for ((histogram, values), _) in own.iter_mut().zip(tensors).zip(wanted).filter(|(_, wanted)| **wanted) {
                values.iter().for_each(|&value| histogram.count(value));
            }
            own
        },
        |own| {
            for (histogram, own) in histograms.iter_mut().zip(own) {
                for (count, own) in histogram.counts.iter_mut().zip(own.counts) {
                    *count += own;
                }
            }
            Ok(())
        },
    )?;
    Ok(histograms.par_iter().map(Histogram::best).collect())
}

/// Calls `map` with the tensors of each image, in any order, and `take` with its results.
fn each<T: Send>(
    steps: &FloatSteps<'_>,
    images: &[Vec<f32>],
    stop: &dyn Fn() -> bool,
    map: impl Fn(Vec<Vec<f32>>) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), QuantiseError>,
) -> Result<(), QuantiseError> {
    for images in images.chunks(AT_ONCE) {
        if stop() {
            return Err(QuantiseError::Stopped);
        }
        let found: Vec<T> = images.par_iter().map(|image| map(steps.tensors(image))).collect();
        found.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}

/// How often values are in each part of a range.
#[derive(Clone)]
struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<u64>,
}

impl Histogram {
    fn new((low, high): (f32, f32)) -> Self {
        Self {
            low,
            high,
            counts: vec![0; BINS],
        }
    }

    fn count(&mut self, value: f32) {
        // Rounding at the upper end may give an index after the last bin.
        let bin = ((value - self.low) / (self.high - self.low) * BINS as f32) as usize;
        self.counts[bin.min(BINS - 1)] += 1;
    }

    /// The best range: first the upper end, then the lower one.
    fn best(&self) -> Quantisation {
        let shares = (0..=TRIED).map(|at| 1.0 - (1.0 - NARROWEST) * at as f32 / TRIED as f32);
        let least = |ranges: &mut dyn Iterator<Item = (f32, f32)>| {
            let ranges = ranges.map(|range| (self.error(range), range));
            ranges
                .min_by(|one, other| one.0.total_cmp(&other.0))
                .map_or((self.low, self.high), |(_, range)| range)
        };
        let (_, high) = least(&mut shares.clone().map(|share| (self.low, share * self.high)));
        let (low, high) = least(&mut shares.map(|share| (share * self.low, high)));
        Quantisation::of_range(low, high)
    }

    /// The sum of the squared errors.
    fn error(&self, (low, high): (f32, f32)) -> f64 {
        let quantisation = Quantisation::of_range(low, high);
        let width = (self.high - self.low) / BINS as f32;
        let bins = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        bins.map(|(bin, &count)| {
            let value = self.low + (bin as f32 + 0.5) * width;
            let error = quantisation.number(quantisation.byte(value)) - value;
            f64::from(error * error) * count as f64
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_large_value_is_cut_off() {
        let mut histogram = Histogram::new((-0.5, 3.0));
        for at in 0..1_000_000 {
            histogram.count(at as f32 / 1e6);
        }
        histogram.count(3.0);
        histogram.count(-0.5);
        let best = histogram.best();
        assert!((1.0..2.5).contains(&best.number(255)), "{best:?}");
        // Without rare values the range stays.
        let mut histogram = Histogram::new((-1.0, 2.0));
        for at in 0..30_000 {
            histogram.count(-1.0 + at as f32 / 10_000.0);
        }
        let best = histogram.best();
        assert!(best.number(0) < -0.97 && best.number(255) > 1.95, "{best:?}");
        assert_eq!(Histogram::new((0.0, 0.0)).best().scale, 1.0);
    }
}
