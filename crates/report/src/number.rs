//! Numbers as people read them: percentages, points, counts with separators, durations, axis ticks.

/// A percentage with two digits and its unit.
pub(crate) fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

/// A difference of two percentages, without a sign of its own on zero.
pub(crate) fn points(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" {
        "0.00".to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// A whole number with a thin space between groups of three digits.
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

/// A count in thousands, millions or billions, three digits: `0.123 M`.
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

/// A duration in the two largest units that it fills.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{} s", significant(seconds.max(0.0), 2)),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// At most `digits` significant digits, in the shortest plain or scientific form.
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

/// `1 edge`, `2 edges`.
pub(crate) fn plural(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Round axis values covering `low..=high`, about `wanted` of them, steps of 1, 2 or 5 times a power of ten.
///
/// The first tick is at most `low` and the last at least `high`, so they are the limits of the axis too.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let span = if high > low { high - low } else { low.abs().max(1e-9) };
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

/// Whole numbers to label an axis over `first..=last` with, none outside.
pub(crate) fn whole_marks(first: usize, last: usize) -> Vec<f64> {
    if first >= last {
        return vec![first as f64];
    }
    let inside = |mark: &f64| mark.fract() == 0.0 && (first as f64..=last as f64).contains(mark);
    ticks(first as f64, last as f64, 6).into_iter().filter(inside).collect()
}

/// A tick's label with as many digits as the step needs.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let digits = (-step.abs().log10().floor()).max(0.0) as usize;
    if digits > 4 {
        significant(value, 2)
    } else {
        format!("{value:.digits$}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
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
    fn ticks_have_the_minus_of_text() {
        assert_eq!(
            [-2.0, 0.0, 0.5].map(|tick| tick_label(tick, 0.5)),
            ["−2.0", "0.0", "0.5"]
        );
    }

    #[test]
    fn whole_marks_stay_inside() {
        assert_eq!(whole_marks(1, 30), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(whole_marks(0, 1), [0.0, 1.0]);
        assert_eq!(whole_marks(3, 3), [3.0]);
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
