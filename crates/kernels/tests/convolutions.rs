//! Depthwise, pointwise and dense convolutions and the factorised reduce, for every CPU
//! instruction set, compared with plain loops.

mod plain;

use da2s_kernels::{Extent, Level, Padded, View, Window, dense, depthwise, pointwise, reduce, table};
use plain::{CHANNELS, Numbers, SIZES, assert_close, pad, sizes, walk};

fn windows() -> Vec<Window> {
    let mut windows = Vec::new();
    // Sides of 3 and 5 have specialised loops, the others share one.
    for &kernel in sizes(&[1, 3, 5, 7], &[3, 5, 7]) {
        for stride in [1, 2] {
            // Under Miri, each of them once.
            for &dilation in sizes(&[1, 2], if kernel == 3 { &[1] } else { &[2] }) {
                windows.push(Window::same(kernel, stride, dilation));
            }
        }
    }
    windows
}

#[test]
fn depthwise_matches_plain_loops() {
    for (case, window) in windows().into_iter().enumerate() {
        for &channels in CHANNELS {
            for &(height, width) in sizes(SIZES, &[(3, 2), (2, 13)]) {
                depthwise_case(window, channels, height, width, case);
            }
        }
    }
}

fn depthwise_case(window: Window, channels: usize, height: usize, width: usize, seed: usize) {
    let mut numbers = Numbers::new(seed + channels);
    let (rows, columns) = (window.output(height), window.output(width));
    let image = numbers.take(height * width * channels);
    let weights = numbers.take(channels * window.taps());
    let gradient = numbers.take(rows * columns * channels);
    let mut output = vec![0.0f64; rows * columns * channels];
    let mut d_image = vec![0.0f64; image.len()];
    let mut d_weights = vec![0.0f64; weights.len()];
    {
        // Slices, because Miri checks the whole `Vec` at every index into it.
        let (image, weights, gradient, output, d_image, d_weights) = (
            &image[..],
            &weights[..],
            &gradient[..],
            &mut output[..],
            &mut d_image[..],
            &mut d_weights[..],
        );
        for (out, tap, input) in walk(&window, height, width) {
            for c in 0..channels {
                let (x, w) = (
                    f64::from(image[input * channels + c]),
                    f64::from(weights[c * window.taps() + tap]),
                );
                let d = f64::from(gradient[out * channels + c]);
                output[out * channels + c] += x * w;
                d_image[input * channels + c] += d * w;
                d_weights[c * window.taps() + tap] += d * x;
            }
        }
    }

    for level in Level::available() {
        let what = format!("{} {window:?} {channels} channels {height}×{width}", level.name());
        let padded = Padded {
            height,
            width,
            channels,
            pad: window.padding,
        };
        let source = pad(&padded, &image);
        let period = table::length(channels);
        let mut packed = vec![0.0; window.taps() * period];
        depthwise::pack(&weights, channels, &mut packed);
        let taps = window.walk(&padded);
        let region = depthwise::Region {
            channels,
            extent: Extent { rows, columns },
            source: padded.view().strided(window.stride, 0, 0),
            target: View::packed(columns, channels),
            taps: &taps,
        };
        let mut got = vec![f32::NAN; output.len()];
        depthwise::convolve(level, &region, &packed, &source, false, &mut got);
        assert_close(&what, &got, &output, 1e-5);
        depthwise::convolve(level, &region, &packed, &source, true, &mut got);
        let doubled: Vec<f64> = output.iter().map(|x| 2.0 * x).collect();
        assert_close(&what, &got, &doubled, 1e-5);

        let mut sums = vec![0.0; packed.len()];
        depthwise::weight_gradient(level, &region, &source, &gradient, &mut sums);
        let mut got = vec![0.0; weights.len()];
        depthwise::unpack_add(&sums, channels, &mut got);
        assert_close(&what, &got, &d_weights, 1e-4);

        let padded = Padded {
            height: rows,
            width: columns,
            channels,
            pad: window.transposed_pad((height, width)),
        };
        let source = pad(&padded, &gradient);
        let mut got = vec![0.0; image.len()];
        for phase in window.transposed(&padded) {
            let region = depthwise::Region {
                channels,
                extent: phase.extent(height, width, window.stride),
                source: padded.view(),
                target: View::packed(width, channels).strided(window.stride, phase.y, phase.x),
                taps: &phase.taps,
            };
            depthwise::convolve(level, &region, &packed, &source, true, &mut got);
        }
        assert_close(&what, &got, &d_image, 1e-5);
    }
}

#[test]
fn dense_matches_plain_loops() {
    let window = |kernel, stride, padding| Window {
        kernel,
        stride,
        dilation: 1,
        padding,
    };
    let windows = [
        window(3, 1, 1),
        window(3, 2, 1),
        window(1, 1, 0),
        window(1, 2, 0),
        window(2, 1, 0),
        window(5, 1, 0),
        window(7, 1, 3),
        window(7, 2, 3),
    ];
    let channels = sizes(&[(1, 1), (3, 17), (16, 16), (17, 3), (36, 48), (20, 72)], &[(2, 9)]);
    for (case, window) in windows.into_iter().enumerate() {
        for &(inputs, outputs) in channels {
            for &(height, width) in sizes(SIZES, &[(3, 2), (2, 3)]) {
                if window.output(height) == 0 || window.output(width) == 0 {
                    continue;
                }
                dense_case(window, (inputs, outputs), height, width, case);
            }
        }
    }
}

fn dense_case(window: Window, channels: (usize, usize), height: usize, width: usize, seed: usize) {
    let (inputs, outputs) = channels;
    let mut numbers = Numbers::new(seed + inputs);
    let (rows, columns) = (window.output(height), window.output(width));
    let image = numbers.take(height * width * inputs);
    let weights = numbers.take(inputs * outputs * window.taps());
    let gradient = numbers.take(rows * columns * outputs);
    let mut output = vec![0.0f64; rows * columns * outputs];
    let mut d_image = vec![0.0f64; image.len()];
    let mut d_weights = vec![0.0f64; weights.len()];
    {
        // Slices, because Miri checks the whole `Vec` at every index into it.
        let (image, weights, gradient, output, d_image, d_weights) = (
            &image[..],
            &weights[..],
            &gradient[..],
            &mut output[..],
            &mut d_image[..],
            &mut d_weights[..],
        );
        for (out, tap, input) in walk(&window, height, width) {
            for o in 0..outputs {
                for i in 0..inputs {
                    let weight = (o * inputs + i) * window.taps() + tap;
                    let (x, w) = (f64::from(image[input * inputs + i]), f64::from(weights[weight]));
                    let d = f64::from(gradient[out * outputs + o]);
                    output[out * outputs + o] += x * w;
                    d_image[input * inputs + i] += d * w;
                    d_weights[weight] += d * x;
                }
            }
        }
    }

    for level in Level::available() {
        let what = format!("{} {window:?} {channels:?} channels {height}×{width}", level.name());
        let padded = Padded {
            height,
            width,
            channels: inputs,
            pad: window.padding,
        };
        let source = pad(&padded, &image);
        let mut packed = vec![0.0; window.taps() * inputs * table::rounded(outputs)];
        dense::pack(&weights, inputs, outputs, &mut packed);
        let taps = window.walk(&padded);
        let region = dense::Region {
            inputs,
            outputs,
            extent: Extent { rows, columns },
            source: padded.view().strided(window.stride, 0, 0),
            target: View::packed(columns, outputs),
            taps: &taps,
        };
        let mut got = vec![f32::NAN; output.len()];
        dense::convolve(level, &region, &packed, &source, false, &mut got);
        assert_close(&what, &got, &output, 1e-4);

        let mut sums = vec![0.0; packed.len()];
        dense::weight_gradient(level, &region, &source, &gradient, &mut sums);
        let mut got = vec![0.0; weights.len()];
        dense::unpack_add(&sums, inputs, outputs, &mut got);
        assert_close(&what, &got, &d_weights, 1e-4);

        let pad_width = window.transposed_pad((height, width));
        let padded = Padded {
            height: rows,
            width: columns,
            channels: outputs,
            pad: pad_width,
        };
        let source = pad(&padded, &gradient);
        let mut packed = vec![0.0; window.taps() * outputs * table::rounded(inputs)];
        dense::pack_transposed(&weights, inputs, outputs, &mut packed);
        let mut got = vec![0.0; image.len()];
        for phase in window.transposed(&padded) {
            let region = dense::Region {
                inputs: outputs,
                outputs: inputs,
                extent: phase.extent(height, width, window.stride),
                source: padded.view(),
                target: View::packed(width, inputs).strided(window.stride, phase.y, phase.x),
                taps: &phase.taps,
            };
            dense::convolve(level, &region, &packed, &source, true, &mut got);
        }
        assert_close(&what, &got, &d_image, 1e-4);
    }
}

#[test]
fn pointwise_matches_plain_loops() {
    let channels = sizes(
        &[(1, 1), (3, 48), (16, 16), (17, 36), (36, 17), (64, 64), (144, 144)],
        &[
            (1, 1),
            (9, 12),
            (16, 16),
            (8, 3),
            (8, 20),
            (9, 36),
            (3, 48),
            (6, 56),
            (4, 64),
        ],
    );
    for &(inputs, outputs) in channels {
        for &pixels in sizes(&[1, 7, 64], &[1, 7, 13]) {
            let mut numbers = Numbers::new(inputs + pixels);
            let (x, w) = (numbers.take(pixels * inputs), numbers.take(inputs * outputs));
            let d = numbers.take(pixels * outputs);
            let mut y = vec![0.0f64; pixels * outputs];
            let (mut d_x, mut d_w) = (vec![0.0f64; x.len()], vec![0.0f64; w.len()]);
            {
                let (x, w, d, y, d_x, d_w) = (&x[..], &w[..], &d[..], &mut y[..], &mut d_x[..], &mut d_w[..]);
                for p in 0..pixels {
                    for o in 0..outputs {
                        for i in 0..inputs {
                            let (x, w) = (f64::from(x[p * inputs + i]), f64::from(w[o * inputs + i]));
                            let d = f64::from(d[p * outputs + o]);
                            y[p * outputs + o] += x * w;
                            d_x[p * inputs + i] += d * w;
                            d_w[o * inputs + i] += d * x;
                        }
                    }
                }
            }
            for level in Level::available() {
                let what = format!("{} {inputs} → {outputs}, {pixels} pixels", level.name());
                let shape = pointwise::Shape {
                    pixels,
                    inputs,
                    outputs,
                };
                let mut packed = vec![f32::NAN; inputs * table::rounded(outputs)];
                pointwise::pack(&w, inputs, outputs, &mut packed);
                let mut got = vec![f32::NAN; y.len()];
                pointwise::product(level, shape, &packed, &x, false, outputs, &mut got);
                assert_close(&what, &got, &y, 1e-4);

                let mut sums = vec![0.0; packed.len()];
                pointwise::weight_gradient(level, shape, &x, outputs, &d, &mut sums);
                let mut got = vec![0.0; w.len()];
                pointwise::unpack_add(&sums, inputs, outputs, &mut got);
                assert_close(&what, &got, &d_w, 1e-4);

                let mut packed = vec![f32::NAN; outputs * table::rounded(inputs)];
                pointwise::pack_transposed(&w, inputs, &mut packed);
                let back = pointwise::Shape {
                    pixels,
                    inputs: outputs,
                    outputs: inputs,
                };
                let mut got = vec![1.0; x.len()];
                pointwise::product(level, back, &packed, &d, true, inputs, &mut got);
                let plus_one: Vec<f64> = d_x.iter().map(|x| x + 1.0).collect();
                assert_close(&what, &got, &plus_one, 1e-4);
            }
        }
    }
}

#[test]
fn factorised_reduce_matches_plain_loops() {
    let channels = sizes(
        &[(1, 2), (3, 5), (16, 16), (36, 72), (32, 16)],
        &[(1, 2), (3, 5), (4, 40)],
    );
    for &(inputs, outputs) in channels {
        for &(height, width) in SIZES {
            reduce_case(inputs, outputs, height, width);
        }
    }
}

fn reduce_case(inputs: usize, outputs: usize, height: usize, width: usize) {
    let image = Padded {
        height,
        width,
        channels: inputs,
        pad: 1,
    };
    let reduce = reduce::Reduce { image, outputs };
    let [first, _] = reduce.halves();
    let Extent { rows, columns } = reduce.extent();
    let mut numbers = Numbers::new(inputs * outputs);
    let (x, w) = (numbers.take(height * width * inputs), numbers.take(inputs * outputs));
    let d = numbers.take(rows * columns * outputs);
    let mut y = vec![0.0f64; d.len()];
    let (mut d_x, mut d_w) = (vec![0.0f64; x.len()], vec![0.0f64; w.len()]);
    {
        // Slices, because Miri checks the whole `Vec` at every index into it.
        let (x, w, d, y, d_x, d_w) = (&x[..], &w[..], &d[..], &mut y[..], &mut d_x[..], &mut d_w[..]);
        for p in 0..rows * columns {
            for o in 0..outputs {
                let shift = usize::from(o >= first);
                let (iy, ix) = (p / columns * 2 + shift, p % columns * 2 + shift);
                if iy < height && ix < width {
                    for i in 0..inputs {
                        let at = (iy * width + ix) * inputs + i;
                        y[p * outputs + o] += f64::from(x[at]) * f64::from(w[o * inputs + i]);
                        d_x[at] += f64::from(d[p * outputs + o]) * f64::from(w[o * inputs + i]);
                        d_w[o * inputs + i] += f64::from(d[p * outputs + o]) * f64::from(x[at]);
                    }
                }
            }
        }
    }
    for level in Level::available() {
        let what = format!("{} {inputs} → {outputs}, {height}×{width}", level.name());
        let source = pad(&image, &x);
        let mut packed = vec![0.0; reduce.packed_len()];
        let (low, high) = packed.split_at_mut(reduce.packed_split());
        pointwise::pack(&w[..first * inputs], inputs, first, low);
        pointwise::pack(&w[first * inputs..], inputs, outputs - first, high);
        let mut got = vec![f32::NAN; y.len()];
        reduce.convolve(level, &packed, &source, &mut got);
        assert_close(&what, &got, &y, 1e-5);

        let mut sums = vec![0.0; packed.len()];
        reduce.weight_gradient(level, &source, &d, &mut sums);
        let mut got = vec![0.0; w.len()];
        let (low, high) = sums.split_at(reduce.packed_split());
        let (to_low, to_high) = got.split_at_mut(first * inputs);
        pointwise::unpack_add(low, inputs, first, to_low);
        pointwise::unpack_add(high, inputs, outputs - first, to_high);
        assert_close(&what, &got, &d_w, 1e-4);

        let mut packed = vec![0.0; reduce.transposed_len()];
        pointwise::pack_transposed(&w, inputs, &mut packed);
        let mut got = vec![0.0; x.len()];
        reduce.input_gradient(level, &packed, &d, &mut got);
        assert_close(&what, &got, &d_x, 1e-5);
    }
}
