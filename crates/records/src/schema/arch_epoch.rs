//! A line of `search/arch.jsonl`: α, β and the mixture weights p and q after an epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::single;

/// All spaces have few nodes. If the index of a node is not below this number, the file is damaged,
/// and its picture would be far too large.
pub const MOST_NODES: usize = 64;

/// The mixture of every cell kind after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchEpoch {
    /// Epoch; 0 is before training.
    pub epoch: usize,
    /// Cell kind → its mixture.
    pub cells: BTreeMap<String, ArchCell>,
}

/// The mixture of one cell kind. `edges`, `p`, `q` have one entry per edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchCell {
    /// (from, to) of each edge, from < to.
    pub edges: Vec<(usize, usize)>,
    /// The group of each edge, within which edges compete; absent if the edges into a node compete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<usize>,
    /// Names of the candidate operations.
    pub operations: Vec<String>,
    /// Architecture parameters of the operations, `[edges][operations]`; may be absent.
    #[serde(default, serialize_with = "single::option_rows")]
    pub alpha: Vec<Vec<Option<f64>>>,
    /// Architecture parameter of each edge, `None` if its node has no β; may be absent.
    #[serde(default, serialize_with = "single::options")]
    pub beta: Vec<Option<f64>>,
    /// Operation weights, `[edges][operations]`. NaN if the search diverged.
    #[serde(serialize_with = "single::rows", deserialize_with = "rows_or_nan")]
    pub p: Vec<Vec<f64>>,
    /// Edge weights, `[edges]`. NaN if the search diverged.
    #[serde(serialize_with = "single::row", deserialize_with = "row_or_nan")]
    pub q: Vec<f64>,
}

impl ArchEpoch {
    /// Whether every weight is finite.
    pub fn is_finite(&self) -> bool {
        self.cells.values().all(|cell| {
            cell.q
                .iter()
                .chain(cell.p.iter().flatten())
                .all(|weight| weight.is_finite())
        })
    }

    /// Checks the shapes, and that cells, edges and operations are those of the first epoch.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self, first: Option<&Self>) -> Result<(), String> {
        for (kind, cell) in &self.cells {
            cell.check().map_err(|reason| format!("cell {kind}: {reason}"))?;
        }
        let same_cells = first.is_none_or(|first| {
            first.cells.len() == self.cells.len()
                && first.cells.iter().all(|(kind, cell)| {
                    let other = self.cells.get(kind);
                    other.is_some_and(|other| other.edges == cell.edges && other.operations == cell.operations)
                })
        });
        if same_cells {
            Ok(())
        } else {
            Err("cells, edges or operations differ from those of the first line".to_owned())
        }
    }
}

impl ArchCell {
    /// Edge weights that sum to 1 in each group, whatever the writer stores for a group without β.
    pub fn shares(&self) -> Vec<f64> {
        let groups: Vec<usize> = (0..self.edges.len()).map(|edge| self.group(edge)).collect();
        let sum_of = |group: usize| -> f64 {
            let own = groups.iter().zip(&self.q).filter(|(other, _)| **other == group);
            own.map(|(_, q)| *q).sum()
        };
        groups
            .iter()
            .zip(&self.q)
            .map(|(group, q)| q / sum_of(*group))
            .collect()
    }

    /// Identifies the group of an edge: its number, or the end node of the edge.
    fn group(&self, edge: usize) -> usize {
        self.groups.get(edge).copied().unwrap_or(self.edges[edge].1)
    }

    fn check(&self) -> Result<(), String> {
        let (edges, operations) = (self.edges.len(), self.operations.len());
        if let Some((from, to)) = self.edges.iter().find(|(from, to)| from >= to || *to >= MOST_NODES) {
            return Err(format!("no such edge as {from} to {to}"));
        }
        if operations == 0 {
            return Err("no operations".to_owned());
        }
        if !self.groups.is_empty() && self.groups.len() != edges {
            return Err(format!("{edges} edges, but groups has {} entries", self.groups.len()));
        }
        if self.q.len() != edges || self.p.len() != edges {
            return Err(format!(
                "{edges} edges, but p has {} rows and q {} entries",
                self.p.len(),
                self.q.len()
            ));
        }
        if let Some(row) = self.p.iter().find(|row| row.len() != operations) {
            return Err(format!(
                "{operations} operations, but a row of p has {} entries",
                row.len()
            ));
        }
        Ok(())
    }
}

/// JSON has no NaN, so writers use `null`; a diverged search must still have a report.
fn row_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let row = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(row.into_iter().map(|weight| weight.unwrap_or(f64::NAN)).collect())
}

/// [`row_or_nan`] for each row.
fn rows_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Vec::<Vec<Option<f64>>>::deserialize(deserializer)?;
    let numbers = |row: Vec<Option<f64>>| row.into_iter().map(|weight| weight.unwrap_or(f64::NAN)).collect();
    Ok(rows.into_iter().map(numbers).collect())
}
