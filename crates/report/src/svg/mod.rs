//! The pictures: cells as graphs, line charts, heat maps, all as SVG elements.
//!
//! They are made by hand rather than by a plotting crate for reasons that such crates do not serve:
//! the colours must follow the page's theme (CSS classes, not baked-in values), the script must
//! find edges, cells and markers again to move them with the epoch, text must stay text for screen
//! readers, and a picture must stay small enough for one page to hold a dozen. What is needed is
//! little: round ticks come from [`crate::number::ticks`], escaping from maud, colour maps from
//! colorous.

pub(crate) mod bars;
pub(crate) mod cell;
pub(crate) mod chart;
pub(crate) mod colour;
pub(crate) mod graph;
pub(crate) mod heat;
mod layout;
mod plot;
pub(crate) mod strip;

/// A coordinate with one digit after the point, which is finer than a pixel of any picture here.
pub(crate) fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // Adding zero turns −0 into 0.
    format!("{}", rounded + 0.0)
}
