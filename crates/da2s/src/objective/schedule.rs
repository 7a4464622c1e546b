//! The strength of the regulariser at each epoch: λ_c(t) and λ_α(t).
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021, section
//! 3.3, and its public implementation, with the epochs `T` and the warm-up `E` as parameters
//! instead of 50 and 8. Contract: epochs count from 1 to T; the delayed form is 0 during the
//! warm-up. The published values end slightly above 1 for the delayed logarithm (1.006 at T = 50, E
//! = 8), and are reproduced exactly.

use da2s_settings::{settings, words};

words! {
    /// The shape of a schedule.
    #[strum(serialize_all = "lowercase")]
    pub enum Curve {
        /// Always 1.
        Const,
        /// Straight from 0 to 1.
        Linear,
        /// Logarithm: fast, then slow.
        Log,
        /// Exponential: doubles every five epochs and reaches 1 at the end; 1 in further epochs.
        Exp,
        /// Sigmoid around the middle.
        Sigmoid,
        /// 0, 1/3, 2/3 and 1 in the four quarters.
        Step,
    }
}

settings! {
    /// A factor that follows a curve, from the first epoch or from the end of the warm-up.
    #[derive(Copy, Eq, Hash)]
    pub struct Schedule {
        /// How the factor rises over the epochs.
        curve: Curve = Curve::Linear;
        /// Whether the factor is 0 during the warm-up and the curve starts after it.
        delayed: bool = false;
    }
}

impl Schedule {
    /// The published λ_c: linear.
    pub(crate) const LINEAR: Self = Self {
        curve: Curve::Linear,
        delayed: false,
    };
    /// The published λ_α: logarithmic, delayed.
    pub(crate) const DELAYED_LOG: Self = Self {
        curve: Curve::Log,
        delayed: true,
    };

    /// The value at `epoch` (from 1) of `epochs`, with `warmup` epochs of warm-up. Finite for every
    /// input.
    pub fn at(self, epoch: usize, epochs: usize, warmup: usize) -> f64 {
        let (t, total, wait) = (epoch as f64, epochs as f64, warmup as f64);
        if self.delayed {
            // The logarithm starts in the last epoch of the warm-up, at ln 1 = 0.
            if epoch <= warmup {
                return 0.0;
            }
            let rest = total - wait;
            match self.curve {
                Curve::Const => 1.0,
                Curve::Linear => ratio(t - wait, rest),
                Curve::Log => ratio((t - wait + 1.0).ln(), rest.ln()),
                Curve::Exp => ((t - total) / 5.0).min(0.0).exp2(),
                Curve::Sigmoid => sigmoid((t - wait) / 4.0 - rest / 8.0),
                Curve::Step => quarter(t - wait, rest),
            }
        } else {
            match self.curve {
                Curve::Const => 1.0,
                Curve::Linear => ratio(t - 1.0, total - 1.0),
                Curve::Log => ratio(t.ln(), total.ln()),
                Curve::Exp => ((t - total) / 5.0).min(0.0).exp2(),
                Curve::Sigmoid => sigmoid(t / 5.0 - total / 10.0),
                Curve::Step => quarter(t, total),
            }
        }
    }
}

/// `part / whole`; 1 if the search is too short for a curve.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn quarter(t: f64, total: f64) -> f64 {
    let quarters = (4.0 * ratio(t, total)).floor();
    quarters.clamp(0.0, 3.0) / 3.0
}
