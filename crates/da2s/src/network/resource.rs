//! What a target can limit, and how much of it a network needs.

use super::Cost;
use crate::space::{Precision, TargetSpec};

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Multiply-adds for one image.
    MultiplyAdds,
    /// Weights.
    Parameters,
    /// Bytes of the weights.
    Size,
    /// Bytes of the activations at batch 1.
    Ram,
    /// Time for one image.
    Latency,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 5] = [
        Self::MultiplyAdds,
        Self::Parameters,
        Self::Size,
        Self::Ram,
        Self::Latency,
    ];

    /// The setting that limits it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::MultiplyAdds => "target.max_multiply_adds",
            Self::Parameters => "target.max_parameters",
            Self::Size => "target.max_size_bytes",
            Self::Ram => "target.max_ram_bytes",
            Self::Latency => "target.max_latency_ms",
        }
    }

    /// Its name, as in "the limit on latency".
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiplyAdds => "multiply-adds",
            Self::Parameters => "parameters",
            Self::Size => "size",
            Self::Ram => "memory",
            Self::Latency => "latency",
        }
    }

    /// The limit of `target`.
    pub fn limit(self, target: &TargetSpec) -> Option<f64> {
        let count = |count: u64| count as f64;
        match self {
            Self::MultiplyAdds => target.max_multiply_adds.map(count),
            Self::Parameters => target.max_parameters.map(count),
            Self::Size => target.max_size_bytes.map(|bytes| count(bytes.get())),
            Self::Ram => target.max_ram_bytes.map(|bytes| count(bytes.get())),
            Self::Latency => target.max_latency_ms.map(|time| time.get()),
        }
    }

    /// How much of it a network with this cost needs; `None` if that is unknown.
    pub fn of(self, cost: &Cost, precision: Precision) -> Option<f64> {
        let device = &cost.on_device;
        let bytes = match (self, precision) {
            (Self::MultiplyAdds, _) => Some(cost.multiply_adds),
            (Self::Parameters, _) => Some(cost.parameters),
            (Self::Size, Precision::Float32) => device.size_bytes,
            (Self::Size, Precision::Int8) => device.size_int8_bytes,
            (Self::Ram, Precision::Float32) => device.ram_bytes,
            (Self::Ram, Precision::Int8) => device.ram_int8_bytes,
            (Self::Latency, _) => return device.latency_ms,
        };
        bytes.map(|bytes| bytes as f64)
    }

    /// The amount with its unit: `1200`, `50012 bytes`, `5.123 ms`.
    pub fn amount(self, amount: f64) -> String {
        match self {
            Self::MultiplyAdds | Self::Parameters => format!("{amount:.0}"),
            Self::Size | Self::Ram => format!("{amount:.0} bytes"),
            Self::Latency => format!("{} ms", (amount * 1e4).round() / 1e4),
        }
    }

    /// The amount with its unit or resource: `1200 parameters`, `50012 bytes of weights`.
    pub fn need(self, amount: f64) -> String {
        let of = match self {
            Self::MultiplyAdds => " multiply-adds",
            Self::Parameters => " parameters",
            Self::Size => " of weights",
            Self::Ram => " of activations",
            Self::Latency => "",
        };
        self.amount(amount) + of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_unit() {
        let needs = Resource::ALL.map(|resource| resource.need(12.0));
        let expected = [
            "12 multiply-adds",
            "12 parameters",
            "12 bytes of weights",
            "12 bytes of activations",
            "12 ms",
        ];
        assert_eq!(needs, expected);
        assert_eq!(Resource::Latency.amount(0.123_456), "0.1235 ms");
    }
}
