//! The limits of the machine: its peak arithmetic; and what this process used: its peak memory and
//! its processor time.

use std::fs;
use std::time::Instant;

use da2s_kernels::pointwise::{self, Shape};
use da2s_kernels::{cpu_level, table};

/// A product whose operands stay in the first-level cache and whose sums stay in registers.
const SHAPE: Shape = Shape {
    pixels: 32,
    inputs: 48,
    outputs: 48,
};
/// Products per time measurement.
const CALLS: usize = 2_000;
/// Number of time measurements; the best one counts, so that other load on the machine matters
/// little.
const LOOKS: usize = 30;

/// Arithmetic per second, in 10⁹ operations, that all current threads together reach on products of
/// small matrices, which run at the peak speed of the multiply-add units.
pub(crate) fn peak_gflops() -> f64 {
    let level = cpu_level();
    let operations = 2.0 * (SHAPE.pixels * SHAPE.inputs * SHAPE.outputs * CALLS) as f64;
    let best = rayon::broadcast(|_| {
        let source = vec![1.0f32; SHAPE.pixels * SHAPE.inputs];
        let weights = vec![0.5f32; SHAPE.inputs * table::rounded(SHAPE.outputs)];
        let mut target = vec![0.0f32; SHAPE.pixels * SHAPE.outputs];
        let mut least_s = f64::INFINITY;
        for _ in 0..LOOKS {
            let start = Instant::now();
            for _ in 0..CALLS {
                pointwise::product(level, SHAPE, &weights, &source, false, SHAPE.outputs, &mut target);
            }
            least_s = least_s.min(start.elapsed().as_secs_f64());
        }
        operations / least_s / 1e9
    });
    best.iter().sum()
}

/// Peak memory of this process, as reported by Linux; `None` elsewhere.
pub fn peak_resident_bytes() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Processor time of all threads of this process so far, in milliseconds; `None` if the system does
/// not report it.
#[cfg(unix)]
pub(crate) fn processor_ms() -> Option<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e3)
}

#[cfg(not(unix))]
pub(crate) const fn processor_ms() -> Option<f64> {
    None
}

fn peak_of(status: &str) -> Option<u64> {
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status() {
        assert_eq!(
            peak_of("Name:\tda2s\nVmHWM:\t    1024 kB\nVmRSS:\t 512 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(peak_of("Name:\tda2s\n"), None);
    }
}
