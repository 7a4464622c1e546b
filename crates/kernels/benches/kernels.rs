//! GFLOP/s of the convolution kernels on one core, by CPU instruction set, for the image sizes of
//! the cells.
//!
//! Run with `cargo bench -p da2s-kernels --bench kernels -- [level]`. The result is the fastest of
//! many runs, so other load on the machine matters little.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use da2s_kernels::{Level, Padded, View, Window, dense, depthwise, pointwise, table};

/// Shortest time of a call, in seconds.
fn least(mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..20 {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() / 20.0);
    }
    best
}

/// A vector, and its first index that is aligned to a cache line, as the executor's buffers are.
struct Aligned(Vec<f32>, usize);

impl Aligned {
    fn new(len: usize) -> Self {
        let data = vec![0.5f32; len + 16];
        let at = data.as_ptr().align_offset(64);
        Self(data, at)
    }

    fn get(&self) -> &[f32] {
        &self.0[self.1..]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        &mut self.0[self.1..]
    }
}

fn report(what: &str, multiply_adds: usize, seconds: f64) {
    println!("  {what:40} {:7.1} GFLOP/s", 2.0 * multiply_adds as f64 / seconds / 1e9);
}

fn depthwise_case(level: Level, side: usize, channels: usize, window: Window) {
    let image = Padded {
        height: side,
        width: side,
        channels,
        pad: 4,
    };
    let source = Aligned::new(image.len());
    let weights = Aligned::new(window.taps() * table::length(channels));
    let (source, weights) = (source.get(), weights.get());
    let taps = window.walk(&image);
    let out = window.output(side);
    let whole = depthwise::Region {
        channels,
        extent: da2s_kernels::Extent {
            rows: out,
            columns: out,
        },
        source: image.view().strided(window.stride, 0, 0),
        target: View::packed(out, channels),
        taps: &taps,
    };
    let mut target = Aligned::new(out * out * channels);
    let target = target.get_mut();
    let work = out * out * channels * window.taps();
    let name = format!(
        "{side}×{side}×{channels}, {}×{0}, stride {}, dilation {}",
        window.kernel, window.stride, window.dilation
    );
    report(
        &format!("depthwise {name}"),
        work,
        least(|| depthwise::convolve(level, &whole, weights, source, false, target)),
    );
    let mut sums = vec![0.0f32; weights.len()];
    report(
        "    gradient of weights",
        work,
        least(|| depthwise::weight_gradient(level, &whole, source, target, &mut sums)),
    );
}

fn pointwise_case(level: Level, pixels: usize, channels: usize) {
    let shape = pointwise::Shape {
        pixels,
        inputs: channels,
        outputs: channels,
    };
    let source = vec![1.0f32; pixels * channels];
    let mut target = source.clone();
    let weights = vec![0.5f32; channels * table::rounded(channels)];
    let mut sums = weights.clone();
    let work = pixels * channels * channels;
    report(
        &format!("pointwise {pixels} × {channels}"),
        work,
        least(|| pointwise::product(level, shape, &weights, &source, false, channels, &mut target)),
    );
    report(
        "    gradient of weights",
        work,
        least(|| pointwise::weight_gradient(level, shape, &source, channels, &target, &mut sums)),
    );
}

fn dense_case(level: Level, side: usize, inputs: usize, outputs: usize) {
    let window = Window::same(3, 1, 1);
    let image = Padded {
        height: side,
        width: side,
        channels: inputs,
        pad: 1,
    };
    let source = vec![1.0f32; image.len()];
    let weights = vec![0.5f32; 9 * inputs * table::rounded(outputs)];
    let taps = window.walk(&image);
    let region = dense::Region {
        inputs,
        outputs,
        extent: image.extent(),
        source: image.view(),
        target: View::packed(side, outputs),
        taps: &taps,
    };
    let mut target = vec![0.0f32; side * side * outputs];
    let mut sums = weights.clone();
    let work = side * side * inputs * outputs * 9;
    report(
        &format!("dense 3×3 {side}×{side}, {inputs} → {outputs}"),
        work,
        least(|| dense::convolve(level, &region, &weights, &source, false, &mut target)),
    );
    report(
        "    gradient of weights",
        work,
        least(|| dense::weight_gradient(level, &region, &source, &target, &mut sums)),
    );
}

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    for level in Level::available() {
        if wanted.as_ref().is_some_and(|wanted| wanted != level.name()) {
            continue;
        }
        println!("{}", level.name());
        for (side, channels) in [(32, 16), (16, 32), (8, 64), (32, 36), (16, 8)] {
            for (kernel, dilation) in [(3, 1), (5, 1), (5, 2)] {
                depthwise_case(level, side, channels, Window::same(kernel, 1, dilation));
            }
            pointwise_case(level, side * side, channels);
        }
        depthwise_case(level, 32, 32, Window::same(5, 2, 1));
        depthwise_case(level, 16, 64, Window::same(3, 2, 1));
        for channels in [72, 144] {
            pointwise_case(level, 64, channels);
        }
        dense_case(level, 32, 3, 48);
        dense_case(level, 32, 16, 16);
        dense_case(level, 8, 64, 64);
    }
}
