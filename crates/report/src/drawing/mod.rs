//! The pictures of a run as files: its cells as SVG, PNG or Graphviz DOT, its curves as SVG or PNG.
//!
//! Contract: the pictures are those of the report, on a light ground; the same run gives the same
//! bytes on every machine.

mod dot;
mod png;

use strum::{IntoStaticStr, VariantArray};

use crate::page::curves::{retraining_charts, search_charts};
use crate::page::film::{CellFilm, Film};
use crate::svg::cell::draw;
use crate::{ReportError, Run};

/// A format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum DrawingFormat {
    /// Vectors, for pages and papers.
    Svg,
    /// Pixels, twice as many as the SVG has units.
    Png,
    /// A graph for Graphviz; cells only.
    Dot,
}

impl DrawingFormat {
    /// Every format.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Its name, which is the ending of its files too.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Name of its file.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Every picture that `run` has something for, in `format`.
///
/// # Errors
/// [`ReportError::Picture`] where a name in the run holds a character that no picture can, as a
/// control character.
pub fn drawings(run: &Run, format: DrawingFormat) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings = cells(run, format)?;
    if format == DrawingFormat::Dot {
        return Ok(drawings);
    }
    for chart in search_charts(run).iter().chain(&retraining_charts(run)) {
        let Some(svg) = chart.stand_alone() else { continue };
        let name = format!("{}.{}", chart.id, format.name());
        let bytes = match format {
            DrawingFormat::Png => png::render(&name, &svg)?,
            DrawingFormat::Svg | DrawingFormat::Dot => svg.into_bytes(),
        };
        drawings.push(Drawing { name, bytes });
    }
    Ok(drawings)
}

/// The cells of `run` as they are at its end, in `format`.
///
/// # Errors
/// As [`drawings`].
pub fn cells(run: &Run, format: DrawingFormat) -> Result<Vec<Drawing>, ReportError> {
    let drawing = |cell: &CellFilm| {
        let looks = cell.last_looks();
        let name = format!("{}-cell.{}", plain(&cell.kind), format.name());
        let svg = || draw(&cell.graph, &looks, cell.kept_operations, &cell.spoken()).into_string();
        let bytes = match format {
            DrawingFormat::Svg => svg().into_bytes(),
            DrawingFormat::Png => png::render(&name, &svg())?,
            DrawingFormat::Dot => dot::graph(&cell.kind, &cell.graph, &looks).into_bytes(),
        };
        Ok(Drawing { name, bytes })
    };
    Film::of(run).cells.iter().map(drawing).collect()
}

/// The kind of a cell as part of a file's name, wherever the run directory came from.
fn plain(kind: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    kind.chars().take(40).map(plain).collect()
}
