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
        let mut pattern = 0;
        while pattern < period.min(full) {
            let mut constants = [S::zero(); T];
            for (slot, table) in constants.iter_mut().zip(tables) {
                *slot = S::load(table.add(pattern));
            }
            let mut at = pattern;
            while at < full {
                let mut x = [S::zero(); N];
                for (slot, run) in x.iter_mut().zip(from) {
                    *slot = S::load(run.add(at));
                }
                S::store(to.add(at), M::apply::<S>(constants, x));
                at += period;
            }
            pattern += LANES;
        }
        if full < count {
            let mut constants = [S::zero(); T];
            for (slot, table) in constants.iter_mut().zip(tables) {
                *slot = S::load(table.add(full % period));
            }
            let mut x = [S::zero(); N];
            for (slot, run) in x.iter_mut().zip(from) {
                *slot = S::load_first(run.add(full), count - full);
            }
            S::store_first(to.add(full), M::apply::<S>(constants, x), count - full);
        }
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

/// The common length of the tables. Panics if the tables or the runs differ in length.
fn checked<const N: usize, const T: usize>(tables: [&[f32]; T], from: [&[f32]; N], count: usize) -> usize {
    let period = tables.first().map_or(LANES, |table| table.len());
    assert!(
        period.is_multiple_of(LANES) && tables.iter().all(|table| table.len() == period),
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
