//! The positions of the reduction cells of a network, which halve the image's sides and double the
//! channels.

use da2s_settings::{Allowed, FieldKind, Problem, Setting, words};
use serde::{Deserialize, Serialize};

use super::CellKind;

/// Where reduction cells stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reductions {
    /// At 1/3 and 2/3 of the depth (Liu, Simonyan, Yang 2019, section 3.1.1).
    Thirds(Thirds),
    /// At these places, counted from 0.
    At(Vec<usize>),
}

words! {
    /// The word `"thirds"`.
    #[strum(serialize_all = "lowercase")]
    pub enum Thirds {
        /// See [`Reductions::Thirds`].
        Thirds,
    }
}

impl Setting for Reductions {
    const KIND: FieldKind = FieldKind::Value(Allowed::AnyOf(Self::ALLOWED));
}

impl Reductions {
    const ALLOWED: &[Allowed] = &[Thirds::KIND.value(), <Vec<usize>>::KIND.value()];

    /// As in DARTS.
    pub const THIRDS: Self = Self::Thirds(Thirds::Thirds);

    /// Checks that these cells are among the `cells` of a network. `table` is the table of its
    /// settings, for the error.
    ///
    /// # Errors
    /// If they are not, or one is listed twice.
    pub fn check(&self, table: &str, cells: usize) -> Result<(), Problem> {
        match self {
            Self::Thirds(_) if cells < 3 => {
                let expected = "at least 3, since reduction cells are at 1/3 and 2/3 of the depth";
                Err(Problem::refused("cells", cells, expected).within(table))
            }
            Self::At(places) if places.iter().any(|&place| place >= cells) => {
                let expected = format!("indices below {table}.cells = {cells}; cells are counted from 0");
                Err(Problem::refused("reduction_cells", format!("{places:?}"), expected).within(table))
            }
            Self::At(places) if (1..places.len()).any(|at| places[..at].contains(&places[at])) => {
                let expected = "each cell once";
                Err(Problem::refused("reduction_cells", format!("{places:?}"), expected).within(table))
            }
            Self::Thirds(_) | Self::At(_) => Ok(()),
        }
    }

    /// Kind of cell `index` of `cells`.
    pub fn kind(&self, index: usize, cells: usize) -> CellKind {
        let reduces = match self {
            Self::Thirds(_) => index == cells / 3 || index == 2 * cells / 3,
            Self::At(places) => places.contains(&index),
        };
        if reduces { CellKind::Reduction } else { CellKind::Normal }
    }

    /// Reduction cells among the first `first` of `cells`.
    pub fn among(&self, first: usize, cells: usize) -> usize {
        let kinds = (0..first).map(|index| self.kind(index, cells));
        kinds.filter(|&kind| kind == CellKind::Reduction).count()
    }
}
