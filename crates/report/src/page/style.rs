//! The style sheet: `report.css`, and the data colours, which are generated from one table.

use std::fmt::Write;

use crate::svg::colour::{LEVELS, LINE_STYLES, OPERATION_COLOURS, heat};

/// The complete style sheet.
pub(super) fn sheet() -> String {
    let mut sheet = include_str!("report.css").to_owned();
    for (slot, (light, dark)) in OPERATION_COLOURS.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(sheet, ".op{slot}{{--op:light-dark({light},{dark})}}");
    }
    for (line, (light, dark, dashes)) in LINE_STYLES.iter().enumerate() {
        let _ = writeln!(
            sheet,
            ":root{{--s{line}:light-dark({light},{dark})}}.s{line}{{stroke:var(--s{line});stroke-dasharray:{dashes}}}"
        );
    }
    for level in 0..LEVELS {
        let (fill, text) = heat(level);
        let _ = writeln!(sheet, ".h{level}{{fill:{fill}}}.h{level} text{{fill:{text}}}");
    }
    let stops: Vec<String> = (0..LEVELS).step_by(4).map(|level| heat(level).0).collect();
    let _ = writeln!(
        sheet,
        ".scale i{{background:linear-gradient(90deg,{})}}",
        stops.join(",")
    );
    sheet
}
