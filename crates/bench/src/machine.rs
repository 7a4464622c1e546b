//! What the machine can do: its arithmetic, and the memory that this process has held.

use std::fs;
use std::time::Instant;

use da2s_kernels::pointwise::{self, Shape};
use da2s_kernels::{cpu_level, table};

/// A product whose operands stay in the first cache and whose sums stay in registers.
const SHAPE: Shape = Shape {
    pixels: 32,
    inputs: 48,
    outputs: 48,
};
/// Products between two looks at the clock.
const CALLS: usize = 2_000;
/// Looks at the clock; the best counts, so that other work on the machine matters little.
const LOOKS: usize = 30;

/// Arithmetic in a second, in 10⁹ operations, that all current threads together reach in a product
/// of small matrices, which is as fast as their multiply-add units are.
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

/// Most memory that this process has held, as Linux tells it; `None` elsewhere.
pub fn peak_resident_bytes() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
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
