//! The final network: size, retraining, evaluation.

use maud::{Markup, html};

use da2s_records::schema::DeviceCost;
use da2s_settings::Quantity;

use super::{confusion, cost, curves, mistakes, scores};
use crate::Run;
use crate::number::{count, duration, magnitude, percent, significant};

/// Everything known about the final network; `None` if there is nothing.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let facts = facts(run);
    let charts = curves::retraining(run);
    let mistakes = run.evaluation.as_ref().and_then(mistakes::figure);
    let confusion = run.evaluation.as_ref().and_then(confusion::figure);
    let scores = run.evaluation.as_ref().and_then(scores::table);
    if facts.is_empty() && charts.is_none() && confusion.is_none() {
        return None;
    }
    Some(html! {
        dl.facts-list {
            @for (name, value, detail) in &facts { div { dt { (name) } dd { b { (value) } " " small { (detail) } } } }
        }
        @if let Some(cost) = cost::part(run) { (cost) }
        @if let Some(charts) = charts { h3.part { "Retraining" } (charts) }
        @if let Some(confusion) = confusion { h3.part { "Test images, class by class" } (confusion) }
        @if let Some(scores) = scores { (scores) }
        @if let Some(mistakes) = mistakes { h3.part { "Worst mistakes" } (mistakes) }
    })
}

/// (name, value, detail)
fn facts(run: &Run) -> Vec<(&'static str, String, String)> {
    let (genotype, summary) = (run.genotype.as_ref(), run.summary.as_ref());
    let parameters = genotype
        .and_then(|g| g.parameters)
        .or_else(|| summary.and_then(|s| s.parameters));
    let multiply_adds = genotype
        .and_then(|g| g.multiply_adds)
        .or_else(|| summary.and_then(|s| s.multiply_adds));
    let on_device = match (genotype, summary) {
        (Some(genotype), _) => genotype.on_device,
        (None, Some(summary)) => summary.on_device,
        (None, None) => DeviceCost::default(),
    };
    let bytes = |name, float: Option<u64>, int8: Option<u64>| {
        let text = |bytes: u64| Quantity::Bytes.text(bytes as f64);
        let int8 = int8.map_or_else(String::new, |bytes| format!("{} in int8", text(bytes)));
        float.map(|bytes| (name, text(bytes), int8))
    };
    let evaluation = run.evaluation.as_ref();
    let time = |name, seconds: Option<f64>| seconds.map(|seconds| (name, duration(seconds), String::new()));
    [
        parameters.map(|number| ("parameters", magnitude(number), count(number))),
        multiply_adds.map(|number| ("multiply-adds per image", magnitude(number), count(number))),
        bytes("size of its weights", on_device.size_bytes, on_device.size_int8_bytes),
        bytes(
            "peak memory of activations",
            on_device.ram_bytes,
            on_device.ram_int8_bytes,
        ),
        on_device.latency_ms.map(|ms| {
            let detail = "the sum of its blocks in the table of latencies".to_owned();
            ("predicted latency", Quantity::Milliseconds.text(ms), detail)
        }),
        evaluation.and_then(|e| e.accuracy).map(|accuracy| {
            let wrong = evaluation.and_then(|e| e.images).map(|images| {
                let wrong = (images as f64 * (100.0 - accuracy) / 100.0).round().max(0.0) as u64;
                format!("{} of {} images wrong", count(wrong), count(images))
            });
            ("test accuracy", percent(accuracy), wrong.unwrap_or_default())
        }),
        evaluation.and_then(scores::balanced).map(|balanced| {
            let detail = "mean recall over the classes".to_owned();
            ("balanced accuracy", percent(balanced), detail)
        }),
        evaluation
            .and_then(|e| e.loss)
            .map(|loss| ("test loss", significant(loss, 4), "nats".to_owned())),
        time("search took", summary.and_then(|s| s.search_time_s)),
        time("retraining took", summary.and_then(|s| s.train_time_s)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
