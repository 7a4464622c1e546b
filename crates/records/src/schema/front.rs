//! `front/front.json`: several networks from one search, and which of them are on the Pareto front
//! of accuracy and a cost.

use serde::{Deserialize, Serialize};

use super::TrainedNetwork;
use crate::pareto::non_dominated;

/// Networks of one search, trained by the same recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// Data set.
    pub dataset: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// Epochs of the training of each network.
    pub epochs: u64,
    /// The number format for which size and memory are counted: `float32` or `int8`.
    pub precision: String,
    /// Where the latencies are from; `None` if there are none.
    pub latency: Option<LatencySource>,
    /// Accuracy in percent of always choosing the most frequent class of the test images.
    #[serde(default)]
    pub chance: Option<f64>,
    /// The networks, the cheapest first.
    pub points: Vec<FrontPoint>,
}

/// Where latencies are from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySource {
    /// Whether they were measured; otherwise they are sums over a table of blocks.
    pub measured: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// The program that ran the networks or blocks.
    pub engine: Option<String>,
    /// The machine.
    pub machine: Option<String>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrontPoint {
    /// Its name.
    pub name: String,
    /// The directory of its run, relative to that of the search; `.` is the search itself.
    pub directory: String,
    /// The requests for this network in the last call of the command, such as `width 0.5`; empty if
    /// that call did not request it.
    pub requested: Vec<String>,
    /// Its channels divided by those of the search's own network.
    pub width: f64,
    /// Channels.
    pub channels: u64,
    /// Cells; `None` for a chain of layers.
    pub cells: Option<u64>,
    /// Layers that each stage of a chain keeps; empty for cells.
    #[serde(default)]
    pub depth: Vec<usize>,
    /// Its accuracy and costs.
    #[serde(flatten)]
    pub trained: TrainedNetwork,
    /// Whether its 95 % interval includes [`Front::chance`], or is below it.
    #[serde(default)]
    pub at_chance: bool,
    /// Which fronts it is on.
    pub on_front: OnFront,
}

impl FrontPoint {
    /// The number of cells, or of layers of each stage, such as `2/3/3/2`.
    pub fn cells_text(&self) -> String {
        self.cells.map_or_else(|| self.depth_text(), |cells| cells.to_string())
    }

    /// The number of layers of each stage, such as `2/3/3/2`; empty for cells.
    pub fn depth_text(&self) -> String {
        self.depth.iter().map(usize::to_string).collect::<Vec<_>>().join("/")
    }
}

/// The fronts that a network is on: no other network is at least as good in both numbers and better
/// in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnFront {
    /// Accuracy and multiply-adds.
    pub multiply_adds: bool,
    /// Accuracy and size.
    pub size: bool,
    /// Accuracy and peak memory.
    pub ram: bool,
    /// Accuracy and latency.
    pub latency: bool,
    /// Accuracy and all of these together.
    pub overall: bool,
}

/// What a network costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontCost {
    /// Multiply-adds.
    MultiplyAdds,
    /// Bytes of its weights.
    Size,
    /// Bytes of its activations.
    Ram,
    /// Milliseconds for one image.
    Latency,
}

impl FrontCost {
    /// All costs.
    pub const ALL: [Self; 4] = [Self::MultiplyAdds, Self::Size, Self::Ram, Self::Latency];

    /// How much of it `point` needs in numbers of `precision`, if that is known.
    pub fn of(self, point: &FrontPoint, precision: &str) -> Option<f64> {
        let device = &point.trained.on_device;
        let int8 = precision == "int8";
        let count = match self {
            Self::MultiplyAdds => point.trained.multiply_adds,
            Self::Size if int8 => device.size_int8_bytes,
            Self::Size => device.size_bytes,
            Self::Ram if int8 => device.ram_int8_bytes,
            Self::Ram => device.ram_bytes,
            Self::Latency => return device.latency_ms.filter(|ms| ms.is_finite()),
        };
        count.map(|count| count as f64)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiplyAdds => "multiply-adds",
            Self::Size => "size",
            Self::Ram => "peak memory",
            Self::Latency => "latency",
        }
    }

    /// The flag of this front.
    pub fn flag(self, on_front: &OnFront) -> bool {
        match self {
            Self::MultiplyAdds => on_front.multiply_adds,
            Self::Size => on_front.size,
            Self::Ram => on_front.ram,
            Self::Latency => on_front.latency,
        }
    }
}

impl Front {
    /// The costs that are known for at least one network.
    pub fn costs(&self) -> Vec<FrontCost> {
        let known = |cost: &FrontCost| {
            self.points
                .iter()
                .any(|point| cost.of(point, &self.precision).is_some())
        };
        FrontCost::ALL.into_iter().filter(known).collect()
    }

    /// The fronts that `point` is on, in words: `all`, or the costs whose front it is on, or
    /// `together` if it is only on the front of all costs together. If it is on no front, a dash
    /// or `at chance`.
    pub fn fronts_of(&self, point: &FrontPoint) -> String {
        if point.at_chance {
            return "at chance".to_owned();
        }
        let costs = self.costs();
        let on: Vec<&str> = costs
            .iter()
            .filter(|cost| cost.flag(&point.on_front))
            .map(|cost| cost.name())
            .collect();
        match on.len() {
            0 if point.on_front.overall => "together".to_owned(),
            0 => "–".to_owned(),
            all if all == costs.len() => "all".to_owned(),
            _ => on.join(", "),
        }
    }

    /// What is said of networks `at chance`, after the word "networks"; `None` if there are none.
    pub fn about_chance(&self) -> Option<String> {
        let chance = self
            .chance
            .filter(|_| self.points.iter().any(|point| point.at_chance))?;
        Some(format!(
            "at chance are on no front: they are not significantly better than always choosing the most frequent \
             class ({chance:.2} % of the test images)"
        ))
    }

    /// Determines which networks are at chance and which are on which front. Contract: a network
    /// without a cost is not on the front of that cost; one without an accuracy, or at chance, is
    /// on none.
    pub fn mark(&mut self) {
        for point in &mut self.points {
            let interval = point.trained.accuracy_interval.zip(self.chance);
            point.at_chance = interval.is_some_and(|([from, _], chance)| from <= chance);
        }
        let costs = self.costs();
        let on = |costs: &[FrontCost]| {
            let numbers = |point: &FrontPoint| {
                let needs = costs.iter().map(|cost| cost.of(point, &self.precision));
                let accuracy = point.trained.accuracy.filter(|_| !point.at_chance);
                let numbers = needs.chain([accuracy.map(|accuracy| -accuracy)]);
                numbers.map(|number| number.unwrap_or(f64::NAN)).collect::<Vec<f64>>()
            };
            non_dominated(&self.points.iter().map(numbers).collect::<Vec<_>>())
        };
        let each = FrontCost::ALL.map(|cost| on(&[cost]));
        let overall = on(&costs);
        for (at, point) in self.points.iter_mut().enumerate() {
            let [multiply_adds, size, ram, latency] = [0, 1, 2, 3].map(|cost: usize| each[cost][at]);
            point.on_front = OnFront {
                multiply_adds,
                size,
                ram,
                latency,
                overall: overall[at],
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DeviceCost;
    use super::*;

    fn point(accuracy: Option<f64>, multiply_adds: u64, size_int8_bytes: u64, latency_ms: Option<f64>) -> FrontPoint {
        FrontPoint {
            trained: TrainedNetwork {
                accuracy,
                multiply_adds: Some(multiply_adds),
                on_device: DeviceCost {
                    size_int8_bytes: Some(size_int8_bytes),
                    latency_ms,
                    ..DeviceCost::default()
                },
                ..TrainedNetwork::default()
            },
            ..FrontPoint::default()
        }
    }

    #[test]
    fn each_cost_has_a_front_and_all_costs_together_have_one() {
        let mut front = Front {
            precision: "int8".to_owned(),
            points: vec![
                point(Some(90.0), 10, 30, Some(1.0)),
                // Less accurate and not cheaper, but smaller.
                point(Some(80.0), 10, 20, Some(2.0)),
                point(Some(70.0), 20, 40, Some(3.0)),
                point(Some(60.0), 5, 30, None),
                point(None, 1, 1, Some(0.1)),
            ],
            ..Front::default()
        };
        front.mark();
        assert_eq!(
            front.costs(),
            [FrontCost::MultiplyAdds, FrontCost::Size, FrontCost::Latency]
        );
        let flags = |cost: FrontCost| {
            front
                .points
                .iter()
                .map(|point| cost.flag(&point.on_front))
                .collect::<Vec<_>>()
        };
        assert_eq!(flags(FrontCost::MultiplyAdds), [true, false, false, true, false]);
        assert_eq!(flags(FrontCost::Size), [true, true, false, false, false]);
        assert_eq!(flags(FrontCost::Ram), [false; 5]);
        assert_eq!(flags(FrontCost::Latency), [true, false, false, false, false]);
        let overall: Vec<bool> = front.points.iter().map(|point| point.on_front.overall).collect();
        assert_eq!(overall, [true, true, false, false, false]);
        let words: Vec<String> = front.points.iter().map(|point| front.fronts_of(point)).collect();
        assert_eq!(words, ["all", "size", "–", "multiply-adds", "–"]);
        assert_eq!(front.about_chance(), None);
    }

    /// Such a network is cheap, but nobody wants it.
    #[test]
    fn networks_at_chance_are_on_no_front() {
        let within = |interval: [f64; 2], multiply_adds: u64| {
            let mut point = point(Some(interval[0] + 5.0), multiply_adds, 1, None);
            point.trained.accuracy_interval = Some(interval);
            point
        };
        let mut front = Front {
            chance: Some(10.0),
            points: vec![
                within([7.0, 14.0], 1),
                within([2.0, 9.0], 1),
                within([10.5, 20.0], 2),
                point(Some(9.0), 3, 1, None),
            ],
            ..Front::default()
        };
        front.mark();
        let at_chance: Vec<bool> = front.points.iter().map(|point| point.at_chance).collect();
        assert_eq!(at_chance, [true, true, false, false]);
        let words: Vec<String> = front.points.iter().map(|point| front.fronts_of(point)).collect();
        assert_eq!(words, ["at chance", "at chance", "all", "–"]);
        assert!(front.about_chance().unwrap().contains("(10.00 % of the test images)"));
    }
}
