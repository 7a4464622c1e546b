//! The final network in numbers: its costs on a device, and the times of search and retraining.

use maud::{Markup, html};

use da2s_records::schema::DeviceCost;
use da2s_settings::Quantity;

use crate::Run;
use crate::number::{count, duration, magnitude, percent};

/// What is known about its size, its cost and its time; `None` if nothing is.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let facts = facts(run);
    (!facts.is_empty()).then(|| {
        html! {
            dl.facts-list {
                @for (name, value, detail) in &facts { div { dt { (name) } dd { b { (value) } " " small { (detail) } } } }
            }
        }
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
    let widened = genotype
        .and_then(|g| g.widened.as_ref())
        .or_else(|| summary.and_then(|s| s.widened.as_ref()));
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
    let time = |name, seconds: Option<f64>| seconds.map(|seconds| (name, duration(seconds), String::new()));
    [
        parameters
            .and_then(|_| input(run))
            .map(|text| ("input", text, "pixels".to_owned())),
        multiply_adds.map(|number| ("multiply-adds per image", magnitude(number), count(number))),
        widened.map(|widened| ("width", format!("{} channels", widened.channels), widened.text())),
        parameters.map(|number| ("parameters", magnitude(number), count(number))),
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
        summary.and_then(|s| s.measured_latency_ms).map(|ms| {
            let machine = summary.and_then(|s| s.measured_latency_machine.as_deref());
            let detail = format!(
                "for one image on one thread of {}, measured at the end of the run",
                machine.unwrap_or("the machine that trained it")
            );
            ("measured latency", Quantity::Milliseconds.text(ms), detail)
        }),
        summary.and_then(|s| s.int8_accuracy).map(|accuracy| {
            let gap = summary.and_then(|s| s.int8_gap);
            let side = |points: f64| if points < 0.0 { "above" } else { "below" };
            let gap = gap.map(|points| format!("{:.2} points {} float32", points.abs(), side(points)));
            let interval = summary.and_then(|s| s.int8_accuracy_interval);
            let interval = interval.map(|[from, to]| format!("95 % interval {from:.1} to {to:.1} %"));
            let detail: Vec<String> = [gap, interval].into_iter().flatten().collect();
            ("test accuracy in int8", percent(accuracy), detail.join("; "))
        }),
        time("search took", summary.and_then(|s| s.search_time_s)),
        time("retraining took", summary.and_then(|s| s.train_time_s)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rows and columns of the input.
fn input(run: &Run) -> Option<String> {
    let [rows, columns] = run.environment.as_ref()?.dataset_images.as_ref()?.input?;
    Some(format!("{rows}×{columns}"))
}
