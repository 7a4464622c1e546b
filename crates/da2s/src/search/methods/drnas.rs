//! DrNAS: the mixture of every edge is drawn from a Dirichlet distribution with a learned
//! concentration.
//!
//! Reference: Chen, Wang, Cheng, Tang, Hsieh, "DrNAS: Dirichlet Neural Architecture Search", ICLR
//! 2021: p ~ Dir(c) with c = elu(α) + 1 (section 3.2), drawn again in every half-step, with the
//! reparametrised gradient: p = g / Σ g of independent g_o ~ Gamma(c_o, 1), whose derivative in c
//! is that of `gamma.rs`. The paper's penalty 1e-3·‖α‖² is `search.arch_weight_decay`. Contract:
//! outside of training, p is the mean of the distribution, c / Σ c.

use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, Gamma};

use crate::device::host;
use crate::objective::{Link, concentration, normalized};
use crate::random::Purpose;
use crate::search::gamma::slope;
use crate::search::method::{Choices, SearchMethod};
use crate::search::moment::When;
use crate::space::KindTarget;

/// The smallest draw by which f32 can still divide.
const LEAST: f32 = 1e-30;

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrNas;

impl SearchMethod for DrNas {
    fn link(&self, _: &KindTarget) -> Link {
        Link::Dirichlet
    }

    fn operations(&self, alpha: Tensor<2>, _: Choices<'_>, when: When) -> Tensor<2> {
        let (shape, device) = (alpha.dims(), alpha.device());
        let concentration = concentration(alpha);
        let Some(draw) = when.draw() else {
            return normalized(concentration);
        };
        let mut random = draw.random(Purpose::Method);
        let (mut drawn, mut slopes) = (Vec::new(), Vec::new());
        for c in host(&concentration) {
            let shape = f64::from(c);
            // A value that is not finite is detected in the loss.
            let x = match Gamma::new(shape, 1.0) {
                Ok(gamma) if c.is_finite() => gamma.sample(&mut random).max(f64::from(LEAST)),
                _ => f64::NAN,
            };
            drawn.push(x as f32);
            slopes.push(slope(shape, x) as f32);
        }
        let constant = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
        // The value is the draw; the gradient in the concentration is its slope.
        let moves = (concentration.clone() - concentration.detach()) * constant(slopes);
        normalized(constant(drawn) + moves)
    }
}
