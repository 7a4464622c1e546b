//! A histogram of values, with buckets of equal width.

use super::message::Histogram;

const BUCKETS: usize = 30;

/// The histogram of `values`, all finite; `None` if there are none.
pub(super) fn histogram(values: &[f64]) -> Option<Histogram> {
    let (min, max) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
            (min.min(*value), max.max(*value))
        });
    if values.is_empty() {
        return None;
    }
    let width = (max - min) / BUCKETS as f64;
    let (bucket_limit, bucket) = if width > 0.0 {
        let mut counts = vec![0.0; BUCKETS];
        for value in values {
            // The largest value belongs to the last bucket.
            counts[(((value - min) / width) as usize).min(BUCKETS - 1)] += 1.0;
        }
        let mut limits: Vec<f64> = (1..=BUCKETS).map(|bucket| min + width * bucket as f64).collect();
        limits[BUCKETS - 1] = max;
        (limits, counts)
    } else {
        (vec![max], vec![values.len() as f64])
    };
    Some(Histogram {
        min,
        max,
        num: values.len() as f64,
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|value| value * value).sum(),
        bucket_limit,
        bucket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_has_one_bucket_and_no_values_have_no_histogram() {
        assert_eq!(histogram(&[]), None);
        let one = histogram(&[0.5, 0.5]).unwrap();
        assert_eq!((one.bucket_limit, one.bucket), (vec![0.5], vec![2.0]));
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once_in_its_bucket(values in prop::collection::vec(-3.0..3.0f64, 1..200)) {
            let histogram = histogram(&values).unwrap();
            prop_assert_eq!(histogram.bucket.iter().sum::<f64>(), values.len() as f64);
            prop_assert!(histogram.bucket_limit.windows(2).all(|pair| pair[0] < pair[1]));
            let below = |limit: f64| values.iter().filter(|value| **value < limit - 1e-9).count() as f64;
            let upto = |limit: f64| values.iter().filter(|value| **value <= limit + 1e-9).count() as f64;
            let mut sum = 0.0;
            for (limit, count) in histogram.bucket_limit.iter().zip(&histogram.bucket) {
                sum += count;
                prop_assert!(below(*limit) <= sum && sum <= upto(*limit));
            }
        }
    }
}
