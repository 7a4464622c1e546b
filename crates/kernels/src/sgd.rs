//! Stochastic gradient descent with momentum and weight decay, on flat runs of floats.
//!
//! Contract: PyTorch's `SGD` without dampening: `v ← μ v + s g + λ w`, `w ← w − η v`. Every product
//! and sum is rounded by itself, so the result is the same on every CPU, and the same as that of a
//! tensor library that computes one operation at a time. Memory is what bounds it, so there is one
//! version for all levels.

/// The coefficients of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Learning rate η.
    pub rate: f32,
    /// Momentum μ.
    pub momentum: f32,
    /// Weight decay λ.
    pub weight_decay: f32,
    /// What the gradient is multiplied by first: the s of clipping.
    pub scale: f32,
}

/// Moves `velocity` on, and writes the moved weights over `gradient`.
///
/// # Panics
/// If the three runs are not of one length.
pub fn step(step: Step, weights: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
    assert!(
        weights.len() == velocity.len() && weights.len() == gradient.len(),
        "runs of one length"
    );
    for ((&weight, velocity), gradient) in weights.iter().zip(velocity).zip(gradient) {
        *velocity = (step.weight_decay * weight + step.scale * *gradient) + step.momentum * *velocity;
        *gradient = weight - step.rate * *velocity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_are_those_of_the_definition() {
        let rule = Step {
            rate: 0.5,
            momentum: 0.25,
            weight_decay: 2.0,
            scale: 0.5,
        };
        let (mut velocity, mut first) = ([0.0], [4.0]);
        step(rule, &[1.0], &mut velocity, &mut first);
        assert_eq!((velocity, first), ([4.0], [-1.0]));
        let mut second = [8.0];
        step(rule, &first, &mut velocity, &mut second);
        assert_eq!((velocity, second), ([3.0], [-2.5]));
    }
}
