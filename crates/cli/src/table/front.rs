//! The table of a front.

use std::path::Path;

use da2s_records::counted;
use da2s_records::schema::{Front, FrontCost, FrontPoint};
use da2s_settings::Quantity;

use super::{absent, columns_with, decimals, grouped, interval};
use crate::terminal::escaped;

/// The table of a front; `page` is the path of its page.
pub fn of_front(front: &Front, page: &Path) -> String {
    let cells = front.points.iter().all(|point| point.cells.is_some());
    let heading = [
        "network",
        "width",
        "channels",
        if cells { "cells" } else { "layers" },
        "multiply-adds",
        "parameters",
        "size",
        "int8",
        if front.precision == "int8" {
            "peak memory, int8"
        } else {
            "peak memory"
        },
        "latency",
        "accuracy",
        "95 % interval",
        "on the front of",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(front.points.iter().map(|point| row(front, point)));
    let last = heading.len() - 1;
    let mut text = columns_with(&rows, |column| column == 0 || column == last);
    if let Some(latency) = &front.latency {
        let how = if latency.measured {
            "measured here"
        } else {
            "predicted from target.latency_table"
        };
        text += &format!(
            "\nlatency {how}, accuracy on the test images after {}\n",
            counted(front.epochs as usize, "epoch")
        );
    }
    if let Some(about) = front.about_chance() {
        text += &format!("networks {about}\n");
    }
    text + &format!("{}\n", escaped(&page.display().to_string()))
}

fn row(front: &Front, point: &FrontPoint) -> Vec<String> {
    let device = &point.trained.on_device;
    let number = |count: Option<u64>| count.map_or_else(absent, grouped);
    let bytes = |bytes: Option<u64>| bytes.map_or_else(absent, |bytes| Quantity::Bytes.text(bytes as f64));
    vec![
        point.name.clone(),
        format!("{:.2}", point.width),
        point.channels.to_string(),
        point.cells_text(),
        number(point.trained.multiply_adds),
        number(point.trained.parameters),
        bytes(device.size_bytes),
        bytes(device.size_int8_bytes),
        FrontCost::Ram
            .of(point, &front.precision)
            .map_or_else(absent, |bytes| Quantity::Bytes.text(bytes)),
        device
            .latency_ms
            .map_or_else(absent, |ms| Quantity::Milliseconds.text(ms)),
        format!("{} %", decimals(point.trained.accuracy, 2)),
        point.trained.accuracy_interval.map_or_else(absent, interval),
        front.fronts_of(point),
    ]
}

#[cfg(test)]
mod tests {
    use da2s_records::schema::{DeviceCost, LatencySource, TrainedNetwork};

    use super::*;

    #[test]
    fn networks_are_rows_that_say_which_front_they_are_on() {
        let point = |channels: u64, accuracy: f64, latency_ms: f64| FrontPoint {
            name: format!("c{channels}-n5-e30"),
            width: channels as f64 / 16.0,
            channels,
            cells: Some(5),
            trained: TrainedNetwork {
                accuracy: Some(accuracy),
                accuracy_interval: Some([accuracy - 2.0, accuracy + 1.5]),
                parameters: Some(400 * channels),
                multiply_adds: Some(90_000 * channels),
                on_device: DeviceCost {
                    size_bytes: Some(1_600 * channels),
                    size_int8_bytes: Some(500 * channels),
                    ram_bytes: Some(8_000 * channels),
                    ram_int8_bytes: Some(2_000 * channels),
                    latency_ms: Some(latency_ms),
                },
                ..TrainedNetwork::default()
            },
            ..FrontPoint::default()
        };
        let mut front = Front {
            epochs: 30,
            precision: "float32".to_owned(),
            latency: Some(LatencySource {
                measured: true,
                ..LatencySource::default()
            }),
            chance: Some(12.5),
            points: vec![
                point(4, 11.0, 0.11),
                point(8, 91.5, 0.31),
                point(12, 91.25, 0.29),
                point(24, 93.0, 0.81),
            ],
            ..Front::default()
        };
        front.mark();
        insta::assert_snapshot!(of_front(&front, Path::new("runs/a/front/front.html")), @r"
        network     width  channels  cells  multiply-adds  parameters     size     int8  peak memory   latency  accuracy  95 % interval  on the front of
        c4-n5-e30    0.25         4      5        360,000       1,600  6.40 KB  2.00 KB      32.0 KB  0.110 ms   11.00 %   9.00–12.50 %  at chance
        c8-n5-e30    0.50         8      5        720,000       3,200  12.8 KB  4.00 KB      64.0 KB  0.310 ms   91.50 %  89.50–93.00 %  all
        c12-n5-e30   0.75        12      5      1,080,000       4,800  19.2 KB  6.00 KB      96.0 KB  0.290 ms   91.25 %  89.25–92.75 %  latency
        c24-n5-e30   1.50        24      5      2,160,000       9,600  38.4 KB  12.0 KB       192 KB  0.810 ms   93.00 %  91.00–94.50 %  all

        latency measured here, accuracy on the test images after 30 epochs
        networks at chance are on no front: they are not significantly better than always choosing the most frequent class (12.50 % of the test images)
        runs/a/front/front.html
        ");
    }
}
