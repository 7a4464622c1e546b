//! Two paired tests for small samples: Student's t and Wilcoxon's signed ranks.
//!
//! Student, "The probable error of a mean", Biometrika 1908; Wilcoxon, "Individual comparisons by
//! ranking methods", Biometrics Bulletin 1945, with its exact distribution, mean ranks for ties,
//! and zeros excluded.

use da2s_records::statistics::Spread;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A two-sided paired test of the hypothesis of no difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Number of pairs.
    pub n: usize,
    /// Mean of the differences.
    pub mean_difference: f64,
    /// Student's 95 % interval of that mean; `None` if t is.
    pub interval: Option<[f64; 2]>,
    /// Student's t with n − 1 degrees of freedom; `None` for fewer than two pairs or differences
    /// without spread.
    pub t: Option<f64>,
    /// Its p-value.
    pub t_p: Option<f64>,
    /// Number of pairs that differ; Wilcoxon's test uses only these.
    pub wilcoxon_n: usize,
    /// Sum of the ranks of positive differences; `None` if no pair differs.
    pub wilcoxon_w: Option<f64>,
    /// Its exact p-value.
    pub wilcoxon_p: Option<f64>,
    /// The p-value of t with Holm's correction for all tests of the same measure.
    pub t_holm: Option<f64>,
    /// The same of Wilcoxon's.
    pub wilcoxon_holm: Option<f64>,
}

impl Paired {
    /// The test for the differences of pairs; `None` if there are none.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let spread = Spread::of(differences)?;
        let t = student(spread);
        let ranks = signed_ranks(differences);
        let wilcoxon = wilcoxon(&ranks);
        Some(Self {
            n: spread.n,
            mean_difference: spread.mean,
            interval: t.and_then(|_| spread.interval()),
            t: t.map(|(t, _)| t),
            t_p: t.map(|(_, p)| p),
            wilcoxon_n: ranks.len(),
            wilcoxon_w: wilcoxon.map(|(w, _)| w),
            wilcoxon_p: wilcoxon.map(|(_, p)| p),
            t_holm: None,
            wilcoxon_holm: None,
        })
    }
}

/// p-values corrected by Holm's method for the number of tests, in the order given. The i-th
/// smallest of m, counted from 0, is multiplied by m − i; then each is raised to the largest of
/// those before it, and limited to 1. Holm, "A simple sequentially rejective multiple test
/// procedure", Scandinavian Journal of Statistics 1979.
pub(super) fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut corrected = vec![1.0; probabilities.len()];
    let mut least = 0.0f64;
    for (place, &index) in order.iter().enumerate() {
        least = least
            .max((probabilities.len() - place) as f64 * probabilities[index])
            .min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// t and its p-value.
fn student(spread: Spread) -> Option<(f64, f64)> {
    // Rounding gives equal differences a spread of a few units in the last place, which has no
    // meaning.
    let std = spread.std.filter(|std| *std > 1e-12 * spread.mean.abs())?;
    let t = spread.mean / (std / (spread.n as f64).sqrt());
    let distribution = StudentsT::new(0.0, 1.0, (spread.n - 1) as f64).ok()?;
    Some((t, (2.0 * distribution.sf(t.abs())).min(1.0)))
}

/// Twice the rank of every nonzero difference, with its sign; doubled so that mean ranks of ties
/// are integers.
fn signed_ranks(differences: &[f64]) -> Vec<(usize, bool)> {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|value| *value != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let tied = |a: f64, b: f64| (a.abs() - b.abs()).abs() <= 1e-9 * b.abs();
    let mut ranks = Vec::with_capacity(sorted.len());
    for ties in sorted.chunk_by(|a, b| tied(*a, *b)) {
        // First and last rank of the ties, from 1; their sum is twice the mean.
        let twice = (ranks.len() + 1) + (ranks.len() + ties.len());
        ranks.extend(ties.iter().map(|value| (twice, *value > 0.0)));
    }
    ranks
}

/// W and its p-value: the share of the 2ⁿ assignments of signs to the ranks that are at least as
/// uneven.
fn wilcoxon(ranks: &[(usize, bool)]) -> Option<(f64, f64)> {
    if ranks.is_empty() {
        return None;
    }
    let sum: usize = ranks.iter().map(|(twice, _)| twice).sum();
    let w: usize = ranks
        .iter()
        .filter(|(_, positive)| *positive)
        .map(|(twice, _)| twice)
        .sum();
    let mut share = vec![0.0; sum + 1];
    share[0] = 1.0;
    let mut reached = 0;
    for (twice, _) in ranks {
        reached += twice;
        for at in (0..=reached).rev() {
            let with = if at >= *twice { share[at - twice] } else { 0.0 };
            share[at] = 0.5 * (share[at] + with);
        }
    }
    let low: f64 = share[..=w].iter().sum();
    let high: f64 = share[w..].iter().sum();
    Some((w as f64 / 2.0, (2.0 * low.min(high)).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < 1e-6 * expected.abs(),
            "{found} for {expected}"
        );
    }

    /// R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn p_values_are_corrected_for_the_number_of_tests() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (ours, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((ours - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    /// The interval is from da2s-records, which computes it with a series, without statrs.
    #[test]
    fn intervals_are_those_of_statrs() {
        for n in 2..200 {
            let std = Some((n as f64).sqrt());
            let [_, point] = Spread { n, mean: 0.0, std }.interval().unwrap();
            let expected = StudentsT::new(0.0, 1.0, (n - 1) as f64).unwrap().inverse_cdf(0.975);
            assert!((point - expected).abs() < 2e-4, "{n}: {point} for {expected}");
        }
    }

    /// Student's own data, ten patients with two drugs: additional hours of sleep. In R: t =
    /// 4.0621, p = 0.002833.
    #[test]
    fn student_matches_r_on_the_sleep_data() {
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let differences: Vec<f64> = second.iter().zip(first).map(|(second, first)| second - first).collect();
        let test = Paired::of(&differences).unwrap();
        assert_eq!((test.n, test.wilcoxon_n), (10, 9));
        near(test.t, 4.062_127_683_382_037);
        near(test.t_p, 0.002_832_890_197_384_26);
        // All nine differ in the same direction: 2 of 2⁹ assignments.
        assert_eq!((test.wilcoxon_w, test.wilcoxon_p), (Some(45.0), Some(2.0 / 512.0)));
    }

    /// With one degree of freedom t is Cauchy's: p = 1 − 2·atan(t)/π; with two, p = 1 − t/√(2 +
    /// t²).
    #[test]
    fn student_in_closed_form() {
        let p = |n, mean: f64, std| {
            student(Spread {
                n,
                mean,
                std: Some(std),
            })
            .unwrap()
        };
        let (t, found) = p(2, 3.0, 2.0f64.sqrt());
        near(Some(t), 3.0);
        near(Some(found), 1.0 - 2.0 * 3.0f64.atan() / std::f64::consts::PI);
        let (t, found) = p(3, -1.5, 3.0f64.sqrt());
        near(Some(t), -1.5);
        near(Some(found), 1.0 - 1.5 / (2.0f64 + 2.25).sqrt());
    }

    /// Compared with the definition: all assignments of signs.
    #[test]
    fn wilcoxon_counts_assignments() {
        for differences in [
            vec![1.0],
            vec![1.0, -2.0, 3.0, 4.0, 5.0],
            vec![0.5, 0.5, -0.5, 2.0, 0.0, -3.0],
            vec![-1.0, -1.0, -1.0],
        ] {
            let ranks = signed_ranks(&differences);
            let (w, p) = wilcoxon(&ranks).unwrap();
            let middle = ranks.iter().map(|(twice, _)| twice).sum::<usize>() as f64 / 4.0;
            let sums = (0..1u32 << ranks.len()).map(|signs| {
                let positive = ranks.iter().enumerate().filter(|(at, _)| signs >> at & 1 == 1);
                positive.map(|(_, (twice, _))| *twice).sum::<usize>() as f64 / 2.0
            });
            let uneven = sums.filter(|sum| (sum - middle).abs() >= (w - middle).abs()).count();
            near(Some(p), uneven as f64 / f64::from(1u32 << ranks.len()));
        }
    }

    #[test]
    fn differences_without_spread_have_no_test() {
        let equal = Paired::of(&[0.1, 0.1, 0.1]).unwrap();
        assert_eq!((equal.t, equal.t_p), (None, None));
        assert_eq!(equal.wilcoxon_p, Some(0.25));
        let zero = Paired::of(&[0.0, 0.0]).unwrap();
        assert_eq!((zero.t, zero.wilcoxon_n, zero.wilcoxon_p), (None, 0, None));
        assert_eq!(Paired::of(&[2.0]).unwrap().t, None);
        assert_eq!(Paired::of(&[]), None);
    }

    #[test]
    fn two_hundred_pairs_do_not_overflow() {
        let differences: Vec<f64> = (1..=200)
            .map(|rank| if rank % 2 == 0 { 1.0 } else { -1.0 } * f64::from(rank))
            .collect();
        let p = Paired::of(&differences).unwrap().wilcoxon_p.unwrap();
        assert!((0.5..=1.0).contains(&p), "{p}");
    }
}
