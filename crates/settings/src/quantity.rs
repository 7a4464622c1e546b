//! Amounts with the units that people write: `500KB`, `256 KiB`, `5ms`.
//!
//! Contract: KB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024 (IEC 80000-13). A number
//! without a unit is in bytes or milliseconds. K, M and G without a B are refused, since readers
//! disagree on what 256K is.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Value;

use crate::allowed::Allowed;
use crate::setting::Setting;
use crate::table::FieldKind;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A number of bytes, whole and at least 1.
    Bytes,
    /// A time in milliseconds, more than 0.
    Milliseconds,
}

impl Quantity {
    /// The units that a text may have, and their size in bytes or milliseconds.
    const fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Bytes => &[
                ("B", 1.0),
                ("KB", 1e3),
                ("kB", 1e3),
                ("MB", 1e6),
                ("GB", 1e9),
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
                ("GiB", 1_073_741_824.0),
            ],
            Self::Milliseconds => &[("us", 1e-3), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)],
        }
    }

    /// What is expected; continues a sentence after "expected".
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Bytes => "a number of bytes from 1, such as 500KB (1000 bytes each), 256KiB (1024), 2MB or 80000",
            Self::Milliseconds => "a time of more than 0, such as 5ms, 800us, 0.1s, or a number of milliseconds",
        }
    }

    /// The amount in `text`, in bytes or milliseconds; bytes are rounded.
    pub fn parse(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let at = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let number = number.trim_end();
        // Other forms of numbers, such as `1e3`, contain a letter and are refused.
        let amount: f64 = number.parse().ok()?;
        let scale = match unit {
            "" => 1.0,
            unit => self.units().iter().find(|(name, _)| *name == unit)?.1,
        };
        self.checked(amount * scale)
    }

    /// Whether `value` is an amount: a number, or a text with a unit.
    pub(crate) fn holds(self, value: &Value) -> bool {
        let amount = match value {
            Value::Integer(number) => self.checked(*number as f64),
            Value::Float(number) => self.checked(*number).filter(|amount| amount == number),
            Value::String(text) => self.parse(text),
            _ => None,
        };
        amount.is_some()
    }

    /// `amount` if it is allowed; bytes are rounded.
    pub(crate) fn checked(self, amount: f64) -> Option<f64> {
        /// Up to this, every whole number is exact.
        const MOST: f64 = (1u64 << 53) as f64;
        let amount = match self {
            Self::Bytes => amount.round(),
            Self::Milliseconds => amount,
        };
        (amount > 0.0 && amount <= MOST).then_some(amount)
    }

    /// The amount with three significant digits and a unit of the decimal system: `41.3 KB`,
    /// `0.872 ms`.
    pub fn text(self, amount: f64) -> String {
        let (scale, unit) = match self {
            Self::Bytes if amount < 999.5 => return format!("{amount:.0} B"),
            Self::Bytes if amount < 999.5e3 => (1e3, "KB"),
            Self::Bytes if amount < 999.5e6 => (1e6, "MB"),
            Self::Bytes => (1e9, "GB"),
            Self::Milliseconds => (1.0, "ms"),
        };
        let scaled = amount / scale;
        let decimals = match scaled {
            _ if scaled >= 99.95 => 0,
            _ if scaled >= 9.995 => 1,
            _ if scaled >= 0.9995 => 2,
            _ if scaled > 0.0 => (2 - scaled.log10().floor() as i32).clamp(3, 9) as usize,
            _ => 3,
        };
        format!("{scaled:.decimals$} {unit}")
    }
}

/// A number of bytes as a setting: a number, or a text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(u64);

/// A time as a setting: a number of milliseconds, or a text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Milliseconds(f64);

impl ByteCount {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Milliseconds {
    /// The number of milliseconds.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Setting for ByteCount {
    const KIND: FieldKind = FieldKind::Value(Allowed::Quantity(Quantity::Bytes));
}

impl Setting for Milliseconds {
    const KIND: FieldKind = FieldKind::Value(Allowed::Quantity(Quantity::Milliseconds));
}

impl Serialize for ByteCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(given(Quantity::Bytes, deserializer)? as u64))
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        given(Quantity::Milliseconds, deserializer).map(Self)
    }
}

fn given<'de, D: Deserializer<'de>>(quantity: Quantity, deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(f64),
        Text(String),
    }
    let amount = match Given::deserialize(deserializer)? {
        Given::Number(number) => quantity.checked(number),
        Given::Text(text) => quantity.parse(&text),
    };
    amount.ok_or_else(|| D::Error::custom(format!("expected {}", quantity.expected())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_that_people_write() {
        let bytes = |text| Quantity::Bytes.parse(text);
        for (text, amount) in [
            ("500KB", 500_000.0),
            ("500 kB", 500_000.0),
            ("256KiB", 262_144.0),
            ("1.5MB", 1_500_000.0),
            ("2 MiB", 2_097_152.0),
            ("1GB", 1e9),
            ("80000", 80_000.0),
            ("12B", 12.0),
            (" 0.0304 KB ", 30.0),
        ] {
            assert_eq!(bytes(text), Some(amount), "{text}");
        }
        for text in [
            "",
            "KB",
            "256K",
            "256k",
            "5Mb",
            "-1KB",
            "0",
            "0.1B",
            "1e3",
            "nan",
            "inf",
            "9e99",
            "99999999GB",
            "5 ms",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
        let time = |text| Quantity::Milliseconds.parse(text);
        assert_eq!(
            [time("5ms"), time("800us"), time("250 µs")],
            [Some(5.0), Some(0.8), Some(0.25)]
        );
        assert_eq!([time("0.1s"), time("2.5")], [Some(100.0), Some(2.5)]);
        assert!(
            ["5m", "0ms", "-5ms", "5 sec", "ms", "1KB"]
                .iter()
                .all(|text| time(text).is_none())
        );
    }

    #[test]
    fn settings_are_numbers_or_texts_and_are_written_as_numbers() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Limits {
            size: ByteCount,
            latency: Milliseconds,
        }
        let read = |text: &str| toml::from_str::<Limits>(text);
        let limits = read("size = \"500KB\"\nlatency = \"800us\"").unwrap();
        assert_eq!((limits.size.get(), limits.latency.get()), (500_000, 0.8));
        assert_eq!(read("size = 500000\nlatency = 0.8").unwrap(), limits);
        assert_eq!(toml::to_string(&limits).unwrap(), "size = 500000\nlatency = 0.8\n");
        let error = read("size = \"256K\"\nlatency = 1").unwrap_err().to_string();
        assert!(error.contains("such as 500KB"), "{error}");
        let holds = |value: Value| Quantity::Bytes.holds(&value);
        assert!(holds(Value::Integer(1)) && holds(Value::String("2 KiB".to_owned())));
        assert!(!holds(Value::Integer(0)) && !holds(Value::Float(1.5)) && !holds(Value::Boolean(true)));
    }

    #[test]
    fn amounts_have_three_digits() {
        let bytes = |amount| Quantity::Bytes.text(amount);
        assert_eq!(
            [
                bytes(12.0),
                bytes(999.6),
                bytes(41_312.0),
                bytes(123_456.0),
                bytes(999_999.0),
                bytes(2.5e9)
            ],
            ["12 B", "1.00 KB", "41.3 KB", "123 KB", "1.00 MB", "2.50 GB"]
        );
        let time = |amount| Quantity::Milliseconds.text(amount);
        assert_eq!(
            [time(0.0123), time(0.1234), time(5.0), time(12.34), time(1234.0)],
            ["0.0123 ms", "0.123 ms", "5.00 ms", "12.3 ms", "1234 ms"]
        );
    }
}
