//! The instruction sets of the CPU, detected once at run time.
//!
//! A [`Level`] is a proof: it can be obtained only by detection, so a kernel that receives one may
//! use the instructions of that level. Tests and benchmarks select a lower level from
//! [`Level::available`].

use std::sync::OnceLock;

/// An instruction set that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(Instructions);

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instructions {
    /// 512-bit vectors (x86-64).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors with fused multiply-add (x86-64).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 128-bit vectors (AArch64).
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Plain loops, vectorised by the compiler.
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
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                levels.push(Self(Instructions::Avx512));
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

    /// The level with this `name` (as given by [`Level::name`]), if the CPU has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|level| level.name() == name)
    }

    /// Short name for reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2+fma",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => "neon",
            Instructions::Portable => "portable",
        }
    }

    pub(crate) fn kind(self) -> Instructions {
        self.0
    }
}

/// The best level of this CPU.
pub fn cpu_level() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(|| Level::available()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_by_their_names() {
        for level in Level::available() {
            assert_eq!(Level::named(level.name()), Some(level));
        }
        assert_eq!(Level::named("abacus"), None);
        assert_eq!(Level::available().last(), Some(&Level::PORTABLE));
    }
}
