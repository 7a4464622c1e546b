//! Stochastic gradient descent with momentum and weight decay, on flat runs of floats.
//!
//! Contract: PyTorch's `SGD` without dampening: `v ← μ v + s g + λ w`, `w ← w − η v`, where λ may
//! be masked for each weight. Every product and sum is rounded separately, so the result is the
//! same on every CPU, and the same as that of a tensor library that computes one operation at a
//! time. Memory bandwidth is the limit, so one version serves all levels.

/// The coefficients of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Learning rate η.
    pub rate: f32,
    /// Momentum μ.
    pub momentum: f32,
    /// Weight decay λ.
    pub weight_decay: f32,
    /// The factor s by which the gradient is multiplied first: gradient clipping.
    pub scale: f32,
}

/// Updates `velocity` and writes the new weights over `gradient`.
///
/// # Panics
/// If the three slices differ in length.
pub fn step(step: Step, weights: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
    assert!(
        weights.len() == velocity.len() && weights.len() == gradient.len(),
        "slices of equal length"
    );
    for ((&weight, velocity), gradient) in weights.iter().zip(velocity).zip(gradient) {
        update(step, step.weight_decay, weight, velocity, gradient);
    }
}

/// The same, with the weight decay of each weight multiplied by `mask`.
///
/// # Panics
/// If the four slices differ in length.
pub fn masked_step(step: Step, mask: &[f32], weights: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
    assert!(
        weights.len() == velocity.len() && weights.len() == gradient.len() && weights.len() == mask.len(),
        "slices of equal length"
    );
    for (((&weight, &mask), velocity), gradient) in weights.iter().zip(mask).zip(velocity).zip(gradient) {
        update(step, step.weight_decay * mask, weight, velocity, gradient);
    }
}

#[inline(always)]
fn update(step: Step, weight_decay: f32, weight: f32, velocity: &mut f32, gradient: &mut f32) {
    *velocity = (weight_decay * weight + step.scale * *gradient) + step.momentum * *velocity;
    *gradient = weight - step.rate * *velocity;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_match_the_definition() {
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

        // The first weight decays as above, the second does not.
        let (mut velocity, mut gradient) = ([0.0; 2], [4.0; 2]);
        masked_step(rule, &[1.0, 0.0], &[1.0; 2], &mut velocity, &mut gradient);
        assert_eq!((velocity, gradient), ([4.0, 2.0], [-1.0, 0.0]));
    }
}
