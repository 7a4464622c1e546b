//! How the final network of a search became as wide as the limits of its target allow: part of
//! `genotype.json` and of `summary.json`.

use serde::{Deserialize, Serialize};

/// A final network that is wider than `network.channels`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Widened {
    /// Channels of the network as it was searched, `network.channels`.
    pub from: u64,
    /// Its channels.
    pub channels: u64,
    /// The limited quantity of which the network uses the largest share, such as `latency`.
    pub limit_on: String,
    /// The share of that limit that it uses, percent.
    pub limit_percent: Option<f64>,
}

impl Widened {
    /// What happened, in words that continue a sentence about the network.
    pub fn text(&self) -> String {
        let share = self.limit_percent.map_or_else(String::new, |percent| {
            format!(": {percent:.0} % of the limit on {}", self.limit_on)
        });
        format!("widened from {} to {} channels{share}", self.from, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::Widened;

    #[test]
    fn the_text_names_the_limit_if_its_share_is_known() {
        let widened = Widened {
            from: 16,
            channels: 19,
            limit_on: "latency".to_owned(),
            limit_percent: Some(95.6),
        };
        assert_eq!(
            widened.text(),
            "widened from 16 to 19 channels: 96 % of the limit on latency"
        );
        let unknown = Widened {
            limit_percent: None,
            ..widened
        };
        assert_eq!(unknown.text(), "widened from 16 to 19 channels");
    }
}
