//! The instruction sets that int8 kernels are compiled for, detected once at run time.
//!
//! Contract: as for [`crate::Level`], a level is a proof that this CPU has its instructions.

use std::sync::OnceLock;

/// An instruction set that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(Instructions);

/// The instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instructions {
    /// Those of [`Self::Vnni`], and tiles for dense convolutions (x86-64, Linux).
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// 512-bit vectors that sum four products of bytes at once (x86-64).
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// 256-bit vectors (x86-64).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 128-bit vectors (AArch64).
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Plain loops.
    Portable,
}

impl Level {
    /// The level that every CPU has.
    pub const PORTABLE: Self = Self(Instructions::Portable);

    /// Every level of this CPU, the best one first.
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 && is_x86_feature_detected!("avx512vnni") {
                if super::amx::available() {
                    levels.push(Self(Instructions::Amx));
                }
                levels.push(Self(Instructions::Vnni));
            }
            if avx2 {
                levels.push(Self(Instructions::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            levels.push(Self(Instructions::Neon));
        }
        levels.push(Self::PORTABLE);
        levels
    }

    /// Short name for reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Instructions::Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => "neon",
            Instructions::Portable => "portable",
        }
    }

    /// Whether it has tiles.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn has_tiles(self) -> bool {
        self.0 == Instructions::Amx
    }

    pub(crate) fn kind(self) -> Instructions {
        self.0
    }
}

/// The best level of this CPU.
pub fn int8_level() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(|| Level::available()[0])
}

/// `per_level! { fn name (arguments) = body; }` creates `name(level, arguments)`, which runs
/// `body::<S>(arguments)` with the instructions of `level`. The body is an `#[inline(always)]
/// unsafe fn` over `S: Integers`; its other safety requirements are those of `name`.
macro_rules! per_level {
    ($(unsafe fn $name:ident ($($argument:ident: $type:ty),* $(,)?) = $body:ident;)*) => {$(
        /// Runs the body with the instructions of `level`.
        ///
        /// # Safety
        /// As for the body.
        unsafe fn $name(level: $crate::int8::Level, $($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
            unsafe fn vnni($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::int8::simd::Vnni>($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            unsafe fn avx2($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::int8::simd::Avx2>($($argument),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon($($argument: $type),*) {
                // SAFETY: the instructions are enabled here; the caller guarantees the rest.
                unsafe { $body::<$crate::int8::simd::Neon>($($argument),*) }
            }
            match level.kind() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: a level exists only where its instructions do; the caller guarantees the
                // rest.
                $crate::int8::level::Instructions::Amx | $crate::int8::level::Instructions::Vnni => unsafe { vnni($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::int8::level::Instructions::Avx2 => unsafe { avx2($($argument),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: as above.
                $crate::int8::level::Instructions::Neon => unsafe { neon($($argument),*) },
                // SAFETY: plain code; the caller guarantees the rest.
                $crate::int8::level::Instructions::Portable => unsafe { $body::<$crate::int8::simd::Portable>($($argument),*) },
            }
        }
    )*};
}
pub(crate) use per_level;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_level_comes_last() {
        assert_eq!(Level::available().last(), Some(&Level::PORTABLE));
        assert_eq!(int8_level(), Level::available()[0]);
    }
}
