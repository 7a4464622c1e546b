//! Several networks of one search, and which of them are not beaten by another: as JSON, CSV and a
//! page with pictures of accuracy against each cost.
//!
//! Contract: everything is computed from the given front alone.

mod page;
mod table;

pub(crate) use page::front_page;
pub(crate) use table::front_csv;

use da2s_records::schema::{Front, FrontPoint};

/// The part of a network's name that distinguishes it from the others: without the epochs, which
/// are the same for all, and without cells or layers if all networks have the same number.
pub(crate) fn label(front: &Front, point: &FrontPoint) -> String {
    let shape = |point: &FrontPoint| (point.cells, point.depth.clone());
    let alike = front.points.iter().all(|other| shape(other) == shape(point));
    let parts = point.name.split('-').take(if alike { 1 } else { 2 });
    parts.collect::<Vec<_>>().join("-")
}
