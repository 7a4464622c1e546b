//! How far the probabilities of a network can be believed: of the images that it is 80 % sure of,
//! 80 % should be right.
//!
//! Reference: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
//! equations 2 and 3, with their 15 bins of equal width. Contract: accuracies and confidences are
//! in percent and their differences in points; a bin without images has neither.

use serde::{Deserialize, Serialize};

/// Number of bins.
const BINS: usize = 15;
/// Largest number of bins that is read from a file.
const MOST_BINS: usize = 100;

/// The calibration of a network, part of `network/evaluation.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The expected calibration error: the mean distance of confidence and accuracy over the bins,
    /// weighted by their images; points.
    pub error: Option<f64>,
    /// The images by the probability of their prediction, in bins of equal width from 0 to 1.
    #[serde(default)]
    pub bins: Vec<CalibrationBin>,
}

/// The images whose prediction has a probability within the bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Their number.
    #[serde(default)]
    pub images: u64,
    /// The mean probability of their predictions, percent.
    pub confidence: Option<f64>,
    /// The share of them that is right, percent.
    pub accuracy: Option<f64>,
}

impl CalibrationBin {
    /// Confidence minus accuracy, points.
    fn excess(&self) -> Option<f64> {
        Some(self.confidence? - self.accuracy?)
    }
}

impl Calibration {
    /// The calibration on images with these predictions: probability, and whether it is right.
    pub fn of(predictions: impl IntoIterator<Item = (f64, bool)>) -> Self {
        // Per bin: images, sum of probabilities, right ones.
        let mut sums = [(0u64, 0.0, 0u64); BINS];
        for (probability, right) in predictions {
            // Bins contain their upper end.
            let bin = (probability * BINS as f64).ceil() as usize;
            let (images, probabilities, correct) = &mut sums[bin.clamp(1, BINS) - 1];
            *images += 1;
            *probabilities += probability;
            *correct += u64::from(right);
        }
        let share = |sum: f64, images: u64| (images > 0).then(|| 100.0 * sum / images as f64);
        let bins = sums.map(|(images, probabilities, correct)| CalibrationBin {
            images,
            confidence: share(probabilities, images),
            accuracy: share(correct as f64, images),
        });
        let mut calibration = Self {
            error: None,
            bins: bins.to_vec(),
        };
        calibration.error = calibration.mean(f64::abs);
        calibration
    }

    /// The mean of confidence minus accuracy, points; negative if the network is not sure enough.
    pub fn overconfidence(&self) -> Option<f64> {
        self.mean(|excess| excess)
    }

    /// The approximate error, in points, that a network with exact probabilities would have by
    /// chance alone on as many images: the mean distance of a normal distribution, √(2/π) σ.
    pub fn chance(&self) -> f64 {
        let images: u64 = self.bins.iter().map(|bin| bin.images).sum();
        let deviation = |bin: &CalibrationBin| {
            let p = bin.confidence.unwrap_or_default() / 100.0;
            (bin.images as f64 * p * (1.0 - p)).max(0.0).sqrt()
        };
        let sum: f64 = self.bins.iter().map(deviation).sum();
        100.0 * (2.0 / std::f64::consts::PI).sqrt() * sum / images.max(1) as f64
    }

    /// The mean of a function of confidence minus accuracy, over the images.
    fn mean(&self, of: impl Fn(f64) -> f64) -> Option<f64> {
        let bins = self
            .bins
            .iter()
            .filter_map(|bin| Some((bin.images as f64, bin.excess()?)));
        let (images, sum) = bins.fold((0.0, 0.0), |(images, sum), (count, excess)| {
            (images + count, sum + count * of(excess))
        });
        (images > 0.0).then_some(sum / images)
    }

    /// Checks that there are few enough bins to draw them, and that their values are in percent.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        if self.bins.len() > MOST_BINS {
            let bins = self.bins.len();
            return Err(format!("the calibration has {bins} bins, more than {MOST_BINS}"));
        }
        let mut values = self
            .bins
            .iter()
            .flat_map(|bin| [bin.confidence, bin.accuracy])
            .flatten();
        // A probability may be above 1 by rounding.
        match values.find(|value| !(0.0..=100.001).contains(value)) {
            None => Ok(()),
            Some(value) => Err(format!("the calibration has {value}, expected 0 to 100 %")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_its_definition() {
        // Two bins: of three images at 0.9 two are right, one at 0.5 is wrong.
        let calibration = Calibration::of([(0.9, true), (0.9, true), (0.9, false), (0.5, false)]);
        let expected = (3.0 * (90.0 - 200.0 / 3.0) + 50.0) / 4.0;
        let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} != {b}");
        near(calibration.error, expected);
        near(calibration.overconfidence(), expected);
        assert_eq!(calibration.bins.len(), BINS);
        let filled: Vec<usize> = (0..BINS).filter(|&bin| calibration.bins[bin].images > 0).collect();
        assert_eq!(filled, [7, 13], "0.5 is in (7/15, 8/15], 0.9 in (13/15, 14/15]");
        near(calibration.bins[13].accuracy, 200.0 / 3.0);
        assert_eq!(calibration.bins[0].accuracy, None);
    }

    #[test]
    fn any_probability_has_a_bin_and_without_images_there_is_no_error() {
        let calibration = Calibration::of([(0.0, false), (1.0, true), (1.0 + 1e-9, true), (f64::NAN, false)]);
        let images: Vec<u64> = calibration.bins.iter().map(|bin| bin.images).collect();
        assert_eq!((images[0], images[BINS - 1]), (2, 2));
        let empty = Calibration::of([]);
        assert_eq!((empty.error, empty.overconfidence()), (None, None));
        let timid = Calibration::of([(0.6, true)]);
        assert!((timid.overconfidence().unwrap() + 40.0).abs() < 1e-9);
        let many = Calibration {
            bins: vec![CalibrationBin::default(); 101],
            ..empty
        };
        assert!(many.check().unwrap_err().contains("101 bins"));
        let huge = CalibrationBin {
            images: 1,
            confidence: Some(1e308),
            accuracy: Some(-1e308),
        };
        let huge = Calibration {
            error: None,
            bins: vec![huge],
        };
        assert!(huge.check().unwrap_err().contains("expected 0 to 100 %"));
    }

    #[test]
    fn chance_alone_gives_an_error() {
        // 100 images at 0.5: the standard deviation is 5 points, and the error √(2/π) times that.
        let calibration = Calibration::of((0..100).map(|at| (0.5, at % 2 == 0)));
        assert!((calibration.chance() - 3.989).abs() < 1e-3, "{}", calibration.chance());
        assert_eq!(Calibration::of([]).chance(), 0.0);
    }
}
