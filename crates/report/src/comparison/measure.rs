//! The results by which runs are compared: their keys, names and units, and how numbers of each
//! unit are formatted.

use da2s_records::statistics::Spread;

use crate::number::{count, points, significant};

/// A result by which runs are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// Its key: the key in `summary.json`, or `benchmark:COLUMN` and `rank:COLUMN` for results that
    /// were looked up in a table.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
}

/// The unit of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A percentage.
    Percent,
    /// A difference between percentages.
    Points,
    /// A count.
    Count,
    /// A time.
    Seconds,
    /// A rank in a table, 1 for the best.
    Rank,
    /// The share of random networks that are worse, in percent.
    Percentile,
}

/// Key of the percentile among random genotypes.
pub(super) const PERCENTILE: &str = "percentile";

const MEASURES: [(&str, &str, Unit); 9] = [
    ("supernet_accuracy", "super-network", Unit::Percent),
    ("discretized_accuracy", "discretized", Unit::Percent),
    ("gap", "gap", Unit::Points),
    ("network_accuracy", "retrained", Unit::Percent),
    (PERCENTILE, "percentile", Unit::Percentile),
    ("parameters", "parameters", Unit::Count),
    ("multiply_adds", "multiply-adds", Unit::Count),
    ("search_time_s", "search", Unit::Seconds),
    ("train_time_s", "training", Unit::Seconds),
];

impl Measure {
    /// All measures, in the order of the tables; `benchmark` names the columns that were looked up.
    pub(crate) fn all(benchmark: &[String]) -> Vec<Self> {
        let own = MEASURES.map(|(key, title, unit)| Self {
            key: key.to_owned(),
            title: title.to_owned(),
            unit,
        });
        let looked_up = benchmark.iter().flat_map(|column| {
            [
                Self {
                    key: Self::benchmark_key(column),
                    title: column.clone(),
                    unit: Unit::Percent,
                },
                Self {
                    key: Self::rank_key(column),
                    title: format!("{column} rank"),
                    unit: Unit::Rank,
                },
            ]
        });
        own.into_iter().chain(looked_up).collect()
    }

    /// Key of the accuracy in a column of a table.
    pub fn benchmark_key(column: &str) -> String {
        format!("benchmark:{column}")
    }

    /// Key of the rank by a column of a table.
    pub fn rank_key(column: &str) -> String {
        format!("rank:{column}")
    }

    /// Whether differences between setups in this measure are tested for significance.
    pub(super) fn is_tested(&self) -> bool {
        match self.unit {
            Unit::Percent | Unit::Points => true,
            Unit::Count | Unit::Seconds | Unit::Rank | Unit::Percentile => false,
        }
    }

    /// Name and unit, for a column whose cells have no unit.
    pub fn heading(&self) -> String {
        match self.unit {
            Unit::Percent => format!("{} %", self.title),
            Unit::Points | Unit::Count | Unit::Seconds | Unit::Rank | Unit::Percentile => self.title.clone(),
        }
    }
}

impl Unit {
    /// A mean and its spread: `97.64 ± 0.48`, `138.3 ± 12.1 k`; without the spread if there is only
    /// one number.
    pub fn spread(self, spread: &Spread) -> String {
        let (scale, digits, unit) = self.scale(spread.mean);
        let scaled = |value: f64| format!("{:.digits$}", value / scale);
        let mean = with_minus(&scaled(spread.mean));
        match spread.std {
            Some(std) => format!("{mean} ± {}{unit}", scaled(std)),
            None => format!("{mean}{unit}"),
        }
    }

    /// For numbers around `value`: their divisor, their number of decimals, and the suffix that
    /// follows.
    fn scale(self, value: f64) -> (f64, usize, &'static str) {
        match self {
            Self::Percent | Self::Points => (1.0, 2, ""),
            Self::Rank | Self::Percentile => (1.0, 0, ""),
            Self::Count => match value {
                _ if value >= 1e9 => (1e9, 2, " G"),
                _ if value >= 1e6 => (1e6, 2, " M"),
                _ if value >= 1e3 => (1e3, 1, " k"),
                _ => (1.0, 0, ""),
            },
            Self::Seconds => match value {
                _ if value >= 2.0 * 3600.0 => (3600.0, 2, " h"),
                _ if value >= 120.0 => (60.0, 1, " min"),
                _ => (1.0, 1, " s"),
            },
        }
    }
}

/// One value of a run as a table cell.
pub fn cell(unit: Unit, value: f64) -> String {
    match unit {
        // Ranks and counts are never negative; `as` would turn a negative number into 0.
        Unit::Count | Unit::Rank => count(value as u64),
        Unit::Percent | Unit::Points | Unit::Seconds | Unit::Percentile => unit.spread(&Spread {
            n: 1,
            mean: value,
            std: None,
        }),
    }
}

/// A difference with its sign.
pub(super) fn signed(value: f64) -> String {
    let text = points(value);
    if value > 0.0 && text != "0.00" {
        format!("+{text}")
    } else {
        text
    }
}

/// A probability with at most three significant digits, or `< 0.0001` if it is smaller.
pub(super) fn probability(value: f64) -> String {
    if value < 1e-4 {
        "< 0.0001".to_owned()
    } else {
        significant(value, 3)
    }
}

/// A formatted number with a minus sign instead of the hyphen, and without a sign before zero.
fn with_minus(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_spread_share_a_unit() {
        let spread = |unit: Unit, mean, std| unit.spread(&Spread { n: 3, mean, std });
        assert_eq!(spread(Unit::Percent, 97.644, Some(0.481)), "97.64 ± 0.48");
        assert_eq!(spread(Unit::Points, -0.001, Some(0.0)), "0.00 ± 0.00");
        assert_eq!(spread(Unit::Points, -0.5, None), "−0.50");
        assert_eq!(spread(Unit::Count, 138_282.0, Some(12_100.0)), "138.3 ± 12.1 k");
        assert_eq!(spread(Unit::Count, 3_300_000.0, None), "3.30 M");
        assert_eq!(spread(Unit::Seconds, 52.0, Some(1.04)), "52.0 ± 1.0 s");
        assert_eq!(spread(Unit::Seconds, 180.0, Some(6.0)), "3.0 ± 0.1 min");
        assert_eq!(cell(Unit::Count, 138_282.0), "138\u{202f}282");
        assert_eq!(
            (signed(0.001), signed(1.5), signed(-1.5)),
            ("0.00".into(), "+1.50".into(), "−1.50".into())
        );
        assert_eq!(
            (probability(0.00001), probability(0.0625)),
            ("< 0.0001".into(), "0.0625".into())
        );
    }
}
