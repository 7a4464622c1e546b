//! Kernels of networks with fixed weights for every CPU instruction set, compared with plain loops
//! in 64 bits.

use da2s_kernels::fixed::{Bounds, Dense, Depthwise, Memory, Pool, Region, channel_sums, padded};
use da2s_kernels::{Extent, Level, View};

/// Pseudorandom numbers between −1 and 1: the finaliser of splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed >> 40) as f32 / (1 << 23) as f32) - 1.0
    }

    fn take(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
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

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let channels: &[usize] = if cfg!(miri) {
        &[3, 17]
    } else {
        &[1, 3, 8, 16, 17, 24, 33, 40, 64, 70, 130]
    };
    for (at, &inputs) in channels.iter().enumerate() {
        for (kernel, stride, dilation) in [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 1)] {
            let sizes: &[(usize, usize)] = if cfg!(miri) {
                &[(2, 3)]
            } else {
                &[(1, 1), (3, 5), (4, 4), (7, 2), (9, 13)]
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

impl Case {
    /// The view of the image in its border, the offsets of the taps, and the number of values.
    fn source(&self) -> (View, Vec<usize>, usize) {
        let channels = padded(self.inputs);
        let border = self.dilation * (self.kernel - 1);
        let row = (self.width + border) * channels;
        let taps = (0..self.kernel * self.kernel)
            .map(|tap| self.dilation * ((tap / self.kernel) * row + (tap % self.kernel) * channels));
        let view = View {
            at: 0,
            row: row * self.stride,
            pixel: channels * self.stride,
        };
        (view, taps.collect(), (self.height + border) * row)
    }

    fn extent(&self) -> Extent {
        Extent {
            rows: self.height.div_ceil(self.stride),
            columns: self.width.div_ceil(self.stride),
        }
    }
}

fn pixels(extent: Extent, view: View) -> impl Iterator<Item = usize> {
    (0..extent.rows).flat_map(move |y| (0..extent.columns).map(move |x| view.at + y * view.row + x * view.pixel))
}

/// Runs the convolution in three pieces at every level, with and without another image that is
/// added, and compares it with `sums`, the sums of each output pixel.
fn compare(
    case: Case,
    written: usize,
    sums: &[Vec<f64>],
    image: &[f32],
    run: &dyn Fn(Level, &Region<'_>, Bounds, Memory),
) {
    let (source, taps, _) = case.source();
    let extent = case.extent();
    let outputs = sums[0].len();
    let pixel = padded(outputs) + 16;
    let target = View {
        at: pixel,
        row: (extent.columns + 1) * pixel,
        pixel,
    };
    let len = (extent.rows + 1) * target.row + pixel;
    let blocks = outputs.div_ceil(16);
    for level in Level::available() {
        for (bounds, low, high) in [
            (Bounds::NONE, f64::NEG_INFINITY, f64::INFINITY),
            (Bounds::RELU, 0.0, f64::INFINITY),
            (Bounds::RELU6, 0.0, 6.0),
        ] {
            for plus in [false, true] {
                let before: Vec<f32> = Numbers(9).take(len);
                let mut data = before.clone();
                let middle = extent.rows / 2;
                for (rows, blocks) in [
                    (0..middle, 0..blocks),
                    (middle..extent.rows, 0..blocks / 2),
                    (middle..extent.rows, blocks / 2..blocks),
                ] {
                    let region = Region {
                        extent: Extent {
                            rows: rows.len(),
                            columns: extent.columns,
                        },
                        source: source.from_row(rows.start),
                        target: target.from_row(rows.start),
                        added: target.from_row(rows.start),
                        taps: &taps,
                        blocks,
                    };
                    let memory = Memory {
                        source: image,
                        added: plus.then_some(&raw const *data.as_slice()),
                        target: &raw mut *data.as_mut_slice(),
                    };
                    run(level, &region, bounds, memory);
                }
                let mut expected = before.clone();
                for (sums, at) in sums.iter().zip(pixels(extent, target)) {
                    for channel in 0..written {
                        let sum = sums.get(channel).copied().unwrap_or(0.0);
                        let to = &mut expected[at + channel];
                        let sum = if plus { sum + f64::from(*to) } else { sum };
                        *to = sum.clamp(low, high) as f32;
                    }
                }
                for (at, (found, expected)) in data.iter().zip(&expected).enumerate() {
                    let error = (found - expected).abs();
                    assert!(
                        error < 1e-4,
                        "{case:?} {} {bounds:?} at {at}: {found} {expected}",
                        level.name()
                    );
                }
            }
        }
    }
}

#[test]
fn dense_convolutions_are_sums_of_products() {
    for case in cases() {
        let mut numbers = Numbers(case.inputs as u64);
        let (source, taps, len) = case.source();
        let image = numbers.take(len);
        let per_output = taps.len() * case.inputs;
        let weights: Vec<f32> = numbers
            .take(case.outputs * per_output)
            .iter()
            .map(|one| one / 8.0)
            .collect();
        let bias = numbers.take(case.outputs);
        let sums: Vec<Vec<f64>> = pixels(case.extent(), source)
            .map(|at| {
                let rows = weights.chunks(per_output).zip(&bias);
                let sum = |(row, bias): (&[f32], &f32)| {
                    let products = row.iter().enumerate().map(|(index, weight)| {
                        let (input, tap) = (index / taps.len(), index % taps.len());
                        f64::from(*weight) * f64::from(image[at + taps[tap] + input])
                    });
                    f64::from(*bias) + products.sum::<f64>()
                };
                rows.map(sum).collect()
            })
            .collect();
        compare(
            case,
            padded(case.outputs),
            &sums,
            &image,
            &|level, region, bounds, memory| {
                let dense = Dense {
                    inputs: case.inputs,
                    outputs: case.outputs,
                    taps: taps.len(),
                    bounds,
                };
                let mut packed = vec![f32::NAN; dense.packed_len()];
                dense.pack(&weights, &bias, &mut packed);
                // SAFETY: the memory is that of vectors that nobody else uses.
                unsafe { dense.run(level, &packed, region, memory) };
            },
        );
    }
}

#[test]
fn depthwise_convolutions_write_all_channels_or_only_their_own() {
    for (index, case) in cases().into_iter().enumerate() {
        let mut numbers = Numbers(case.inputs as u64);
        let (source, taps, len) = case.source();
        let image = numbers.take(len);
        let (weights, bias) = (numbers.take(case.inputs * taps.len()), numbers.take(case.inputs));
        let sums: Vec<Vec<f64>> = pixels(case.extent(), source)
            .map(|at| {
                let sum = |(channel, kernel): (usize, &[f32])| {
                    let products = kernel
                        .iter()
                        .zip(&taps)
                        .map(|(weight, tap)| f64::from(*weight) * f64::from(image[at + tap + channel]));
                    f64::from(bias[channel]) + products.sum::<f64>()
                };
                weights.chunks(taps.len()).enumerate().map(sum).collect()
            })
            .collect();
        let partial = index % 2 == 0;
        let written = if partial { case.inputs } else { padded(case.inputs) };
        compare(case, written, &sums, &image, &|level, region, bounds, memory| {
            let depthwise = Depthwise {
                channels: case.inputs,
                taps: taps.len(),
                bounds,
                partial,
            };
            let mut packed = vec![f32::NAN; depthwise.packed_len()];
            depthwise.pack(&weights, Some(&bias), &mut packed);
            // SAFETY: the memory is that of vectors that nobody else uses.
            unsafe { depthwise.run(level, &packed, region, memory) };
        });
    }
}

#[test]
fn pools_and_sums_count_only_the_image() {
    for (channels, height, width) in [(3, 1, 1), (16, 4, 5), (24, 7, 3)] {
        let (pixel, image) = (
            padded(channels),
            Extent {
                rows: height,
                columns: width,
            },
        );
        let view = View {
            at: 0,
            row: width * pixel,
            pixel,
        };
        let data = Numbers(4).take(height * width * pixel);
        for level in Level::available() {
            let mut sums = vec![f32::NAN; pixel];
            // SAFETY: the memory is that of vectors that nobody else uses.
            unsafe { channel_sums(level, image, view, data.as_slice(), &mut sums) };
            for (channel, sum) in sums.iter().enumerate() {
                let all: f64 = pixels(image, view).map(|at| f64::from(data[at + channel])).sum();
                assert!((f64::from(*sum) - all).abs() < 1e-5, "{sum} {all}");
            }
            for (mean, stride) in [(true, 1), (true, 2), (false, 1), (false, 2)] {
                let extent = Extent {
                    rows: height.div_ceil(stride),
                    columns: width.div_ceil(stride),
                };
                let target = View {
                    at: 0,
                    row: extent.columns * pixel,
                    pixel,
                };
                let pool = Pool {
                    mean,
                    kernel: 3,
                    stride,
                    padding: 1,
                    channels,
                    image,
                    source: view,
                    target,
                };
                let mut found = vec![f32::NAN; extent.rows * target.row];
                let memory = Memory {
                    source: data.as_slice(),
                    added: None,
                    target: &raw mut *found.as_mut_slice(),
                };
                // SAFETY: as above.
                unsafe { pool.run(level, (0..extent.rows, extent.columns), memory) };
                for (at, value) in found.iter().enumerate() {
                    let (y, x, channel) = (at / target.row * stride, at % target.row / pixel * stride, at % pixel);
                    let inside = |at: usize, side: usize| at.saturating_sub(1)..(at + 2).min(side);
                    let seen: Vec<f32> = inside(y, height)
                        .flat_map(|y| inside(x, width).map(move |x| (y, x)))
                        .map(|(y, x)| data[y * view.row + x * pixel + channel])
                        .collect();
                    let expected = if mean {
                        seen.iter().sum::<f32>() / seen.len() as f32
                    } else {
                        seen.iter().copied().fold(f32::NEG_INFINITY, f32::max)
                    };
                    assert!(
                        (value - expected).abs() < 1e-6,
                        "{} {pool:?}: {value} {expected}",
                        level.name()
                    );
                }
            }
        }
    }
}

#[test]
fn nan_is_not_hidden_by_an_activation_function() {
    let depthwise = Depthwise {
        channels: 1,
        taps: 1,
        bounds: Bounds::RELU6,
        partial: true,
    };
    let mut packed = vec![0.0; depthwise.packed_len()];
    depthwise.pack(&[1.0], None, &mut packed);
    for level in Level::available() {
        let mut found = [0.0f32; 16];
        let view = View {
            at: 0,
            row: 16,
            pixel: 16,
        };
        let region = Region {
            extent: Extent { rows: 1, columns: 1 },
            source: view,
            target: view,
            added: view,
            taps: &[0],
            blocks: 0..1,
        };
        let memory = Memory {
            source: &[f32::NAN; 16],
            added: None,
            target: &raw mut found,
        };
        // SAFETY: the memory is that of arrays that nobody else uses.
        unsafe { depthwise.run(level, &packed, &region, memory) };
        assert!(found[0].is_nan(), "{}", level.name());
    }
}
