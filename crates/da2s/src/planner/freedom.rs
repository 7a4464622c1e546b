//! What a plan may choose: those of its keys that nobody requested.

use crate::config::{Config, Request};
use crate::network::limits;
use crate::space::NamedNetwork;

/// The settings that a plan chooses, if they were not requested.
pub const KEYS: [&str; 13] = [
    "search.channels",
    "search.cells",
    "search.batch_size",
    "search.epochs",
    "search.warmup_epochs",
    "search.drive",
    "discretize.edge_images",
    "network.channels",
    "network.cells",
    "network.batch_size",
    "network.epochs",
    "network.drop_path",
    "network.augmentation.cutout",
];

/// The values of [`KEYS`], in their order.
pub(super) fn values(config: &Config) -> [(&'static str, String); KEYS.len()] {
    let (search, network) = (&config.search, &config.network);
    let values = [
        search.channels.to_string(),
        search.cells.to_string(),
        search.batch_size.to_string(),
        search.epochs.to_string(),
        search.warmup_epochs.to_string(),
        format!("{:?}", search.drive().name()),
        config.discretize.edge_images.to_string(),
        network.shape.channels.to_string(),
        network.shape.cells.to_string(),
        network.training.batch_size.to_string(),
        network.training.epochs.to_string(),
        format!("{:?}", network.training.drop_path),
        network.training.augmentation.cutout.to_string(),
    ];
    let mut values = values.into_iter();
    KEYS.map(|key| (key, values.next().unwrap_or_default()))
}

/// Which of [`KEYS`] may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freedom {
    free: [bool; KEYS.len()],
    /// Those that were requested.
    requested: [bool; KEYS.len()],
}

impl Freedom {
    /// What the request for `config` leaves open. Channels and cells of the final network are fixed
    /// in three cases: a plain network was requested by name; any network was requested by name,
    /// and its cost is limited; or there is a table of latencies, because it contains only some
    /// widths. A chain of layers counts as one cell, so its number of cells is always fixed.
    pub fn of(request: &Request, config: &Config) -> Self {
        let chain = config.space.name.is_chain();
        let is_limited = || !limits(&config.target).is_empty();
        let own_width = match request.network {
            Some(NamedNetwork::Plain(_)) => true,
            Some(NamedNetwork::Cells(_)) => is_limited(),
            None => false,
        };
        let one_width = own_width || config.target.latency_table.is_some();
        // The older name of the drive counts as well.
        let requested = KEYS.map(|key| request.sets(key) || key == "search.drive" && request.sets("search.schedule"));
        let given = |key: &str| match key {
            "discretize.edge_images" => request.network.is_some(),
            "search.drive" => !config.search.may_follow_path(),
            // The stages have cells of their own.
            "search.cells" => chain || config.search.stages.cells.is_some(),
            "network.cells" => chain || one_width,
            "network.channels" => one_width,
            // They follow from the number of epochs.
            "network.drop_path" | "network.augmentation.cutout" => request.sets("network.epochs"),
            _ => false,
        };
        Self {
            free: std::array::from_fn(|at| !requested[at] && !given(KEYS[at])),
            requested,
        }
    }

    /// Whether the setting `key` may be chosen.
    pub fn may(&self, key: &str) -> bool {
        KEYS.iter().zip(self.free).any(|(own, free)| *own == key && free)
    }

    /// Whether anything may be chosen.
    pub fn is_any(&self) -> bool {
        self.free.contains(&true)
    }

    /// The same, but only `key` may be chosen.
    #[must_use]
    pub fn only(self, key: &str) -> Self {
        Self {
            free: std::array::from_fn(|at| self.free[at] && KEYS[at] == key),
            ..self
        }
    }

    /// The same, but none of `keys` may be chosen.
    #[must_use]
    pub fn without(self, keys: &[&str]) -> Self {
        Self {
            free: std::array::from_fn(|at| self.free[at] && !keys.contains(&KEYS[at])),
            ..self
        }
    }

    /// The requested settings that a plan would have chosen.
    pub fn requested(&self) -> Vec<&'static str> {
        let rows = KEYS.iter().zip(self.requested);
        rows.filter_map(|(key, requested)| requested.then_some(*key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layer;
    use crate::space::NamedNetwork;

    fn freedom(assignments: &[&str], network: Option<&str>) -> Freedom {
        let layer = |text: &&str| Layer::assignment("--set", text).unwrap();
        let request = Request {
            layers: assignments.iter().map(layer).collect(),
            network: network.and_then(NamedNetwork::from_name),
            ..Request::default()
        };
        Freedom::of(&request, &request.resolve().unwrap())
    }

    #[test]
    fn what_was_requested_is_not_free() {
        let all = freedom(&[], None);
        assert!(KEYS.iter().all(|key| all.may(key)) && all.requested().is_empty());
        let some = freedom(&["search.epochs=12", "network.channels=8"], None);
        assert_eq!(some.requested(), ["search.epochs", "network.channels"]);
        assert!(!some.may("search.epochs") && some.may("search.cells") && !some.may("data.limit"));
        let epochs = some.only("network.epochs");
        assert!(epochs.may("network.epochs") && !epochs.may("network.cells"));
        assert!(!some.only("search.epochs").is_any());
    }

    #[test]
    fn a_network_by_name_and_a_chain_keep_their_sizes() {
        let network = freedom(&[], Some("resnet8"));
        assert!(!network.may("network.channels") && !network.may("network.cells") && network.may("network.epochs"));
        let mobile = Request {
            layers: vec![Layer::assignment("--set", "space.name=mobile").unwrap()],
            ..Request::default()
        };
        let mobile = Freedom::of(&mobile, &mobile.resolve().unwrap());
        assert!(!mobile.may("search.cells") && mobile.may("search.channels"));
        let stages = freedom(&["search.method=p-darts", "search.stages.cells=[3,5,7]"], None);
        assert!(!stages.may("search.cells") && stages.may("search.channels"));
    }
}
