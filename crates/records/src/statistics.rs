//! What accuracies on a limited number of test images say.
//!
//! Reference: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA
//! 1927; McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or
//! Percentages", Psychometrika 1947, here with the exact binomial distribution; Student, "The
//! Probable Error of a Mean", Biometrika 1908.

use serde::Serialize;

/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of an accuracy, in percent, for `correct` of `images` images; `None` if
/// there are none.
pub fn wilson(correct: u64, images: u64) -> Option<[f64; 2]> {
    if images == 0 {
        return None;
    }
    let (n, share) = (images as f64, correct.min(images) as f64 / images as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let ends = [centre - half, centre + half];
    Some(ends.map(|end| 100.0 * (end / (1.0 + Z * Z / n)).clamp(0.0, 1.0)))
}

/// The same for an `accuracy` in percent of `images` images; `None` also if it is not finite.
pub fn interval_of(accuracy: f64, images: u64) -> Option<[f64; 2]> {
    let correct = (images as f64 * accuracy / 100.0).round().max(0.0);
    accuracy.is_finite().then(|| wilson(correct as u64, images))?
}

/// Accuracy in percent of always choosing the most frequent of the classes with these numbers of
/// images; `None` for fewer than two classes, and without images.
pub fn chance(images: &[usize]) -> Option<f64> {
    let (all, most) = (images.iter().sum::<usize>(), images.iter().max()?);
    (images.len() > 1 && all > 0).then(|| 100.0 * *most as f64 / all as f64)
}

/// The two-sided p-value of McNemar's exact test. `first` images are classified correctly only by
/// one network, `second` only by the other. It is the probability that two equally good networks,
/// which disagree on as many images, divide them at least as unevenly.
pub fn mcnemar(first: u64, second: u64) -> f64 {
    let n = first + second;
    // Each term of the binomial distribution from the one before, as logarithms: 2^−n alone would
    // be zero from 1,075 images on.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for count in 0..=first.min(second) {
        tail += log_term.exp();
        log_term += (((n - count) as f64) / ((count + 1) as f64)).ln();
    }
    (2.0 * tail).min(1.0)
}

/// Mean and spread of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Sample size.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation, with n − 1; `None` for a single number.
    pub std: Option<f64>,
}

impl Spread {
    /// The spread of `values`; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            n,
            mean,
            std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
        })
    }

    /// Student's 95 % interval of the mean; `None` for a single number.
    pub fn interval(&self) -> Option<[f64; 2]> {
        let half = student(self.n - 1) * self.std? / (self.n as f64).sqrt();
        Some([self.mean - half, self.mean + half])
    }

    /// The bound below which the difference of two single numbers of the same distribution stays in
    /// 95 % of all cases; `None` for a single number.
    pub fn difference(&self) -> Option<f64> {
        Some(student(self.n - 1) * std::f64::consts::SQRT_2 * self.std?)
    }
}

/// The 97.5 % point of Student's t distribution with this many degrees of freedom, from 1.
fn student(degrees: usize) -> f64 {
    const FEW: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];
    if let Some(&point) = FEW.get(degrees.saturating_sub(1)) {
        return point;
    }
    // The expansion around the normal distribution: Abramowitz and Stegun, 26.7.5.
    let n = degrees as f64;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    Z + first / n + second / n.powi(2) + third / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_student() {
        // scipy.stats.t.ppf(0.975, n)
        for (degrees, point) in [
            (1, 12.7062),
            (4, 2.7764),
            (9, 2.2622),
            (10, 2.2281),
            (30, 2.0423),
            (99, 1.9842),
        ] {
            assert!(
                (student(degrees) - point).abs() < 2e-4,
                "{degrees}: {}",
                student(degrees)
            );
        }
        let spread = Spread::of(&[97.0, 98.0, 99.0]).unwrap();
        assert_eq!((spread.mean, spread.std), (98.0, Some(1.0)));
        assert!((spread.interval().unwrap()[0] - 95.5159).abs() < 1e-3, "{spread:?}");
        assert!(
            (spread.difference().unwrap() - 4.3027 * 2f64.sqrt()).abs() < 1e-3,
            "{spread:?}"
        );
        let one = Spread::of(&[97.0]).unwrap();
        assert_eq!((one.n, one.mean, one.std, one.interval()), (1, 97.0, None, None));
        assert_eq!(one.difference(), None);
        assert_eq!(Spread::of(&[]), None);
        let many = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((many.mean, many.std), (5.0, Some((32.0f64 / 7.0).sqrt())));
    }

    #[test]
    fn intervals_are_those_of_wilson() {
        // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
        for (correct, images, lower, upper) in [
            (81, 263, 25.53, 36.62),
            (15, 148, 6.24, 16.05),
            (0, 20, 0.0, 16.11),
            (1, 29, 0.61, 17.18),
        ] {
            let [from, to] = wilson(correct, images).unwrap();
            assert!(
                (from - lower).abs() < 0.006 && (to - upper).abs() < 0.006,
                "{from} {to}"
            );
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(interval_of(f64::NAN, 20), None);
        assert_eq!(interval_of(30.8, 263), wilson(81, 263));
        let [from, to] = wilson(7, 7).unwrap();
        assert!(from > 60.0 && to == 100.0);
    }

    #[test]
    fn p_is_that_of_the_binomial_distribution() {
        for (first, second, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (0, 5, 2.0 / 32.0),
            (1, 8, 2.0 * 10.0 / 512.0),
            (2, 10, 2.0 * 79.0 / 4096.0),
        ] {
            let ours = mcnemar(first, second);
            assert!((ours - p).abs() < 1e-12, "{first} {second}: {ours}");
            assert!((ours - mcnemar(second, first)).abs() < 1e-12);
        }
        // Two standard deviations from the mean of 4,000 throws.
        let p = mcnemar(1936, 2064);
        assert!((0.042..0.046).contains(&p), "{p}");
    }
}
