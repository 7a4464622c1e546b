//! What networks a front is to have, and what is wrong with a request.

use std::path::PathBuf;

use da2s_records::Kind;

use crate::config::Config;
use crate::network::{Limit, Resource, WidthError, channels_at};
use crate::space::{EdgeCount, Operation};

/// The widths of a request that names neither widths nor limits.
const WIDTHS: [f64; 4] = [0.5, 0.75, 1.0, 1.5];

/// The networks of a front: every width, and the widest network within every limit, at every depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontRequest {
    /// Multiples of the channels of the run's own network; if empty, and without limits, 0.5, 0.75,
    /// 1 and 1.5.
    pub widths: Vec<f64>,
    /// Limits: for each there is one network, as wide as the limit allows.
    pub limits: Vec<Limit>,
    /// Numbers of cells; if empty, that of the run's own network.
    pub cells: Vec<usize>,
    /// Layers that the stages of a chain keep; if empty, those of the run's own network.
    pub depths: Vec<EdgeCount>,
}

/// A front that is impossible.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// A run whose genotype was given.
    #[error("the run in {} has no search whose networks could be compared: its genotype was given", path.display())]
    NoSearch {
        /// The run.
        path: PathBuf,
    },
    /// A width at which there is no network.
    #[error(transparent)]
    Width(#[from] WidthError),
    /// Something that is listed twice.
    #[error("{what} is requested twice")]
    Twice {
        /// What.
        what: String,
    },
    /// Cells in a space of layers.
    #[error("the space {space} has networks of layers in stages, not of cells: vary how many layers a stage keeps")]
    NoCells {
        /// The space.
        space: &'static str,
    },
    /// Layers in a space of cells.
    #[error("the space {space} has networks of cells, not of layers in stages: vary the number of cells")]
    NoLayers {
        /// The space.
        space: &'static str,
    },
    /// Depths where the search decided about each layer.
    #[error(
        "the depth cannot vary: skip is a candidate of this run's search, which decides about each layer separately and \
         does not rank the layers; vary the width"
    )]
    Skip,
    /// Layers that the search removed.
    #[error("stage {stage} cannot keep {asked} layers: the search has removed all but {left}")]
    Removed {
        /// Stage, from 1.
        stage: usize,
        /// Number of requested layers.
        asked: usize,
        /// Number of remaining layers.
        left: usize,
    },
    /// A limit on latency without a table.
    #[error("a limit on latency needs the times of blocks on the device: target.latency_table is unset")]
    NoTable,
    /// Limits that no network is within.
    #[error("no network is within any of the limits")]
    Empty,
}

impl FrontError {
    /// The kind of the error.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NoSearch { .. } => Kind::RunDirectory,
            Self::Width(_)
            | Self::Twice { .. }
            | Self::NoCells { .. }
            | Self::NoLayers { .. }
            | Self::Skip
            | Self::Removed { .. }
            | Self::NoTable
            | Self::Empty => Kind::Usage,
        }
    }
}

impl FrontRequest {
    /// The requested widths.
    pub(super) fn widths(&self) -> &[f64] {
        if self.widths.is_empty() && self.limits.is_empty() {
            &WIDTHS
        } else {
            &self.widths
        }
    }

    /// Checks what can be checked without the images and the search of a run of `config`.
    ///
    /// # Errors
    /// For the first problem.
    pub(super) fn check(&self, config: &Config) -> Result<(), FrontError> {
        for &width in self.widths() {
            channels_at(width, config.network.shape.channels)?;
        }
        let space = config.space.name;
        if space.is_chain() && !self.cells.is_empty() {
            return Err(FrontError::NoCells { space: space.name() });
        }
        if !space.is_chain() && !self.depths.is_empty() {
            return Err(FrontError::NoLayers { space: space.name() });
        }
        if !self.depths.is_empty() && config.space.build().operations.contains(&Operation::Skip) {
            return Err(FrontError::Skip);
        }
        let limits_time = self.limits.iter().any(|(resource, _)| *resource == Resource::Latency);
        if limits_time && config.target.latency_table.is_none() {
            return Err(FrontError::NoTable);
        }
        let twice = [
            repeated(&self.widths).map(|width| format!("a width of {width}")),
            repeated(&self.cells).map(|cells| format!("a network of {cells} cells")),
            repeated(&self.depths).map(|depth| format!("a depth of {}", text(depth))),
            repeated(&self.limits).map(|(resource, limit)| format!("a limit of {}", resource.need(*limit))),
        ];
        match twice.into_iter().flatten().next() {
            Some(what) => Err(FrontError::Twice { what }),
            None => Ok(()),
        }
    }
}

/// An item that equals an earlier one.
fn repeated<T: PartialEq>(items: &[T]) -> Option<&T> {
    let again = |(at, item): &(usize, &T)| items[..*at].contains(item);
    items.iter().enumerate().find(again).map(|(_, item)| item)
}

fn text(depth: &EdgeCount) -> String {
    match depth {
        EdgeCount::Uniform(layers) => layers.to_string(),
        EdgeCount::PerNode(layers) => layers.iter().map(usize::to_string).collect::<Vec<_>>().join("/"),
        EdgeCount::All(_) => "all layers".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::SpaceName;

    fn refused(request: FrontRequest) -> String {
        request.check(&Config::default()).unwrap_err().to_string()
    }

    #[test]
    fn impossible_networks_are_refused() {
        let widths = |widths: &[f64]| FrontRequest {
            widths: widths.to_vec(),
            ..FrontRequest::default()
        };
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(widths(&[1.0, width])).contains("expected a number above 0"));
        }
        assert!(refused(widths(&[0.01])).contains("turns 16 channels into 0"));
        assert!(refused(widths(&[1e9])).contains("a network has from 2 to 4096"));
        assert_eq!(refused(widths(&[1.0, 0.5, 1.0])), "a width of 1 is requested twice");
        let cells = FrontRequest {
            cells: vec![5, 5],
            ..FrontRequest::default()
        };
        assert_eq!(refused(cells), "a network of 5 cells is requested twice");
        let limits = FrontRequest {
            limits: vec![(Resource::Size, 1e5); 2],
            ..FrontRequest::default()
        };
        assert!(refused(limits).starts_with("a limit of 100000 bytes of weights"));
        let depths = FrontRequest {
            depths: vec![EdgeCount::Uniform(2)],
            ..FrontRequest::default()
        };
        assert!(refused(depths.clone()).contains("vary the number of cells"));
        let mut skips = Config::default();
        (skips.space.name, skips.space.skip) = (SpaceName::Mobile, true);
        assert!(matches!(depths.check(&skips), Err(FrontError::Skip)));
        assert!(FrontRequest::default().check(&Config::default()).is_ok());
    }
}
