//! The networks of a front as CSV, with all numbers.

use da2s_records::schema::{Front, FrontPoint};

use crate::data_link::CsvTable;

/// The table, one row per network.
pub(crate) fn front_csv(front: &Front) -> String {
    let mut table = CsvTable::new([
        "name",
        "directory",
        "requested",
        "width",
        "channels",
        "cells",
        "depth",
        "epochs",
        "accuracy",
        "interval_from",
        "interval_to",
        "multiply_adds",
        "parameters",
        "size_bytes",
        "size_int8_bytes",
        "ram_bytes",
        "ram_int8_bytes",
        "latency_ms",
        "train_time_s",
        "at_chance",
        "front_multiply_adds",
        "front_size",
        "front_ram",
        "front_latency",
        "front_overall",
    ]);
    for point in &front.points {
        table.row(row(front, point));
    }
    table.into_csv()
}

fn row(front: &Front, point: &FrontPoint) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let whole = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    let (device, on) = (&point.trained.on_device, &point.on_front);
    let mut row = vec![
        point.name.clone(),
        point.directory.clone(),
        point.requested.join("; "),
        point.width.to_string(),
        point.channels.to_string(),
        whole(point.cells),
        point.depth_text(),
        front.epochs.to_string(),
        number(point.trained.accuracy),
        number(point.trained.accuracy_interval.map(|[from, _]| from)),
        number(point.trained.accuracy_interval.map(|[_, to]| to)),
        whole(point.trained.multiply_adds),
        whole(point.trained.parameters),
        whole(device.size_bytes),
        whole(device.size_int8_bytes),
        whole(device.ram_bytes),
        whole(device.ram_int8_bytes),
        number(device.latency_ms),
        number(point.trained.train_time_s),
    ];
    let flags = [
        point.at_chance,
        on.multiply_adds,
        on.size,
        on.ram,
        on.latency,
        on.overall,
    ];
    row.extend(flags.map(|flag| u8::from(flag).to_string()));
    row
}
