//! The table of a discretization.

use da2s::run::Discretized;

use super::{Lines, gap};

/// The table of a discretization, with the genotype.
pub fn of_discretization(discretized: &Discretized) -> String {
    let mut table = Lines::default();
    if let Some(gap_rows) = &discretized.gap {
        let row = &gap_rows.as_trained;
        table.percent("super-network", row.supernet, "held-out training images");
        table.percent("  operations discretized", row.operations, "");
        table.percent("  edges discretized", row.edges, "");
        table.percent("discretized", row.both, &gap(gap_rows.points()));
        table.percent("  statistics recalibrated", gap_rows.recalibrated.both, "");
        if let Some(tuned) = gap_rows.tuned {
            table.percent("  weights tuned", Some(tuned), "after each decision");
        }
    }
    table.widened(discretized.widened.as_ref());
    table.count("parameters", Some(discretized.cost.parameters));
    table.count("multiply-adds", Some(discretized.cost.multiply_adds));
    table.device(&discretized.cost.on_device);
    if discretized.gap.is_some() {
        let decision = &discretized.decision;
        let undecided = &decision.texts();
        table.decision(
            undecided.is_empty(),
            decision.p_least.into(),
            decision.q_least.into(),
            undecided,
        );
    }
    table.text + &format!("\n{}\n", discretized.genotype)
}
