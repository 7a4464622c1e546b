//! `cost.json`: parameters and multiply-adds of the final network, part by part.

use serde::{Deserialize, Serialize};

/// More entries than any network has.
const MOST_PARTS: usize = 1 << 14;

/// The cost of the final network, part by part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Side of an image in pixels.
    pub image_size: Option<usize>,
    /// One entry per part and operation, in the order of the network. They sum to the parameters
    /// and multiply-adds of `genotype.json`.
    pub parts: Vec<PartCost>,
}

/// The cost of one operation, or of everything that is not searched, in one part of the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartCost {
    /// Name of the part, such as `cells.3`.
    pub part: String,
    /// Kind of the part: `stem`, `normal`, `reduction`, `residual` or `head`.
    pub kind: String,
    /// The operation, on all edges that have it; `None` for everything that is not searched, which
    /// in a cell is the preprocessing of its inputs.
    pub operation: Option<String>,
    /// Number of weights.
    pub parameters: u64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}

impl Costs {
    /// Checks that the entries can be summed.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        if self.parts.len() > MOST_PARTS {
            return Err(format!("{} parts, more than {MOST_PARTS}", self.parts.len()));
        }
        for of in [|part: &PartCost| part.parameters, |part: &PartCost| part.multiply_adds] {
            let sum = self.parts.iter().try_fold(0u64, |sum, part| sum.checked_add(of(part)));
            if sum.is_none() {
                return Err("the parts sum to more than can be counted".to_owned());
            }
        }
        Ok(())
    }
}
