//! The table of a quantisation.

use da2s::run::Quantised;
use da2s_settings::Quantity;

use super::{Lines, gap, grouped, interval};
use crate::terminal::escaped;

/// The table of a quantisation, with the files.
pub fn of_quantisation(quantised: &Quantised) -> String {
    let int8 = &quantised.int8;
    let mut table = Lines::default();
    table.percent("float32", int8.float32_accuracy, "test images");
    let remark = match (gap(int8.gap), int8.accuracy_interval) {
        (gap, Some(ends)) => format!("{gap}; 95 % interval {}", interval(ends)),
        (gap, None) => gap,
    };
    table.percent("int8", int8.accuracy, &remark);
    if let Some((float32, int8)) = int8.only_float32.zip(int8.only_int8) {
        table.row(
            "right in only one",
            &format!("{} in float32, {} in int8", grouped(float32), grouped(int8)),
        );
    }
    if let Some(bytes) = int8.size_bytes {
        table.row("size", &Quantity::Bytes.text(bytes as f64));
    }
    if let Some((images, range)) = int8.calibration_images.zip(int8.range.as_ref()) {
        let images = da2s_records::counted(images as usize, "training image");
        table.row("calibrated on", &format!("{images}, range {range}"));
    }
    let files = quantised
        .files
        .iter()
        .map(|file| format!("{}\n", escaped(&file.display().to_string())));
    format!("{}\n{}", table.text, files.collect::<String>())
}
