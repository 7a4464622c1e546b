//! Activation functions and the gradients through them, on flat runs of pixels.
//!
//! References: Sandler et al., "MobileNetV2", CVPR 2018, section 3.3 (ReLU6); Howard et al.,
//! "Searching for MobileNetV3", ICCV 2019, section 5.2 (hard-swish). Coefficients are tables, as in
//! [`crate::elementwise`]. Contract: every function is 0 at 0; a gradient at a kink is that of one
//! of its sides.

use std::marker::PhantomData;

use crate::elementwise::{Map, map, update};
use crate::level::Level;
use crate::simd::Simd;

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationFunction {
    /// max(x, 0).
    #[default]
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · min(max(x + 3, 0), 6) / 6.
    HardSwish,
}

/// What kernels compute of an activation function.
pub(crate) trait Function {
    /// The function of `x`.
    ///
    /// # Safety
    /// Requires the instructions of `S`.
    unsafe fn value<S: Simd>(x: S::V) -> S::V;

    /// `g` times the slope at `x`.
    ///
    /// # Safety
    /// Requires the instructions of `S`.
    unsafe fn gradient<S: Simd>(x: S::V, g: S::V) -> S::V;
}

pub(crate) struct Relu;
pub(crate) struct Relu6;
pub(crate) struct HardSwish;

impl Function for Relu {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { S::max(x, S::zero()) }
    }

    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, g: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { S::where_positive(x, g) }
    }
}

impl Function for Relu6 {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let negative = S::sub(S::zero(), S::max(x, S::zero()));
            S::sub(S::zero(), S::max(negative, S::splat(-6.0)))
        }
    }

    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, g: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { S::where_positive(S::sub(S::splat(6.0), x), S::where_positive(x, g)) }
    }
}

impl Function for HardSwish {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let gate = Relu6::value::<S>(S::add(x, S::splat(3.0)));
            S::mul(S::mul(x, gate), S::splat(1.0 / 6.0))
        }
    }

    /// The slope is 0 up to −3, (2x + 3) / 6 between, 1 above 3.
    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, g: S::V) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let three = S::splat(3.0);
            let above = S::where_positive(S::sub(x, three), g);
            let slope = S::mul(S::add(S::add(x, x), three), S::splat(1.0 / 6.0));
            let within = S::where_positive(S::add(x, three), S::mul(S::sub(g, above), slope));
            S::add(above, within)
        }
    }
}

/// The function alone.
struct Of<F>(PhantomData<F>);
/// The function of `scale · x + shift`.
struct OfAffine<F>(PhantomData<F>);
/// Adds `scale` times the third run, times the slope at the second run, to the first run.
struct AddSlope<F>(PhantomData<F>);

impl<F: Function> Map<1, 0> for Of<F> {
    #[inline(always)]
    unsafe fn apply<S: Simd>(_: [S::V; 0], [x]: [S::V; 1]) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { F::value::<S>(x) }
    }
}

impl<F: Function> Map<1, 2> for OfAffine<F> {
    #[inline(always)]
    unsafe fn apply<S: Simd>([scale, shift]: [S::V; 2], [x]: [S::V; 1]) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { F::value::<S>(S::fma(x, scale, shift)) }
    }
}

impl<F: Function> Map<3, 1> for AddSlope<F> {
    #[inline(always)]
    unsafe fn apply<S: Simd>([scale]: [S::V; 1], [to, at, x]: [S::V; 3]) -> S::V {
        // SAFETY: guaranteed by the caller.
        unsafe { S::add(to, F::gradient::<S>(at, S::mul(x, scale))) }
    }
}

/// `to` = the function of `x`.
pub fn apply(level: Level, function: ActivationFunction, x: &[f32], to: &mut [f32]) {
    match function {
        ActivationFunction::Relu => map::<Of<Relu>, 1, 0>(level, [], [x], to),
        ActivationFunction::Relu6 => map::<Of<Relu6>, 1, 0>(level, [], [x], to),
        ActivationFunction::HardSwish => map::<Of<HardSwish>, 1, 0>(level, [], [x], to),
    }
}

/// `to` = the function of `scale · x + shift`.
pub fn apply_affine(
    level: Level,
    function: ActivationFunction,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    to: &mut [f32],
) {
    let tables = [scale, shift];
    match function {
        ActivationFunction::Relu => map::<OfAffine<Relu>, 1, 2>(level, tables, [x], to),
        ActivationFunction::Relu6 => map::<OfAffine<Relu6>, 1, 2>(level, tables, [x], to),
        ActivationFunction::HardSwish => map::<OfAffine<HardSwish>, 1, 2>(level, tables, [x], to),
    }
}

/// `to += scale · g` times the slope of the function at `x`.
pub fn add_gradient(level: Level, function: ActivationFunction, x: &[f32], g: &[f32], scale: &[f32], to: &mut [f32]) {
    match function {
        ActivationFunction::Relu => update::<AddSlope<Relu>, 3, 2, 1>(level, [scale], [x, g], to),
        ActivationFunction::Relu6 => update::<AddSlope<Relu6>, 3, 2, 1>(level, [scale], [x, g], to),
        ActivationFunction::HardSwish => update::<AddSlope<HardSwish>, 3, 2, 1>(level, [scale], [x, g], to),
    }
}
