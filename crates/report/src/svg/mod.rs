//! The pictures: cells as graphs, line charts, heat maps, all as SVG elements.
//!
//! They are hand-written because plotting crates do not meet the requirements: colours must follow
//! the page's theme (CSS classes instead of fixed values), the script must find edges, cells and
//! markers to update them with the epoch, text must remain text for screen readers, and a picture
//! must be small enough for a page to contain a dozen. Only the drawing itself is written here:
//! round ticks come from [`crate::number::ticks`], escaping from maud, colour maps from colorous.

pub(crate) mod bars;
pub(crate) mod cell;
pub(crate) mod chart;
pub(crate) mod colour;
pub(crate) mod graph;
pub(crate) mod heat;
mod layout;
mod plot;
pub(crate) mod reliability;
pub(crate) mod scatter;
pub(crate) mod strip;

/// A coordinate with one decimal, which is finer than a pixel of any picture here.
pub(crate) fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // Adding zero turns −0 into 0.
    format!("{}", rounded + 0.0)
}

/// A name shortened to fit beside a picture, to at most `most` letters.
pub(crate) fn short(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
