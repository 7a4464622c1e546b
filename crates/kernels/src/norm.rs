//! Batch norm on a batch of images (Ioffe and Szegedy, 2015): statistics, coefficients, gradients.
//!
//! With mean μ, variance v, s = 1/√(v + ε), scale γ, shift β and an outer weight c, the output that
//! reaches the node is c·(γ·s·(z − μ) + β): an affine map of z. With upstream gradient g over p
//! values per channel, S₁ = Σ g and S₂ = Σ g·(z − μ), the gradient of z is a·g + b·z + d with a =
//! c·γ·s, b = −a·s²·S₂/p, d = −a·S₁/p − b·μ. The gradient of γ is c·s·S₂, that of β is c·S₁, and
//! that of c is γ·s·S₂ + β·S₁, summed over channels.
//!
//! Statistics are computed per image, centred on the image's first pixel, and then merged in f64
//! (Chan, Golub, LeVeque, 1983). This avoids cancellation, and the order of summation does not
//! depend on the number of threads.

use crate::activation::{ActivationFunction, Function, HardSwish, Relu, Relu6};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;

/// Mean and sum of squared deviations of each channel of one image (packed pixels).
///
/// `scratch` holds three tables.
pub fn moments(
    level: Level,
    image: &[f32],
    channels: usize,
    scratch: &mut [f32],
    mean: &mut [f32],
    deviation: &mut [f32],
) {
    let period = table::length(channels);
    let pixels = image.len() / channels;
    assert!(pixels > 0 && image.len() == pixels * channels);
    assert!(mean.len() == channels && deviation.len() == channels);
    let [origin, first, second] = tables(scratch, period);
    table::fill(origin, image[..channels].iter().copied(), channels);
    // SAFETY: runs of the image's length, tables of `period` floats.
    unsafe {
        run_moments(
            level,
            [image.as_ptr(); 2],
            origin.as_ptr(),
            [first.as_mut_ptr(), second.as_mut_ptr()],
            image.len(),
            period,
        );
    }
    let moments = mean.iter_mut().zip(deviation).zip(&image[..channels]);
    for (channel, ((mean, deviation), &origin)) in moments.enumerate() {
        let sum = table::total(first, channels, channel);
        let shift = sum / pixels as f32;
        *deviation = (table::total(second, channels, channel) - sum * shift).max(0.0);
        *mean = origin + shift;
    }
}

/// S₁ = Σ g and S₂ = Σ g·(z − μ) of each channel of one image (packed pixels). `center` is the
/// table of μ.
///
/// `scratch` holds three tables.
pub fn gradient_sums(
    level: Level,
    g: &[f32],
    z: &[f32],
    center: &[f32],
    scratch: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let (period, channels) = (center.len(), first.len());
    assert!(g.len() == z.len() && period == table::length(channels));
    let [_, sums, products] = tables(scratch, period);
    // SAFETY: runs of one length, tables of `period` floats.
    unsafe {
        run_dots(
            level,
            [g.as_ptr(), z.as_ptr()],
            center.as_ptr(),
            [sums.as_mut_ptr(), products.as_mut_ptr()],
            g.len(),
            period,
        );
    }
    table::fold(sums, channels, first);
    table::fold(products, channels, second);
}

/// `g` times the slope of `function` at scale · z + shift (the gradient of an activation function
/// after a norm), and its sums S₁ and S₂. `tables`: scale, shift and μ. Otherwise as for
/// [`gradient_sums`].
pub fn gate_sums(
    (level, function): (Level, ActivationFunction),
    z: &[f32],
    tables: [&[f32]; 3],
    g: &mut [f32],
    scratch: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let (period, channels) = (tables[0].len(), first.len());
    assert!(g.len() == z.len() && tables.iter().all(|table| table.len() == table::length(channels)));
    let [_, sums, products] = self::tables(scratch, period);
    let sum_pointers = [sums.as_mut_ptr(), products.as_mut_ptr()];
    let (tables, count) = (tables.map(<[f32]>::as_ptr), g.len());
    let (z, g) = (z.as_ptr(), g.as_mut_ptr());
    // SAFETY: runs of one length, tables of `period` floats.
    unsafe {
        match function {
            ActivationFunction::Relu => run_gate::<Relu>(level, z, g, tables, sum_pointers, count, period),
            ActivationFunction::Relu6 => run_gate::<Relu6>(level, z, g, tables, sum_pointers, count, period),
            ActivationFunction::HardSwish => run_gate::<HardSwish>(level, z, g, tables, sum_pointers, count, period),
        }
    };
    table::fold(sums, channels, first);
    table::fold(products, channels, second);
}

fn tables(scratch: &mut [f32], period: usize) -> [&mut [f32]; 3] {
    let (a, rest) = scratch.split_at_mut(period);
    let (b, rest) = rest.split_at_mut(period);
    [a, b, &mut rest[..period]]
}

per_level! {
    unsafe fn run_moments {} {} (runs: [*const f32; 2], center: *const f32, sums: [*mut f32; 2], count: usize, period: usize) = moments_body;
    unsafe fn run_gate {F: Function} {F} (z: *const f32, g: *mut f32, tables: [*const f32; 3], sums: [*mut f32; 2], count: usize, period: usize) = gate_body;
    unsafe fn run_dots {} {} (runs: [*const f32; 2], center: *const f32, sums: [*mut f32; 2], count: usize, period: usize) = dots_body;
}

/// # Safety
/// As for [`accumulate`].
#[inline(always)]
unsafe fn moments_body<S: Simd>(
    runs: [*const f32; 2],
    center: *const f32,
    sums: [*mut f32; 2],
    count: usize,
    period: usize,
) {
    // SAFETY: guaranteed by the caller.
    unsafe { accumulate::<S, true>(runs, center, sums, count, period) }
}

/// # Safety
/// As for [`accumulate`].
#[inline(always)]
unsafe fn dots_body<S: Simd>(
    runs: [*const f32; 2],
    center: *const f32,
    sums: [*mut f32; 2],
    count: usize,
    period: usize,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if (3 * LANES..=LONGEST_IN_ORDER).contains(&period) {
            dots_in_order::<S>(runs, center, sums, count / LANES * LANES, period);
            add_rest::<S, false>(runs, center, sums, count, period);
        } else {
            accumulate::<S, false>(runs, center, sums, count, period);
        }
    }
}

/// Longest table, in floats, of [`dots_in_order`]. The shortest has three vectors: two are
/// neighbouring cache lines, which the CPU loads together.
const LONGEST_IN_ORDER: usize = 256;

/// [`accumulate`] of g and g·x up to `full`, with the same bits, but in the order of memory: unlike
/// the moments, these sums read images that left the cache, and the CPU loads ahead only what is
/// read in order.
///
/// # Safety
/// As for [`accumulate`]; `full` is a number of whole vectors within the runs, and `period` is a
/// multiple of 16 and at most [`LONGEST_IN_ORDER`].
#[inline(always)]
unsafe fn dots_in_order<S: Simd>(
    [gradient, image]: [*const f32; 2],
    center: *const f32,
    sums: [*mut f32; 2],
    full: usize,
    period: usize,
) {
    let mut totals = [[[0.0f32; LONGEST_IN_ORDER]; 2]; CHAINS];
    // SAFETY: positions in runs stay below `full`, in tables and totals below `period`.
    unsafe {
        let (mut pattern, mut chain) = (0, 0);
        for at in (0..full).step_by(LANES) {
            let x = S::sub(S::load(image.add(at)), S::load(center.add(pattern)));
            let g = S::load(gradient.add(at));
            let [first, second] = &mut totals[chain];
            let (first, second) = (first.as_mut_ptr().add(pattern), second.as_mut_ptr().add(pattern));
            S::store(first, S::add(S::load(first), g));
            S::store(second, S::fma(g, x, S::load(second)));
            pattern += LANES;
            if pattern == period {
                (pattern, chain) = (0, (chain + 1) % CHAINS);
            }
        }
        for pattern in (0..period).step_by(LANES) {
            for (i, sum) in sums.into_iter().enumerate() {
                let [a, b, c, d] = totals.each_ref().map(|chain| chain[i].as_ptr().add(pattern));
                let total = S::add(S::add(S::load(a), S::load(b)), S::add(S::load(c), S::load(d)));
                S::store(sum.add(pattern), total);
            }
        }
    }
}

/// Sums that are computed beside each other, so that additions do not wait for each other.
const CHAINS: usize = 4;

/// Two sums per lane: of x and x² with x = run 1 − center (`SQUARE`), or of g and g·x with g = run
/// 0.
///
/// # Safety
/// Requires the instructions of `S`; the runs have `count` floats and the tables `period` floats.
#[inline(always)]
unsafe fn accumulate<S: Simd, const SQUARE: bool>(
    runs: [*const f32; 2],
    center: *const f32,
    sums: [*mut f32; 2],
    count: usize,
    period: usize,
) {
    let full = count / LANES * LANES;
    // SAFETY: positions in runs stay below `count`, in tables below `period`.
    unsafe {
        let mut pattern = 0;
        while pattern < period.min(full) {
            let mu = S::load(center.add(pattern));
            let mut totals = [[S::zero(); 2]; CHAINS];
            let mut at = pattern;
            while at < full {
                for [first, second] in &mut totals {
                    if at < full {
                        let x = S::sub(S::load(runs[1].add(at)), mu);
                        let g = if SQUARE { x } else { S::load(runs[0].add(at)) };
                        *first = S::add(*first, g);
                        *second = S::fma(g, x, *second);
                    }
                    at += period;
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let total = S::add(S::add(totals[0][i], totals[1][i]), S::add(totals[2][i], totals[3][i]));
                S::store(sum.add(pattern), total);
            }
            pattern += LANES;
        }
        none_from::<S>(sums, pattern, period);
        add_rest::<S, SQUARE>(runs, center, sums, count, period);
    }
}

/// Adds the lanes after the last whole vector to the sums of [`accumulate`].
///
/// # Safety
/// As for [`accumulate`].
#[inline(always)]
unsafe fn add_rest<S: Simd, const SQUARE: bool>(
    runs: [*const f32; 2],
    center: *const f32,
    sums: [*mut f32; 2],
    count: usize,
    period: usize,
) {
    let full = count / LANES * LANES;
    if full == count {
        return;
    }
    // SAFETY: guaranteed by the caller.
    unsafe {
        let (pattern, left) = (full % period, count - full);
        let x = S::sub(
            S::load_first(runs[1].add(full), left),
            S::load_first(center.add(pattern), left),
        );
        let g = if SQUARE {
            x
        } else {
            S::load_first(runs[0].add(full), left)
        };
        let (first, second) = (sums[0].add(pattern), sums[1].add(pattern));
        S::store(first, S::add(S::load(first), g));
        S::store(second, S::fma(g, x, S::load(second)));
    }
}

/// Sets the sums to zero where a short run does not reach the end of the table.
///
/// # Safety
/// Requires the instructions of `S`; the sums have `period` floats.
#[inline(always)]
unsafe fn none_from<S: Simd>(sums: [*mut f32; 2], first: usize, period: usize) {
    for pattern in (first..period).step_by(LANES) {
        for sum in sums {
            // SAFETY: guaranteed by the caller; tables are whole vectors.
            unsafe { S::store(sum.add(pattern), S::zero()) };
        }
    }
}

/// # Safety
/// Requires the instructions of `S`; `z` and `g` have `count` floats and the tables `period`
/// floats.
#[inline(always)]
unsafe fn gate_body<S: Simd, F: Function>(
    z: *const f32,
    g: *mut f32,
    tables: [*const f32; 3],
    sums: [*mut f32; 2],
    count: usize,
    period: usize,
) {
    let full = count / LANES * LANES;
    // SAFETY: positions in runs stay below `count`, in tables below `period`.
    unsafe {
        let mut pattern = 0;
        while pattern < period.min(full) {
            let (scale, shift) = (S::load(tables[0].add(pattern)), S::load(tables[1].add(pattern)));
            let mu = S::load(tables[2].add(pattern));
            let mut totals = [[S::zero(); 2]; CHAINS];
            let mut at = pattern;
            while at < full {
                for [first, second] in &mut totals {
                    if at < full {
                        let x = S::load(z.add(at));
                        let gated = F::gradient::<S>(S::fma(x, scale, shift), S::load(g.add(at)));
                        S::store(g.add(at), gated);
                        *first = S::add(*first, gated);
                        *second = S::fma(gated, S::sub(x, mu), *second);
                    }
                    at += period;
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let total = S::add(S::add(totals[0][i], totals[1][i]), S::add(totals[2][i], totals[3][i]));
                S::store(sum.add(pattern), total);
            }
            pattern += LANES;
        }
        none_from::<S>(sums, pattern, period);
        if full < count {
            let (pattern, left) = (full % period, count - full);
            let (scale, shift) = (S::load(tables[0].add(pattern)), S::load(tables[1].add(pattern)));
            let mu = S::load(tables[2].add(pattern));
            let x = S::load_first(z.add(full), left);
            let gated = F::gradient::<S>(S::fma(x, scale, shift), S::load_first(g.add(full), left));
            S::store_first(g.add(full), gated, left);
            let (first, second) = (sums[0].add(pattern), sums[1].add(pattern));
            S::store(first, S::add(S::load(first), gated));
            S::store(second, S::fma(gated, S::sub(x, mu), S::load(second)));
        }
    }
}

/// Merges the images' moments: `means` and `deviations` are `[image][channel]`, each over `pixels`
/// values. Returns the mean and biased variance over the batch.
pub fn merge(means: &[f32], deviations: &[f32], pixels: usize, mean: &mut [f64], variance: &mut [f64]) {
    let channels = mean.len();
    let images = means.len() / channels;
    mean.fill(0.0);
    variance.fill(0.0);
    for image in means.chunks_exact(channels) {
        for (mean, &value) in mean.iter_mut().zip(image) {
            *mean += f64::from(value);
        }
    }
    for mean in mean.iter_mut() {
        *mean /= images as f64;
    }
    for (image, deviation) in means.chunks_exact(channels).zip(deviations.chunks_exact(channels)) {
        for (((variance, &mean), &value), &deviation) in variance.iter_mut().zip(mean.iter()).zip(image).zip(deviation)
        {
            let distance = f64::from(value) - mean;
            *variance += f64::from(deviation) + pixels as f64 * distance * distance;
        }
    }
    for variance in variance.iter_mut() {
        *variance /= (images * pixels) as f64;
    }
}
