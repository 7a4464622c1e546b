//! The inverse cosine transform of a block, with dequantisation.
//!
//! C. Loeffler, A. Ligtenberg, G. Moschytz, "Practical fast 1-D DCT algorithms with 11
//! multiplications", ICASSP 1989, in integers with the scaling and rounding of libjpeg's
//! `jidctint.c`, so that samples are bit-identical to libjpeg's.

use std::num::Wrapping;

/// Fractional bits of the constants, and of the values between the two passes.
const CONSTANT_BITS: usize = 13;
const PASS_BITS: usize = 2;

/// Damaged data may contain any number, so arithmetic must wrap instead of overflowing.
type Number = Wrapping<i32>;

/// Writes the 8×8 samples of a block to `out`, whose rows are `stride` apart.
pub fn samples(coefficients: &[i16; 64], quantiser: &[u16; 64], out: &mut [u8], stride: usize) {
    let value = |at: usize| Wrapping(i32::from(coefficients[at])) * Wrapping(i32::from(quantiser[at]));
    if coefficients[1..].iter().all(|&coefficient| coefficient == 0) {
        let flat = sample((value(0) << PASS_BITS) << CONSTANT_BITS);
        for row in out.chunks_mut(stride).take(8) {
            row[..8].fill(flat);
        }
        return;
    }
    let mut columns = [[Wrapping(0); 8]; 8];
    for (column, results) in columns.iter_mut().enumerate() {
        let values: [Number; 8] = std::array::from_fn(|row| value(8 * row + column));
        if values[1..].iter().all(|&value| value == Wrapping(0)) {
            *results = [values[0] << PASS_BITS; 8];
        } else {
            *results = transform(values).map(|value| rounded(value, CONSTANT_BITS - PASS_BITS));
        }
    }
    for (row, out) in out.chunks_mut(stride).take(8).enumerate() {
        let results = transform(columns.map(|column| column[row]));
        for (out, result) in out.iter_mut().zip(results) {
            *out = sample(result);
        }
    }
}

/// Converts a result of the second pass to a sample.
fn sample(result: Number) -> u8 {
    let centred = rounded(result, CONSTANT_BITS + PASS_BITS + 3) + Wrapping(128);
    centred.0.clamp(0, 255) as u8
}

fn rounded(value: Number, bits: usize) -> Number {
    (value + Wrapping(1 << (bits - 1))) >> bits
}

/// One dimension: the results have [`CONSTANT_BITS`] more fractional bits than the input, and are
/// √8 times as large.
#[inline(always)]
fn transform(values: [Number; 8]) -> [Number; 8] {
    let times = |value: Number, constant: i32| value * Wrapping(constant);
    // The even part.
    let turned = times(values[2] + values[6], 4433);
    let (even_2, even_3) = (turned - times(values[6], 15137), turned + times(values[2], 6270));
    let even_0 = (values[0] + values[4]) << CONSTANT_BITS;
    let even_1 = (values[0] - values[4]) << CONSTANT_BITS;
    let even = [even_0 + even_3, even_1 + even_2, even_1 - even_2, even_0 - even_3];
    // The odd part.
    let [_, one, _, three, _, five, _, seven] = values;
    let (z1, z2) = (times(seven + one, -7373), times(five + three, -20995));
    let z5 = times(seven + three + five + one, 9633);
    let (z3, z4) = (times(seven + three, -16069) + z5, times(five + one, -3196) + z5);
    let odd = [
        times(one, 12299) + z1 + z4,
        times(three, 25172) + z2 + z3,
        times(five, 16819) + z2 + z4,
        times(seven, 2446) + z1 + z3,
    ];
    std::array::from_fn(|at| match at {
        0..4 => even[at] + odd[at],
        _ => even[7 - at] - odd[7 - at],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition (ITU-T T.81, A.3.3).
    fn exact(coefficients: &[i16; 64], quantiser: &[u16; 64]) -> Vec<f64> {
        let basis = |frequency: usize, place: usize| {
            let scale = if frequency == 0 { 0.125f64.sqrt() } else { 0.5 };
            scale * (std::f64::consts::PI * frequency as f64 * (2 * place + 1) as f64 / 16.0).cos()
        };
        let sample = |y: usize, x: usize| -> f64 {
            let term = |at: usize| {
                let value = f64::from(coefficients[at]) * f64::from(quantiser[at]);
                value * basis(at / 8, y) * basis(at % 8, x)
            };
            (0..64).map(term).sum()
        };
        (0..64)
            .map(|at| (sample(at / 8, at % 8) + 128.0).clamp(0.0, 255.0))
            .collect()
    }

    proptest! {
        #[test]
        fn samples_are_those_of_the_definition(
            values in prop::collection::vec((0usize..64, -60i16..60), 0..20), quantum in 1u16..8,
        ) {
            let mut coefficients = [0; 64];
            for (at, value) in values {
                coefficients[at] = value;
            }
            let quantiser = [quantum; 64];
            let mut out = [0; 64];
            samples(&coefficients, &quantiser, &mut out, 8);
            for (out, exact) in out.iter().zip(exact(&coefficients, &quantiser)) {
                prop_assert!((f64::from(*out) - exact).abs() < 0.6, "{out} for {exact}");
            }
        }

        #[test]
        fn no_number_overflows(coefficients: Vec<i16>, quantum: u16) {
            let mut block = [0; 64];
            for (place, value) in block.iter_mut().zip(coefficients) {
                *place = value;
            }
            samples(&block, &[quantum; 64], &mut [0; 64], 8);
        }
    }
}
