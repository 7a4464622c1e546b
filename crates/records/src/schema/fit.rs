//! How well a network fits the images that it was trained on, compared with the test images: the
//! remark on over- and underfitting.
//!
//! Contract: it is not overfitting if the accuracy on the training images is inside the interval of
//! the test images. The limits are rules of thumb, so the remark names what to try, not what is
//! wrong.

/// From this difference between training and test accuracy on, in points, it is overfitting.
const OVER: f64 = 5.0;
/// Below this accuracy on its training images, in percent, a network underfits.
const KNOWN: f64 = 90.0;

/// Accuracies of a network in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// On images that it was trained on.
    pub train: f64,
    /// On the test images.
    pub test: f64,
    /// The 95 % interval of that.
    pub interval: [f64; 2],
}

impl Fit {
    /// Whether it knows its training images clearly better than others.
    pub fn is_over(&self) -> bool {
        self.train > self.interval[1] && self.train - self.test >= OVER
    }

    /// Whether it does not know its training images either.
    pub fn is_under(&self) -> bool {
        !self.is_over() && self.train < KNOWN
    }

    /// A few words on it.
    pub fn remark(&self) -> String {
        let points = self.train - self.test;
        if self.is_over() {
            format!("overfits by {points:.1} points: more images, augmentation or drop-path may help")
        } else if self.is_under() {
            "underfits: more epochs or a larger network may help".to_owned()
        } else {
            "no sign of over- or underfitting".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_on_overfitting_needs_a_significant_difference() {
        let remark = |train: f64, test: f64, half: f64| {
            let interval = [test - half, test + half];
            Fit { train, test, interval }.remark()
        };
        assert!(remark(99.0, 80.0, 2.0).starts_with("overfits by 19.0 points"));
        assert!(remark(70.0, 50.0, 2.0).starts_with("overfits by 20.0 points"));
        assert!(remark(62.0, 60.0, 2.0).starts_with("underfits"));
        for (train, test, half) in [(99.0, 96.0, 1.0), (99.0, 80.0, 25.0), (97.0, 98.0, 1.0)] {
            assert!(
                remark(train, test, half).starts_with("no sign"),
                "{train} {test} {half}"
            );
        }
    }
}
