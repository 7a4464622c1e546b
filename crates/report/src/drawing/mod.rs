//! The pictures of a run as files: its cells as SVG, PNG or Graphviz DOT, its curves as SVG or PNG.
//!
//! Contract: the pictures are those of the report, on a white background; the same run gives the
//! same bytes on every machine.

mod dot;
mod png;

use strum::{IntoStaticStr, VariantArray};

use crate::page::curves::{retraining_charts, search_charts};
use crate::page::film::{CellFilm, Film};
use crate::svg::cell::draw;
use crate::{ReportError, Run};

/// A picture format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum DrawingFormat {
    /// Vector graphics, for pages and papers.
    Svg,
    /// Pixels: two per unit of the SVG.
    Png,
    /// A graph for Graphviz; cells only.
    Dot,
}

impl DrawingFormat {
    /// All formats.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Its name, which is also the extension of its files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Name of its file.
    pub name: String,
    /// Content of the file.
    pub bytes: Vec<u8>,
}

/// All pictures in `format` for which `run` has data.
///
/// # Errors
/// [`ReportError::Picture`] if a name in the run contains a character that no picture can show,
/// such as a control character.
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
/// As for [`drawings`].
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

/// The cell kind as a safe part of a file name; it may come from an untrusted run directory.
fn plain(kind: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    kind.chars().take(40).map(plain).collect()
}
