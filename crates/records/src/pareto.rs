//! Which of several points are not dominated by another one.
//!
//! Reference: Pareto, "Manuale di economia politica", 1906; the definition is that of Miettinen,
//! "Nonlinear Multiobjective Optimization", 1999, section 2.2.

/// For each point, whether no other point dominates it. Smaller numbers are better: a point
/// dominates another if none of its numbers is larger and at least one is smaller. Contract: all
/// points have the same length; the result is false for a point with NaN, and such a point
/// dominates none.
pub fn non_dominated<P: AsRef<[f64]>>(points: &[P]) -> Vec<bool> {
    let complete = |point: &P| point.as_ref().iter().all(|number| !number.is_nan());
    let dominates = |a: &P, b: &P| {
        let mut pairs = a.as_ref().iter().zip(b.as_ref());
        pairs.clone().all(|(a, b)| a <= b) && pairs.any(|(a, b)| a < b)
    };
    let stays = |point: &P| complete(point) && !points.iter().any(|other| complete(other) && dominates(other, point));
    points.iter().map(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_points_stay_together() {
        let points = [[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, f64::NAN]];
        assert_eq!(non_dominated(&points), [true, true, true, false, false]);
        assert_eq!(non_dominated::<[f64; 2]>(&[]), [false; 0]);
    }

    proptest! {
        #[test]
        fn the_front_is_all_points_that_are_not_dominated(
            // Few values, so that many are equal.
            points in prop::collection::vec(prop::collection::vec(0u8..6, 3), 0..24),
            permutation in any::<prop::sample::Index>(),
        ) {
            let points: Vec<Vec<f64>> = points.into_iter().map(|point| point.into_iter().map(f64::from).collect()).collect();
            let front = non_dominated(&points);
            let dominates = |a: &[f64], b: &[f64]| (0..3).all(|at| a[at] <= b[at]) && a != b;
            for (point, &stays) in points.iter().zip(&front) {
                let by_any = points.iter().any(|other| dominates(other, point));
                prop_assert_eq!(stays, !by_any);
                // A point that is not on the front is always dominated by one that is.
                let by_front = points.iter().zip(&front).any(|(other, &on)| on && dominates(other, point));
                prop_assert_eq!(by_any, by_front);
            }
            prop_assert!(points.is_empty() || front.contains(&true));
            // The order of the points does not matter.
            if !points.is_empty() {
                let by = permutation.index(points.len());
                let (mut turned, mut expected) = (points.clone(), front.clone());
                turned.rotate_left(by);
                expected.rotate_left(by);
                prop_assert_eq!(non_dominated(&turned), expected);
            }
        }
    }
}
