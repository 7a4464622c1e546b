//! Pooling, batch norm and elementwise kernels, for every CPU instruction set, compared with plain
//! loops.

mod plain;

use da2s_kernels::activation::{self, ActivationFunction};
use da2s_kernels::{Level, Padded, Window, elementwise, norm, pool, table};
use plain::{CHANNELS, Numbers, SIZES, assert_close, sizes, walk};

#[test]
fn pooling_matches_plain_loops() {
    let window = |kernel, stride, padding| Window {
        kernel,
        stride,
        dilation: 1,
        padding,
    };
    let windows = [
        window(3, 1, 1),
        window(3, 2, 1),
        window(2, 2, 0),
        window(5, 3, 0),
        window(1, 2, 0),
        window(7, 1, 3),
        window(7, 2, 3),
    ];
    for window in windows {
        for &channels in sizes(CHANNELS, &[3, 20, 32]) {
            for &(height, width) in SIZES {
                if window.output(height) == 0 || window.output(width) == 0 {
                    continue;
                }
                for kind in [pool::Pooling::Max, pool::Pooling::Average] {
                    pool_case(pool::Pool {
                        kind,
                        window,
                        height,
                        width,
                        channels,
                    });
                }
            }
        }
    }
}

fn pool_case(pool: pool::Pool) {
    let channels = pool.channels;
    let outputs = pool.window.output(pool.height) * pool.window.output(pool.width);
    let mut numbers = Numbers::new(channels);
    let image = numbers.coarse(pool.height * pool.width * channels);
    let gradient = numbers.take(outputs * channels);
    let steps = walk(&pool.window, pool.height, pool.width);
    let mut output = vec![0.0f64; outputs * channels];
    let mut d_image = vec![0.0f64; image.len()];
    // A window is never empty.
    for (out, steps) in steps.chunk_by(|a, b| a.0 == b.0).enumerate() {
        let inputs: Vec<usize> = steps.iter().map(|step| step.2).collect();
        for c in 0..channels {
            let value = |input: usize| f64::from(image[input * channels + c]);
            let d = f64::from(gradient[out * channels + c]);
            match pool.kind {
                pool::Pooling::Max => {
                    let largest = inputs
                        .iter()
                        .map(|&input| value(input))
                        .fold(f64::NEG_INFINITY, f64::max);
                    let first = *inputs
                        .iter()
                        .find(|&&input| value(input) == largest)
                        .expect("a window is never empty");
                    output[out * channels + c] = largest;
                    d_image[first * channels + c] += d;
                }
                pool::Pooling::Average => {
                    let share = 1.0 / inputs.len() as f64;
                    for &input in &inputs {
                        output[out * channels + c] += value(input) * share;
                        d_image[input * channels + c] += d * share;
                    }
                }
            }
        }
    }
    for level in Level::available() {
        let what = format!("{} {pool:?}", level.name());
        let mut got = vec![f32::NAN; output.len()];
        pool::forward(level, &pool, &image, &mut got);
        assert_close(&what, &got, &output, 1e-6);
        let mut d_got = vec![0.0; image.len()];
        pool::backward(level, &pool, &image, &got, &gradient, &mut d_got);
        assert_close(&what, &d_got, &d_image, 1e-5);
    }
}

#[test]
fn statistics_match_plain_loops_and_do_not_cancel() {
    for &channels in sizes(CHANNELS, &[3, 20, 32]) {
        for &(images, pixels) in sizes(&[(1, 1), (1, 2), (3, 35), (2, 64)], &[(1, 1), (1, 2), (2, 9)]) {
            let mut numbers = Numbers::new(channels + pixels);
            // A mean far from zero is where naive sums lose precision.
            let z: Vec<f32> = numbers
                .take(images * pixels * channels)
                .into_iter()
                .map(|x| 0.01 * x + 10.0)
                .collect();
            let g = numbers.take(z.len());
            let count = (images * pixels) as f64;
            let column = |data: &[f32], c: usize| {
                data.iter()
                    .skip(c)
                    .step_by(channels)
                    .map(|&x| f64::from(x))
                    .collect::<Vec<_>>()
            };
            for level in Level::available() {
                let period = table::length(channels);
                let mut scratch = vec![f32::NAN; 3 * period];
                let (mut means, mut deviations) = (vec![0.0; images * channels], vec![0.0; images * channels]);
                for image in 0..images {
                    norm::moments(
                        level,
                        &z[image * pixels * channels..(image + 1) * pixels * channels],
                        channels,
                        &mut scratch,
                        &mut means[image * channels..(image + 1) * channels],
                        &mut deviations[image * channels..(image + 1) * channels],
                    );
                }
                let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
                norm::merge(&means, &deviations, pixels, &mut mean, &mut variance);
                let mut center = vec![0.0; period];
                table::fill(&mut center, mean.iter().map(|&x| x as f32), channels);
                let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
                norm::gradient_sums(level, &g, &z, &center, &mut scratch, &mut first, &mut second);
                // The same through the gate of a ReLU: half of the gradients are blocked and do not
                // count.
                let (scale, shift) = (vec![1.0; period], center.iter().map(|x| -x).collect::<Vec<_>>());
                let mut gated = g.clone();
                let (mut gated_first, mut gated_second) = (vec![0.0; channels], vec![0.0; channels]);
                norm::gate_sums(
                    (level, ActivationFunction::Relu),
                    &z,
                    [&scale, &shift, &center],
                    &mut gated,
                    &mut scratch,
                    &mut gated_first,
                    &mut gated_second,
                );
                let passes = |at: usize| scale[at % channels].mul_add(z[at], shift[at % channels]) > 0.0;
                let expected: Vec<f32> = (0..g.len()).map(|at| if passes(at) { g[at] } else { 0.0 }).collect();
                assert_eq!(gated, expected);
                let (mut again_first, mut again_second) = (vec![0.0; channels], vec![0.0; channels]);
                norm::gradient_sums(
                    level,
                    &gated,
                    &z,
                    &center,
                    &mut scratch,
                    &mut again_first,
                    &mut again_second,
                );
                assert_eq!((gated_first, gated_second), (again_first, again_second));
                for c in 0..channels {
                    let (z, g) = (column(&z, c), column(&g, c));
                    let expected = z.iter().sum::<f64>() / count;
                    let spread = z.iter().map(|z| (z - expected).powi(2)).sum::<f64>() / count;
                    assert!((mean[c] - expected).abs() < 1e-6, "{}: mean", level.name());
                    assert!(
                        (variance[c] - spread).abs() < 1e-4 * spread + 1e-9,
                        "{}: variance",
                        level.name()
                    );
                    let mu = f64::from(center[c]);
                    let dot: f64 = z.iter().zip(&g).map(|(z, g)| (z - mu) * g).sum();
                    assert!((f64::from(first[c]) - g.iter().sum::<f64>()).abs() < 1e-4);
                    assert!((f64::from(second[c]) - dot).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn elementwise_maps_match_plain_loops() {
    for &channels in sizes(CHANNELS, &[3, 20, 32]) {
        for &pixels in sizes(&[1, 5, 33], &[1, 5, 9]) {
            for level in Level::available() {
                elementwise_case(level, channels, pixels);
            }
        }
    }
}

fn elementwise_case(level: Level, channels: usize, pixels: usize) {
    let what = format!("{} {channels} channels, {pixels} pixels", level.name());
    let mut numbers = Numbers::new(channels + pixels);
    let count = pixels * channels;
    let (x, g, start) = (numbers.take(count), numbers.take(count), numbers.take(count));
    let mut tables = [(); 3].map(|()| vec![0.0; table::length(channels)]);
    for table in &mut tables {
        let values = numbers.take(channels);
        table::fill(table, values, channels);
    }
    let [a, b, d] = [&tables[0][..], &tables[1][..], &tables[2][..]];
    let expect = |f: &dyn Fn(usize, f64, f64, f64, [f64; 3]) -> f64| -> Vec<f64> {
        (0..count)
            .map(|i| {
                let c = i % channels;
                let constants = [f64::from(a[c]), f64::from(b[c]), f64::from(d[c])];
                f(i, f64::from(x[i]), f64::from(g[i]), f64::from(start[i]), constants)
            })
            .collect()
    };
    let run = |f: &dyn Fn(&mut [f32])| {
        let mut to = start.clone();
        f(&mut to);
        to
    };
    let check = |got: Vec<f32>, expected: Vec<f64>| assert_close(&what, &got, &expected, 1e-6);
    check(
        run(&|to| elementwise::affine(level, &x, a, b, to)),
        expect(&|_, x, _, _, [a, b, _]| a * x + b),
    );
    check(
        run(&|to| elementwise::add(level, &x, to)),
        expect(&|_, x, _, to, _| to + x),
    );
    check(
        run(&|to| elementwise::add_scaled(level, &x, a, to)),
        expect(&|_, x, _, to, [a, ..]| to + a * x),
    );
    check(
        run(&|to| elementwise::add_affine(level, &x, a, b, to)),
        expect(&|_, x, _, to, [a, b, _]| to + a * x + b),
    );
    let positive = |gate: f64, x: f64| if gate > 0.0 { x } else { 0.0 };
    check(
        run(&|to| elementwise::gate(level, &x, &g, to)),
        expect(&|_, x, g, _, _| positive(x, g)),
    );
    check(
        run(&|to| elementwise::add_gated(level, &x, &g, to)),
        expect(&|_, x, g, to, _| to + positive(x, g)),
    );
    check(
        run(&|to| elementwise::gradient(level, &g, &x, [a, b, d], to)),
        expect(&|_, x, g, _, [a, b, d]| a * g + b * x + d),
    );
    check(
        run(&|to| elementwise::add_gradient(level, &g, &x, [a, b, d], to)),
        expect(&|_, x, g, to, [a, b, d]| to + a * g + b * x + d),
    );
}

#[test]
fn activation_functions_match_plain_loops() {
    let relu6 = |x: f64| x.clamp(0.0, 6.0);
    let value = |function, x: f64| match function {
        ActivationFunction::Relu => x.max(0.0),
        ActivationFunction::Relu6 => relu6(x),
        ActivationFunction::HardSwish => x * relu6(x + 3.0) / 6.0,
    };
    let inside = |x: f64, least: f64, most: f64| if x > least && x < most { 1.0 } else { 0.0 };
    let slope = |function, x: f64| match function {
        ActivationFunction::Relu => inside(x, 0.0, f64::INFINITY),
        ActivationFunction::Relu6 => inside(x, 0.0, 6.0),
        ActivationFunction::HardSwish => inside(x, 3.0, f64::INFINITY) + inside(x, -3.0, 3.0) * (2.0 * x + 3.0) / 6.0,
    };
    for (function, level) in [
        ActivationFunction::Relu,
        ActivationFunction::Relu6,
        ActivationFunction::HardSwish,
    ]
    .into_iter()
    .flat_map(|function| Level::available().into_iter().map(move |level| (function, level)))
    {
        for &channels in sizes(CHANNELS, &[3, 20, 32]) {
            let (pixels, period) = (19, table::length(channels));
            let mut numbers = Numbers::new(channels);
            let mut wide = |count: usize| -> Vec<f32> { numbers.take(count).iter().map(|x| 9.0 * x).collect() };
            let (z, g, start) = (
                wide(pixels * channels),
                wide(pixels * channels),
                wide(pixels * channels),
            );
            let mut tables = [(); 3].map(|()| vec![0.0; period]);
            for table in &mut tables {
                let values = wide(channels);
                table::fill(table, values.iter().map(|x| x / 6.0), channels);
            }
            let [scale, shift, center] = [0, 1, 2].map(|at| &tables[at][..]);
            let what = format!("{function:?}, {}, {channels} channels", level.name());
            let of = |at: usize| {
                let c = at % channels;
                f64::from(z[at]) * f64::from(scale[c]) + f64::from(shift[c])
            };
            let all = |value: &dyn Fn(usize) -> f64| (0..z.len()).map(value).collect::<Vec<f64>>();
            let mut to = start.clone();
            activation::apply(level, function, &z, &mut to);
            assert_close(&what, &to, &all(&|at| value(function, f64::from(z[at]))), 1e-6);
            activation::apply_affine(level, function, &z, scale, shift, &mut to);
            assert_close(&what, &to, &all(&|at| value(function, of(at))), 1e-5);
            let mut to = start.clone();
            activation::add_gradient(level, function, &z, &g, scale, &mut to);
            let expected = all(&|at| {
                let g = f64::from(g[at]) * f64::from(scale[at % channels]);
                f64::from(start[at]) + g * slope(function, f64::from(z[at]))
            });
            assert_close(&what, &to, &expected, 1e-5);
            let mut to = g.clone();
            let mut sums = [(); 2].map(|()| vec![0.0; channels]);
            let [first, second] = &mut sums;
            let mut scratch = vec![f32::NAN; 3 * period];
            norm::gate_sums(
                (level, function),
                &z,
                [scale, shift, center],
                &mut to,
                &mut scratch,
                first,
                second,
            );
            let expected = all(&|at| f64::from(g[at]) * slope(function, of(at)));
            assert_close(&what, &to, &expected, 1e-5);
            let mut totals = [(); 2].map(|()| vec![0.0; channels]);
            for (at, g) in expected.iter().enumerate() {
                let c = at % channels;
                totals[0][c] += g;
                totals[1][c] += g * (f64::from(z[at]) - f64::from(center[c]));
            }
            for (sums, totals) in sums.iter().zip(&totals) {
                assert_close(&what, sums, totals, 1e-4);
            }
        }
    }
}

#[test]
fn padded_images_keep_their_pixels_apart() {
    let shape = Padded {
        height: 2,
        width: 3,
        channels: 2,
        pad: 2,
    };
    let image: Vec<f32> = (1..=12)
        .map(|x| if x % 2 == 0 { -(x as f32) } else { x as f32 })
        .collect();
    for level in Level::available() {
        let mut data = vec![f32::NAN; shape.len()];
        shape.clear_border(&mut data);
        shape.relu_from(level, &image, &mut data);
        assert_eq!(data.iter().sum::<f32>(), 36.0);
        assert_eq!(data[shape.view().at], 1.0);
        assert_eq!(data[shape.view().at + shape.view().row + 4], 11.0);
    }
}
