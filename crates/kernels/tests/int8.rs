//! Int8 kernels for every CPU instruction set, compared with plain loops: the bytes must be equal.

use da2s_kernels::int8::{
    Bounds, Dense, Depthwise, Level, Part, Pool, Region, Scaling, Term, bytes, channel_sums, padded, place, relu, sum,
};
use da2s_kernels::{Extent, View};

/// Pseudorandom numbers: the finaliser of splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn weights(&mut self, len: usize) -> Vec<i8> {
        // The extremes are where products overflow 16 bits.
        let one = |number: u64| match number % 8 {
            0 => -127,
            1 => 127,
            _ => ((number >> 8) % 255) as i64 as i8,
        };
        (0..len).map(|_| one(self.next()).max(-127)).collect()
    }
}

/// A convolution and its image.
#[derive(Clone, Copy, Debug)]
struct Case {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    height: usize,
    width: usize,
}

/// An image with a border, in which even unused channels have values.
struct Image {
    data: Vec<u8>,
    view: View,
    /// Rows and columns of the output.
    extent: Extent,
    taps: Vec<usize>,
}

impl Case {
    fn image(&self, numbers: &mut Numbers) -> Image {
        let channels = padded(self.inputs);
        let border = self.dilation * (self.kernel - 1);
        let row = (self.width + border) * channels;
        let side = |at: usize| at * self.dilation;
        let taps = (0..self.kernel * self.kernel)
            .map(|tap| side(tap / self.kernel) * row + side(tap % self.kernel) * channels);
        Image {
            data: numbers.bytes((self.height + border) * row),
            view: View {
                at: 0,
                row: row * self.stride,
                pixel: channels * self.stride,
            },
            extent: Extent {
                rows: self.height.div_ceil(self.stride),
                columns: self.width.div_ceil(self.stride),
            },
            taps: taps.collect(),
        }
    }

    fn scaling(&self, numbers: &mut Numbers, relu: bool) -> (Vec<i32>, Vec<f32>, Bounds) {
        let sums = (self.inputs * self.kernel * self.kernel) as f32;
        let bias: Vec<i32> = (0..self.outputs)
            .map(|_| (numbers.next() % 20_000) as i32 - 10_000)
            .collect();
        let factor = (0..self.outputs).map(|_| (1 + numbers.next() % 100) as f32 / (50_000.0 * sums.sqrt()));
        (bias, factor.collect(), Bounds::new(if relu { 0 } else { 117 }, relu))
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let channels: &[usize] = if cfg!(miri) {
        &[3, 17]
    } else {
        &[1, 3, 4, 8, 16, 17, 24, 33, 40, 48, 64, 70, 80, 130]
    };
    for (at, &inputs) in channels.iter().enumerate() {
        for (kernel, stride, dilation) in [
            (1, 1, 1),
            (1, 2, 1),
            (3, 1, 1),
            (3, 2, 1),
            (3, 1, 2),
            (5, 1, 1),
            (5, 2, 1),
            (7, 1, 1),
        ] {
            let sizes: &[(usize, usize)] = if cfg!(miri) {
                &[(2, 3)]
            } else {
                &[(1, 1), (3, 5), (4, 4), (7, 2), (9, 13), (2, 33)]
            };
            for &(height, width) in sizes {
                cases.push(Case {
                    inputs,
                    outputs: channels[(at * 5 + kernel) % channels.len()],
                    kernel,
                    stride,
                    dilation,
                    height,
                    width,
                });
            }
        }
    }
    cases
}

/// Runs a convolution at every level, and compares the output pixels with `expected` sums.
fn compare(
    case: Case,
    outputs: usize,
    expected: &[i32],
    run: impl Fn(Level, &Region<'_>, &[u8], &mut [u8]),
    image: &Image,
    scaling: &(Vec<i32>, Vec<f32>, Bounds),
) {
    let (bias, factor, bounds) = scaling;
    let channels = padded(outputs);
    let Extent { rows, columns } = image.extent;
    // The output has a border of its own.
    let target = View {
        at: channels,
        row: (columns + 1) * channels,
        pixel: channels,
    };
    let region = Region {
        extent: image.extent,
        source: image.view,
        target,
        taps: &image.taps,
    };
    let mut outputs_of_levels = Vec::new();
    for level in Level::available() {
        let mut output = vec![77u8; (rows * (columns + 1) + 1) * channels];
        run(level, &region, &image.data, &mut output);
        for y in 0..rows {
            let border = target.at + y * target.row + columns * channels;
            assert!(y + 1 == rows || output[border..border + channels].iter().all(|&byte| byte == 77));
            for x in 0..columns {
                for o in 0..outputs {
                    let sum = expected[(y * columns + x) * outputs + o];
                    let byte = bounds.byte((sum + bias[o]) as f32 * factor[o]);
                    let found = output[target.at + y * target.row + x * channels + o];
                    assert_eq!(found, byte, "{} {case:?} pixel ({y}, {x}), output {o}", level.name());
                }
            }
        }
        outputs_of_levels.push(output);
    }
    // The levels agree even in the channels that nobody reads.
    assert!(outputs_of_levels.windows(2).all(|pair| pair[0] == pair[1]), "{case:?}");
}

#[test]
fn dense_convolutions_are_exact() {
    for (seed, case) in cases().into_iter().enumerate() {
        let mut numbers = Numbers(seed as u64);
        let image = case.image(&mut numbers);
        let (inputs, outputs, taps) = (case.inputs, case.outputs, case.kernel * case.kernel);
        let weights = numbers.weights(outputs * inputs * taps);
        let scaling = case.scaling(&mut numbers, seed % 2 == 0);
        let mut expected = Vec::new();
        for y in 0..image.extent.rows {
            for x in 0..image.extent.columns {
                let at = y * image.view.row + x * image.view.pixel;
                for kernel in weights.chunks(inputs * taps) {
                    let mut total = 0;
                    for (input, kernel) in kernel.chunks(taps).enumerate() {
                        for (&offset, &weight) in image.taps.iter().zip(kernel) {
                            total += i32::from(image.data[at + offset + input]) * i32::from(weight);
                        }
                    }
                    expected.push(total);
                }
            }
        }
        let (bias, factor, bounds) = scaling.clone();
        let dense = Dense::new(&weights, inputs, outputs, Scaling::new(&bias, &factor, bounds));
        let run =
            |level, region: &Region<'_>, source: &[u8], target: &mut [u8]| dense.run(level, region, source, target);
        compare(case, outputs, &expected, run, &image, &scaling);
    }
}

#[test]
fn depthwise_convolutions_are_exact() {
    for (seed, case) in cases().into_iter().enumerate() {
        let case = Case {
            outputs: case.inputs,
            ..case
        };
        let mut numbers = Numbers(seed as u64);
        let image = case.image(&mut numbers);
        let (channels, taps) = (case.inputs, case.kernel * case.kernel);
        let weights = numbers.weights(channels * taps);
        let scaling = case.scaling(&mut numbers, seed % 2 == 0);
        let mut expected = Vec::new();
        for y in 0..image.extent.rows {
            for x in 0..image.extent.columns {
                let at = y * image.view.row + x * image.view.pixel;
                for (channel, kernel) in weights.chunks(taps).enumerate() {
                    let products = image.taps.iter().zip(kernel);
                    let products = products
                        .map(|(&offset, &weight)| i32::from(image.data[at + offset + channel]) * i32::from(weight));
                    expected.push(products.sum());
                }
            }
        }
        let (bias, factor, bounds) = scaling.clone();
        let depthwise = Depthwise::new(&weights, channels, Scaling::new(&bias, &factor, bounds));
        let run =
            |level, region: &Region<'_>, source: &[u8], target: &mut [u8]| depthwise.run(level, region, source, target);
        compare(case, channels, &expected, run, &image, &scaling);
    }
}

#[test]
fn factors_out_of_range_give_the_same_bytes_at_every_level() {
    let factor = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 1e8, -1e8, -0.5];
    let factor: Vec<f32> = factor.iter().cycle().take(80).copied().collect();
    let bias: Vec<i32> = (0..80).map(|at| (at / 8 - 3) * 100_000).collect();
    let weights = vec![0; 80];
    for bounds in [
        Bounds::new(7, false),
        Bounds::new(7, true),
        Bounds::new(0, true).at_most(13.4),
    ] {
        let dense = Dense::new(&weights, 1, 80, Scaling::new(&bias, &factor, bounds));
        let region = Region {
            extent: Extent { rows: 1, columns: 40 },
            source: View::packed(40, 16),
            target: View::packed(40, 80),
            taps: &[0],
        };
        for level in Level::available() {
            let mut found = vec![0; 40 * 80];
            dense.run(level, &region, &[1; 40 * 16], &mut found);
            for (at, &found) in found.iter().enumerate() {
                let expected = bounds.byte(bias[at % 80] as f32 * factor[at % 80]);
                assert_eq!(found, expected, "{}, output {}", level.name(), at % 80);
            }
        }
    }
}

#[test]
fn sums_and_relu_are_equal_at_every_level() {
    for len in [1, 15, 16, 17, 48, 101, 149] {
        let mut numbers = Numbers(len as u64);
        let parts: [Vec<u8>; 3] = [(); 3].map(|()| numbers.bytes(len));
        let term = |values, zero_point, factor| Term {
            values,
            zero_point,
            factor,
        };
        let terms = [
            term(&parts[0][..], 128, 0.37),
            term(&parts[1], 0, 0.5),
            term(&parts[2], 255, 1.7),
        ];
        for (count, relu_too) in [(1, false), (2, true), (3, false)] {
            let bounds = Bounds::new(if relu_too { 0 } else { 99 }, relu_too);
            for level in Level::available() {
                let mut found = vec![0; len];
                sum(level, &terms[..count], bounds, &mut found);
                for (at, &found) in found.iter().enumerate() {
                    let values = terms[..count].iter();
                    let values = values
                        .map(|term| (i32::from(term.values[at]) - i32::from(term.zero_point)) as f32 * term.factor);
                    assert_eq!(
                        found,
                        bounds.byte(values.fold(0.0, |sum, value| sum + value)),
                        "{}",
                        level.name()
                    );
                }
                relu(level, &parts[0], 100, &mut found);
                assert!(
                    found
                        .iter()
                        .zip(&parts[0])
                        .all(|(&found, &value)| found == value.max(100))
                );
            }
        }
    }
}

#[test]
fn parts_of_a_concatenation_are_equal_at_every_level() {
    let mut numbers = Numbers(5);
    let (pixels, channels, whole) = (6, 21, 48);
    let source = numbers.bytes(pixels * padded(channels));
    let part = Part {
        channels,
        pixel: padded(channels),
        target_pixel: whole,
    };
    for (factor, zero_point, relu_too) in [(1.0, 30, true), (1.0, 30, false), (0.7, 12, false)] {
        let bounds = Bounds::new(30, relu_too);
        let term = Term {
            values: &source,
            zero_point,
            factor,
        };
        for level in Level::available() {
            let mut found = vec![3; pixels * whole];
            place(level, term, part, bounds, &mut found[9..]);
            for (at, &found) in found.iter().enumerate() {
                let (pixel, channel) = (at / whole, (at % whole).wrapping_sub(9));
                let expected = if channel < channels {
                    let value = source[pixel * padded(channels) + channel];
                    bounds.byte((i32::from(value) - i32::from(zero_point)) as f32 * factor)
                } else {
                    3
                };
                assert_eq!(found, expected, "{}", level.name());
            }
            let values: Vec<f32> = source.iter().map(|&value| f32::from(value) - 100.0).collect();
            let mut found = vec![0; values.len()];
            bytes(level, &values, 0.3, bounds, &mut found);
            assert!(
                found
                    .iter()
                    .zip(&values)
                    .all(|(&found, &value)| found == bounds.byte(value / 0.3))
            );
        }
    }
}

#[test]
fn pools_count_only_what_is_inside() {
    for (seed, (height, width)) in [(1, 1), (4, 4), (5, 7), (2, 9)].into_iter().enumerate() {
        let mut numbers = Numbers(seed as u64);
        let channels = padded(17);
        let image = numbers.bytes(height * width * channels);
        let view = View::packed(width, channels);
        let extent = Extent {
            rows: height,
            columns: width,
        };
        for (mean, stride, kernel, padding) in [(true, 1, 3, 1), (false, 2, 3, 1), (true, 2, 2, 1), (false, 1, 1, 0)] {
            let side = |side: usize| (side + 2 * padding).saturating_sub(kernel) / stride + 1;
            let (rows, columns) = (side(height), side(width));
            let pool = Pool {
                mean,
                kernel,
                stride,
                padding,
                image: extent,
                source: view,
                target: View::packed(columns, channels),
            };
            for level in Level::available() {
                let mut found = vec![0; rows * columns * channels];
                pool.run(level, (0..1, columns), channels, &image, &mut found);
                // The other rows, as another thread would compute them.
                let (_, rest) = found.split_at_mut(columns * channels);
                pool.run(level, (1..rows, columns), channels, &image, rest);
                for (at, &found) in found.iter().enumerate() {
                    let (pixel, channel) = (at / channels, at % channels);
                    let (y, x) = (pixel / columns * stride, pixel % columns * stride);
                    let mut values = Vec::new();
                    for dy in 0..kernel {
                        for dx in 0..kernel {
                            let (y, x) = ((y + dy).wrapping_sub(padding), (x + dx).wrapping_sub(padding));
                            if y < height && x < width {
                                values.push(image[(y * width + x) * channels + channel]);
                            }
                        }
                    }
                    let total: u32 = values.iter().map(|&value| u32::from(value)).sum();
                    let expected = if mean {
                        (f64::from(total) / values.len() as f64).round_ties_even() as u8
                    } else {
                        values.into_iter().max().unwrap_or_default()
                    };
                    assert_eq!(found, expected, "{}", level.name());
                }
            }
        }
        for level in Level::available() {
            let mut sums = vec![0; channels];
            channel_sums(level, extent, view, &image, &mut sums);
            for (channel, &sum) in sums.iter().enumerate() {
                let values = image.iter().skip(channel).step_by(channels);
                assert_eq!(sum, values.map(|&value| u32::from(value)).sum::<u32>());
            }
        }
    }
}

#[test]
#[should_panic(expected = "outside the image")]
fn a_tap_outside_the_image_is_refused() {
    let scaling = Scaling::new(&[0], &[1.0], Bounds::new(0, false));
    let depthwise = Depthwise::new(&[1], 1, scaling);
    let region = Region {
        extent: Extent { rows: 1, columns: 2 },
        source: View::packed(2, 16),
        target: View::packed(2, 16),
        taps: &[1],
    };
    depthwise.run(Level::PORTABLE, &region, &[0; 32], &mut [0; 32]);
}
