//! Formats numbers for readers: percentages, points, counts with separators, durations, axis ticks.

/// A percentage with two decimals and its unit.
pub(crate) fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

/// A difference between two percentages, without a sign if it rounds to zero.
pub(crate) fn points(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" {
        "0.00".to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// An integer with a thin space between groups of three digits.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count in thousands, millions or billions, with three significant digits: `0.123 M`.
pub(crate) fn magnitude(value: u64) -> String {
    let value = value as f64;
    let (scaled, unit) = match value {
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    format!("{}{unit}", significant(scaled, 3))
}

/// A duration in seconds, in minutes and seconds, or in hours and minutes.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{} s", significant(seconds.max(0.0), 2)),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// At most `digits` significant digits, in the shortest decimal or scientific form.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let rounded: f64 = format!("{value:.*e}", digits.saturating_sub(1))
        .parse()
        .unwrap_or(value);
    if (1e-4..1e7).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

/// Numbers larger than this, or spans smaller than its inverse, would overflow `f64` while ticks
/// are computed.
const EXTREME: f64 = 1e300;
/// The smallest span of an axis, as a share of its values: with a smaller one, ticks would round to
/// the same number.
const NARROWEST: f64 = 1e-12;

/// Round axis values that cover `low..=high`: about `wanted` of them, in steps of 1, 2 or 5 times a
/// power of ten.
///
/// There are at least two, in increasing order. The first is at most `low` and the last at least
/// `high`, so they are also the limits of the axis, unless a limit is beyond [`EXTREME`]. NaN
/// counts as 0.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let bounded = |value: f64| {
        if value.is_nan() {
            0.0
        } else {
            value.clamp(-EXTREME, EXTREME)
        }
    };
    let (low, high) = (bounded(low), bounded(high));
    let span = if high > low { high - low } else { low.abs().max(1e-9) };
    let span = span.max(NARROWEST * low.abs().max(high.abs())).max(1.0 / EXTREME);
    let raw = span / wanted.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let first = (low / step + 1e-9).floor();
    let last = (high / step - 1e-9).ceil().max(first + 1.0);
    (0..=(last - first) as usize)
        .map(|index| (first + index as f64) * step)
        .collect()
}

/// Integers to label an axis over `first..=last`, none of them outside.
pub(crate) fn whole_marks(first: usize, last: usize) -> Vec<f64> {
    if first >= last {
        return vec![first as f64];
    }
    let inside = |mark: &f64| mark.fract() == 0.0 && (first as f64..=last as f64).contains(mark);
    ticks(first as f64, last as f64, 6).into_iter().filter(inside).collect()
}

/// A tick's label, with as many digits as the step needs.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let digits = (-step.abs().log10().floor()).max(0.0) as usize;
    if digits > 4 || value.abs() >= 1e9 {
        significant(value, 2)
    } else {
        format!("{value:.digits$}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(percent(96.456), "96.46 %");
        assert_eq!(points(-0.001), "0.00");
        assert_eq!(points(-1.5), "−1.50");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        assert_eq!(magnitude(1_234_567), "1.23 M");
        assert_eq!(duration(3725.0), "1 h 2 min");
        assert_eq!(duration(61.4), "1 min 1 s");
        assert_eq!(significant(0.00001234, 3), "1.23e-5");
        assert_eq!(significant(f64::NAN, 3), "–");
    }

    #[test]
    fn ticks_use_a_minus_sign() {
        assert_eq!(
            [-2.0, 0.0, 0.5].map(|tick| tick_label(tick, 0.5)),
            ["−2.0", "0.0", "0.5"]
        );
    }

    #[test]
    fn integer_marks_stay_inside() {
        assert_eq!(whole_marks(1, 30), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(whole_marks(0, 1), [0.0, 1.0]);
        assert_eq!(whole_marks(3, 3), [3.0]);
    }

    proptest::proptest! {
        #[test]
        fn ticks_exist_for_every_number(low: f64, high: f64, bits: u64, wanted in 1..9_usize) {
            let odd = f64::from_bits(bits);
            for (low, high) in [(low, high), (0.0, odd), (odd, odd), (low, f64::from_bits(low.to_bits().wrapping_add(1)))] {
                let marks = ticks(low, high, wanted);
                proptest::prop_assert!((2..=30).contains(&marks.len()), "{low}..{high}: {marks:?}");
                let increase = marks.windows(2).all(|pair| pair[0] < pair[1]);
                proptest::prop_assert!(increase && marks.iter().all(|mark| mark.is_finite()), "{low}..{high}: {marks:?}");
                let labels = marks.iter().map(|mark| tick_label(*mark, marks[1] - marks[0]));
                proptest::prop_assert!(labels.map(|label| label.len()).max() < Some(30));
            }
        }
    }

    #[test]
    fn ticks_enclose_the_range() {
        for (low, high) in [
            (0.0, 100.0),
            (0.001, 0.025),
            (-3.0, 17.0),
            (2.0, 2.0),
            (0.0, 0.0),
            (1.0, 30.0),
            (0.0, 5e-324),
        ] {
            let marks = ticks(low, high, 5);
            assert!(marks.len() >= 2 && marks.len() <= 9, "{low}..{high}: {marks:?}");
            assert!(
                marks[0] <= low + 1e-9 && marks[marks.len() - 1] >= high - 1e-9,
                "{low}..{high}: {marks:?}"
            );
        }
    }
}
