//! The derivative of a draw from the Gamma distribution with respect to its shape.
//!
//! Reference: Figurnov, Mohamed, Mnih, "Implicit Reparameterization Gradients", NeurIPS 2018,
//! equation 5: a draw x of Gamma(a, 1) moves as dx/da = −(∂F/∂a)/f. With the series of the
//! distribution function, F(x) = Σ_n x^(a+n) e^(−x) / Γ(a+n+1), and f(x) = x^(a−1) e^(−x) / Γ(a),
//!
//! ```text
//! dx/da = Σ_n (ψ(a+n+1) − ln x) · x^(n+1) / (a (a+1) … (a+n))
//! ```
//!
//! Contract: for positive a and x; NaN if one of them is NaN. The terms cancel in the upper tail,
//! so a draw with a probability of 1e-6 has about ten correct digits.

/// Fraction of the sum below which further terms are ignored.
const ENOUGH: f64 = 1e-14;

/// Shape from which the distribution is treated as normal, x = a + √a z: there the series is long,
/// and the error is below a part in a thousand.
const NORMAL: f64 = 1e3;

/// dx/da of the draw `x` of Gamma(`shape`, 1).
pub(super) fn slope(shape: f64, x: f64) -> f64 {
    if shape > NORMAL || shape.is_nan() || x.is_nan() {
        return 1.0 + (x - shape) / (2.0 * shape);
    }
    let log = x.ln();
    let (mut denominator, mut psi) = (shape, digamma(shape + 1.0));
    let mut factor = x / denominator;
    let mut sum = 0.0;
    loop {
        let term = factor * (psi - log);
        sum += term;
        denominator += 1.0;
        // Terms grow until the denominator exceeds x.
        if denominator > x && term.abs() <= ENOUGH * sum.abs() {
            return sum;
        }
        factor *= x / denominator;
        psi += 1.0 / denominator;
    }
}

/// ψ(x), the derivative of ln Γ, for positive x: its recurrence up to 6, then its asymptotic
/// series.
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 6.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square
        * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square * (1.0 / 240.0 - square / 132.0))));
    x.ln() - 0.5 / x - series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F(x) of Gamma(a, 1) by its series; Γ(a+1) by Stirling's series after the recurrence.
    fn distribution(a: f64, x: f64) -> f64 {
        let log_gamma = |mut z: f64| {
            let mut below = 0.0;
            while z < 30.0 {
                below += z.ln();
                z += 1.0;
            }
            let stirling = (z - 0.5) * z.ln() - z + 0.5 * (2.0 * std::f64::consts::PI).ln();
            stirling + 1.0 / (12.0 * z) - 1.0 / (360.0 * z.powi(3)) + 1.0 / (1260.0 * z.powi(5)) - below
        };
        let mut term = (a * x.ln() - x - log_gamma(a + 1.0)).exp();
        let mut sum = 0.0;
        for n in 1..1000 {
            sum += term;
            term *= x / (a + f64::from(n));
        }
        sum
    }

    #[test]
    fn the_distribution_function_is_constant_along_the_slope() {
        for a in [0.02f64, 0.3, 1.0, 2.5, 8.0, 30.0] {
            // Standard deviations from the mean; farther out F is 1 to all digits of an f64.
            for deviations in [-2.0f64, -1.0, 0.0, 1.0, 3.0] {
                let x = (a + deviations * a.sqrt()).max(0.05 * a);
                let step = 1e-5 * a;
                let slope = slope(a, x);
                // F is constant along the slope: F(a + h, x + h·dx/da) = F(a − h, x − h·dx/da).
                let above = distribution(a + step, x + step * slope);
                let below = distribution(a - step, x - step * slope);
                let of_x = (distribution(a, x * (1.0 + 1e-6)) - distribution(a, x * (1.0 - 1e-6))) / (2e-6 * x);
                let error = (above - below) / (2.0 * step) / of_x;
                assert!(
                    error.abs() < 1e-4 * slope.max(1e-3),
                    "a = {a}, x = {x}: {slope} is wrong by {error}"
                );
            }
        }
    }
}
