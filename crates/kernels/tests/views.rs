//! Which regions are valid and which are not: views that begin beyond the image that their taps
//! read, taps that do not exist.

use da2s_kernels::{Extent, Level, Taps, View, dense, depthwise, table};

const CHANNELS: usize = 3;
const COLUMNS: usize = 4;
/// Floats from the start of the view back to the image; no pointer may be moved to that start.
const BEYOND: isize = 1000;

fn beyond() -> View {
    View {
        at: BEYOND as usize,
        ..View::packed(COLUMNS, CHANNELS)
    }
}

fn image() -> Vec<f32> {
    (1..=COLUMNS * CHANNELS).map(|x| x as f32).collect()
}

/// One tap, which uses `table` and reads the image.
fn reading(table: usize) -> Taps {
    Taps::new(vec![table], vec![-BEYOND])
}

fn depthwise_region(taps: &Taps) -> depthwise::Region<'_> {
    depthwise::Region {
        channels: CHANNELS,
        extent: Extent {
            rows: 1,
            columns: COLUMNS,
        },
        source: beyond(),
        target: View::packed(COLUMNS, CHANNELS),
        taps,
    }
}

fn dense_region(taps: &Taps) -> dense::Region<'_> {
    dense::Region {
        inputs: CHANNELS,
        outputs: 1,
        extent: Extent {
            rows: 1,
            columns: COLUMNS,
        },
        source: beyond(),
        target: View::packed(COLUMNS, 1),
        taps,
    }
}

#[test]
fn a_view_may_begin_beyond_the_image_that_its_taps_read() {
    let weights = [1.0, 10.0, 100.0];
    for level in Level::available() {
        let mut packed = vec![0.0; table::length(CHANNELS)];
        depthwise::pack(&weights, CHANNELS, &mut packed);
        let mut got = vec![0.0; COLUMNS * CHANNELS];
        depthwise::convolve(
            level,
            &depthwise_region(&reading(0)),
            &packed,
            &image(),
            false,
            &mut got,
        );
        assert_eq!(got[..6], [1.0, 20.0, 300.0, 4.0, 50.0, 600.0], "{}", level.name());
        let mut sums = vec![0.0; packed.len()];
        depthwise::weight_gradient(level, &depthwise_region(&reading(0)), &image(), &[1.0; 12], &mut sums);
        let mut got = [0.0; CHANNELS];
        depthwise::unpack_add(&sums, CHANNELS, &mut got);
        assert_eq!(got, [22.0, 26.0, 30.0], "{}", level.name());

        let mut packed = vec![0.0; CHANNELS * table::rounded(1)];
        dense::pack(&weights, CHANNELS, 1, &mut packed);
        let mut got = [0.0; COLUMNS];
        dense::convolve(level, &dense_region(&reading(0)), &packed, &image(), false, &mut got);
        assert_eq!(got, [321.0, 654.0, 987.0, 1320.0], "{}", level.name());
        let mut sums = vec![0.0; packed.len()];
        dense::weight_gradient(level, &dense_region(&reading(0)), &image(), &[1.0; COLUMNS], &mut sums);
        let mut got = [0.0; CHANNELS];
        dense::unpack_add(&sums, CHANNELS, 1, &mut got);
        assert_eq!(got, [22.0, 26.0, 30.0], "{}", level.name());
    }
}

#[test]
#[should_panic(expected = "too few weights")]
fn a_depthwise_tap_number_that_overflows_is_rejected() {
    let weights = vec![1.0; table::length(CHANNELS)];
    let taps = reading(usize::MAX);
    let region = depthwise_region(&taps);
    depthwise::convolve(Level::PORTABLE, &region, &weights, &image(), false, &mut [0.0; 12]);
}

#[test]
#[should_panic(expected = "too few weights")]
fn a_dense_tap_number_that_overflows_is_rejected() {
    let weights = vec![1.0; CHANNELS * table::rounded(1)];
    let taps = reading(usize::MAX);
    let region = dense_region(&taps);
    dense::convolve(Level::PORTABLE, &region, &weights, &image(), false, &mut [0.0; COLUMNS]);
}

#[test]
fn without_taps_nothing_is_read_and_zeros_are_written() {
    let none = Taps::new(Vec::new(), Vec::new());
    for (level, channels) in Level::available()
        .into_iter()
        .flat_map(|level| [(level, 3), (level, 40), (level, 100)])
    {
        let extent = Extent {
            rows: 1,
            columns: COLUMNS,
        };
        let view = View::packed(COLUMNS, channels);
        let region = depthwise::Region {
            channels,
            extent,
            source: view,
            target: view,
            taps: &none,
        };
        let image = vec![1.0; COLUMNS * channels];
        let mut got = vec![f32::NAN; image.len()];
        depthwise::convolve(level, &region, &[], &image, false, &mut got);
        assert!(got.iter().all(|&value| value == 0.0), "{} {channels}", level.name());

        let region = dense::Region {
            inputs: channels,
            outputs: channels,
            extent,
            source: view,
            target: view,
            taps: &none,
        };
        got.fill(f32::NAN);
        dense::convolve(level, &region, &[], &image, false, &mut got);
        assert!(got.iter().all(|&value| value == 0.0), "{} {channels}", level.name());
    }
}

#[test]
#[should_panic(expected = "the output does not fit")]
fn a_view_whose_positions_overflow_is_rejected() {
    let taps = Taps::new(vec![0], vec![0]);
    let rows = 4;
    let region = depthwise::Region {
        channels: CHANNELS,
        extent: Extent { rows, columns: 1 },
        source: View {
            row: 0,
            ..View::packed(1, CHANNELS)
        },
        // Three rows further, the position wraps to 2.
        target: View {
            row: usize::MAX / 3 + 1,
            ..View::packed(1, CHANNELS)
        },
        taps: &taps,
    };
    let weights = vec![1.0; table::length(CHANNELS)];
    depthwise::convolve(Level::PORTABLE, &region, &weights, &image(), false, &mut [0.0; 12]);
}
