//! The settings of a search space.

use da2s_settings::{Allowed, Problem, Setting, settings, whole};

use crate::{Operation, Space, SpaceName, darts_operations};

/// Candidates of a space.
const OPERATIONS: Allowed = Allowed::List {
    item: &Operation::KIND.value(),
    least: 1,
    distinct: true,
};

settings! {
    /// The search space: what an architecture may become.
    pub struct SpaceSettings {
        /// Search space.
        name: SpaceName = SpaceName::Darts, named "space";
        /// Whether `none` is a candidate of the DARTS space.
        none: bool = false;
        /// The candidates of the DARTS space in their order; unset takes the space's own.
        operations: Option<Vec<Operation>> = None, in OPERATIONS;
        /// Nodes of a cell of the DARTS space.
        nodes: usize = 4, in whole(1..=32);
    }
}

impl SpaceSettings {
    /// The space that is described.
    pub fn build(&self) -> Space {
        match self.name {
            SpaceName::Darts => {
                let own = self.operations.clone();
                Space::own(self.nodes, own.unwrap_or_else(|| darts_operations(self.none)))
            }
            SpaceName::NasBench201 => Space::nas_bench_201(),
        }
    }

    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// For the first that does not.
    pub fn check(&self) -> Result<(), Problem> {
        let Some(operations) = &self.operations else {
            return Ok(());
        };
        let refused = |value: &str, expected| Err(Problem::refused("space.operations", value, expected));
        if self.name == SpaceName::NasBench201 {
            return refused("set", "no such thing in the space nas-bench-201");
        }
        if self.none {
            let expected = "absent beside space.operations, which names all candidates: put \"none\" in the list";
            return Err(Problem::refused("space.none", true, expected));
        }
        if operations.as_slice() == [Operation::None] {
            return refused("[\"none\"]", "an operation beside none, which is never kept");
        }
        match operations.iter().find(|operation| !self.name.has(**operation)) {
            Some(operation) => refused(
                operation.name(),
                "operations of the DARTS space: those of NAS-Bench-201 cannot reduce",
            ),
            None => Ok(()),
        }
    }
}
