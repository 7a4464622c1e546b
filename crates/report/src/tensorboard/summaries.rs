//! The contents of a run's events: its results, the numbers of an epoch, pictures of its cells,
//! histograms of α and β.
//!
//! Reference: `summary.proto` and `event.proto` of TensorFlow, as in `message.rs`. Contract: what
//! TensorBoard cannot draw, such as NaN or a picture of size 0, is left out.

use serde_json::Value as Json;

use super::histogram::histogram;
use super::message::{Event, Image, Summary, SummaryValue, Value, What};
use crate::drawing::Drawing;
use crate::metrics::EpochNumbers;
use crate::run::{ArchEpoch, Summary as Results};

/// A result of `summary.json`.
pub(super) type ResultOf = fn(&Results) -> Option<f64>;

/// The results by which runs are compared.
pub(super) const RESULTS: [(&str, ResultOf); 6] = [
    ("supernet_accuracy", |summary| summary.supernet_accuracy),
    ("discretized_accuracy", |summary| summary.discretized_accuracy),
    ("gap", |summary| summary.gap),
    ("network_accuracy", |summary| summary.network_accuracy),
    ("parameters", |summary| summary.parameters.map(|count| count as f64)),
    ("multiply_adds", |summary| {
        summary.multiply_adds.map(|count| count as f64)
    }),
];

/// `what` for the epoch `step`, at the time `wall_time`, in seconds since 1970.
pub(super) fn event(wall_time: f64, step: usize, what: What) -> Event {
    Event {
        wall_time,
        step: step as i64,
        what: Some(what),
    }
}

/// The numbers of an epoch, without its number and the counts of epochs and steps.
pub(super) fn scalars(stage: &str, record: &EpochNumbers) -> Summary {
    let counts = ["epoch", "epochs", "steps"];
    let numbers = record.values.iter().filter(|(key, _)| !counts.contains(&key.as_str()));
    let value = numbers.filter_map(|(key, value)| Some(scalar(format!("{stage}/{key}"), Json::as_f64(value)?)));
    Summary { value: value.collect() }
}

/// A number under the name `tag`.
pub(super) fn scalar(tag: String, value: f64) -> SummaryValue {
    SummaryValue {
        tag,
        metadata: None,
        value: Some(Value::Simple(value as f32)),
    }
}

/// A cell as an image; its size is in the header of the PNG file.
pub(super) fn picture(cell: &Drawing) -> Option<SummaryValue> {
    let side = |at: usize| Some(i32::from_be_bytes(cell.bytes.get(at..at + 4)?.try_into().ok()?));
    let image = Image {
        width: side(16)?,
        height: side(20)?,
        colorspace: 4,
        encoded: cell.bytes.clone(),
    };
    Some(SummaryValue {
        tag: format!("cells/{}", cell.name.trim_end_matches("-cell.png")),
        metadata: None,
        value: Some(Value::Image(image)),
    })
}

/// Histograms of α and β, one per kind of cell.
pub(super) fn mixture(record: &ArchEpoch) -> Summary {
    let mut summary = Summary::default();
    for (kind, cell) in &record.cells {
        let alpha: Vec<f64> = cell.alpha.iter().flatten().flatten().copied().collect();
        let beta: Vec<f64> = cell.beta.iter().flatten().copied().collect();
        for (name, values) in [("alpha", alpha), ("beta", beta)] {
            summary.value.extend(histogram(&values).map(|histogram| SummaryValue {
                tag: format!("{name}/{kind}"),
                metadata: None,
                value: Some(Value::Histogram(histogram)),
            }));
        }
    }
    summary
}
