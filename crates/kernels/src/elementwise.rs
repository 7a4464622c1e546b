//! Operations on flat runs of pixels: the gradient of ReLU, per-channel affine maps, sums.
//!
//! Coefficients are tables (see [`crate::table`]) of equal length; a run begins with channel 0. All
//! runs in a call have the length of `to`.

use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};

/// A function of `N` vectors with `T` per-channel constants.
pub(crate) trait Map<const N: usize, const T: usize> {
    /// # Safety
    /// Requires the instructions of `S`.
    unsafe fn apply<S: Simd>(constants: [S::V; T], x: [S::V; N]) -> S::V;
}

/// # Safety
/// Requires the instructions of `S`; every run has `count` floats; every table has `period` floats,
/// a multiple of 16.
#[inline(always)]
unsafe fn sweep<S: Simd, M: Map<N, T>, const N: usize, const T: usize>(
    tables: [*const f32; T],
    from: [*const f32; N],
    to: *mut f32,
    count: usize,
    period: usize,
) {
    // SAFETY: positions in runs stay below `count`, positions in tables below `period`.
    unsafe {
        let full = count / LANES * LANES;
        // In the order of memory, although constants are then loaded again for every vector, unless
        // they are few: the CPU loads ahead only what is read in order.
        match period / LANES {
            1 => short::<S, M, N, T, 1>(tables, from, to, full),
            2 => short::<S, M, N, T, 2>(tables, from, to, full),
            _ => {
                let mut pattern = 0;
                for at in (0..full).step_by(LANES) {
                    let constants = vectors::<S, T>(tables, pattern);
                    S::store(to.add(at), M::apply::<S>(constants, vectors::<S, N>(from, at)));
                    pattern += LANES;
                    if pattern == period {
                        pattern = 0;
                    }
                }
            }
        }
        if full < count {
            let constants = vectors::<S, T>(tables, full % period);
            let mut x = [S::zero(); N];
            for (slot, run) in x.iter_mut().zip(from) {
                *slot = S::load_first(run.add(full), count - full);
            }
            S::store_first(to.add(full), M::apply::<S>(constants, x), count - full);
        }
    }
}

/// The whole vectors of [`sweep`] for tables of `P` vectors, which are loaded once.
///
/// # Safety
/// As for [`sweep`]; every run has `full` floats, which are whole vectors.
#[inline(always)]
unsafe fn short<S: Simd, M: Map<N, T>, const N: usize, const T: usize, const P: usize>(
    tables: [*const f32; T],
    from: [*const f32; N],
    to: *mut f32,
    full: usize,
) {
    // SAFETY: positions in runs stay below `full`, positions in tables below P · LANES.
    unsafe {
        let mut constants = [[S::zero(); T]; P];
        for (pattern, constants) in constants.iter_mut().enumerate() {
            *constants = vectors::<S, T>(tables, pattern * LANES);
        }
        for first in (0..full).step_by(P * LANES) {
            for (pattern, &constants) in constants.iter().enumerate() {
                let at = first + pattern * LANES;
                if P == 1 || at < full {
                    S::store(to.add(at), M::apply::<S>(constants, vectors::<S, N>(from, at)));
                }
            }
        }
    }
}

/// The vector at `at` of each run.
///
/// # Safety
/// As for [`Simd::load`].
#[inline(always)]
unsafe fn vectors<S: Simd, const N: usize>(runs: [*const f32; N], at: usize) -> [S::V; N] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut vectors = [S::zero(); N];
        for (vector, run) in vectors.iter_mut().zip(runs) {
            *vector = S::load(run.add(at));
        }
        vectors
    }
}

per_level! {
    unsafe fn run {M: Map<N, T>, const N: usize, const T: usize} {M, N, T}
        (tables: [*const f32; T], from: [*const f32; N], to: *mut f32, count: usize, period: usize) = sweep;
}

/// `to = M(from)`.
pub(crate) fn map<M: Map<N, T>, const N: usize, const T: usize>(
    level: Level,
    tables: [&[f32]; T],
    from: [&[f32]; N],
    to: &mut [f32],
) {
    let period = checked(tables, from, to.len());
    // SAFETY: every run has `to.len()` floats and every table `period`.
    unsafe {
        run::<M, N, T>(
            level,
            tables.map(<[f32]>::as_ptr),
            from.map(<[f32]>::as_ptr),
            to.as_mut_ptr(),
            to.len(),
            period,
        );
    }
}

/// `to = M(to, from)`; `N` includes `to`.
pub(crate) fn update<M: Map<N, T>, const N: usize, const F: usize, const T: usize>(
    level: Level,
    tables: [&[f32]; T],
    from: [&[f32]; F],
    to: &mut [f32],
) {
    const { assert!(N == F + 1) };
    let period = checked(tables, from, to.len());
    let target = to.as_mut_ptr();
    let mut runs = [target.cast_const(); N];
    for (slot, run) in runs[1..].iter_mut().zip(from) {
        *slot = run.as_ptr();
    }
    // SAFETY: every run has `to.len()` floats and every table `period`.
    unsafe { run::<M, N, T>(level, tables.map(<[f32]>::as_ptr), runs, target, to.len(), period) }
}

/// The common length of the tables. Panics if the tables or the runs differ in length, or if a
/// table is empty.
fn checked<const N: usize, const T: usize>(tables: [&[f32]; T], from: [&[f32]; N], count: usize) -> usize {
    let period = tables.first().map_or(LANES, |table| table.len());
    assert!(
        period > 0 && period.is_multiple_of(LANES) && tables.iter().all(|table| table.len() == period),
        "tables of different lengths"
    );
    assert!(from.iter().all(|run| run.len() == count), "runs of different lengths");
    period
}

macro_rules! maps {
    ($($name:ident<$n:literal, $t:literal>($constants:pat, $x:pat) = $value:expr;)*) => {$(
        struct $name;
        impl Map<$n, $t> for $name {
            #[inline(always)]
            unsafe fn apply<S: Simd>($constants: [S::V; $t], $x: [S::V; $n]) -> S::V {
                // SAFETY: the caller guarantees that the CPU has the instructions of `S`.
                unsafe { $value }
            }
        }
    )*};
}

maps! {
    Affine<1, 2>([scale, shift], [x]) = S::fma(x, scale, shift);
    AddScaled<2, 1>([scale], [to, x]) = S::fma(x, scale, to);
    AddAffine<2, 2>([scale, shift], [to, x]) = S::add(to, S::fma(x, scale, shift));
    Add<2, 0>([], [to, x]) = S::add(to, x);
    AddGated<3, 0>([], [to, gate, x]) = S::add(to, S::where_positive(gate, x));
    Gate<2, 0>([], [gate, x]) = S::where_positive(gate, x);
    KeepGated<2, 0>([], [x, gate]) = S::where_positive(gate, x);
    Gradient<2, 3>([a, b, d], [g, z]) = S::fma(g, a, S::fma(z, b, d));
    AddGradient<3, 3>([a, b, d], [to, g, z]) = S::add(to, S::fma(g, a, S::fma(z, b, d)));
}

/// `to = scale · x + shift`.
pub fn affine(level: Level, x: &[f32], scale: &[f32], shift: &[f32], to: &mut [f32]) {
    map::<Affine, 1, 2>(level, [scale, shift], [x], to);
}

/// `to += scale · x`.
pub fn add_scaled(level: Level, x: &[f32], scale: &[f32], to: &mut [f32]) {
    update::<AddScaled, 2, 1, 1>(level, [scale], [x], to);
}

/// `to += scale · x + shift`.
pub fn add_affine(level: Level, x: &[f32], scale: &[f32], shift: &[f32], to: &mut [f32]) {
    update::<AddAffine, 2, 1, 2>(level, [scale, shift], [x], to);
}

/// `to += x`.
pub fn add(level: Level, x: &[f32], to: &mut [f32]) {
    update::<Add, 2, 1, 0>(level, [], [x], to);
}

/// `to += x where gate > 0`: adds the gradient of ReLU at `gate`.
pub fn add_gated(level: Level, gate: &[f32], x: &[f32], to: &mut [f32]) {
    update::<AddGated, 3, 2, 0>(level, [], [gate, x], to);
}

/// `to = x where gate > 0, else 0`: the gradient of ReLU at `gate`.
pub fn gate(level: Level, gate: &[f32], x: &[f32], to: &mut [f32]) {
    map::<Gate, 2, 0>(level, [], [gate, x], to);
}

/// `to = to where gate > 0, else 0`.
pub fn keep_gated(level: Level, gate: &[f32], to: &mut [f32]) {
    update::<KeepGated, 2, 1, 0>(level, [], [gate], to);
}

/// `to = a · g + b · z + d`: the gradient of a batch norm, with the coefficients of
/// [`crate::norm`].
pub fn gradient(level: Level, g: &[f32], z: &[f32], tables: [&[f32]; 3], to: &mut [f32]) {
    map::<Gradient, 2, 3>(level, tables, [g, z], to);
}

/// `to += a · g + b · z + d`.
pub fn add_gradient(level: Level, g: &[f32], z: &[f32], tables: [&[f32]; 3], to: &mut [f32]) {
    update::<AddGradient, 3, 2, 3>(level, tables, [g, z], to);
}
