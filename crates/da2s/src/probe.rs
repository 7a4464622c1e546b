//! Measures the phases of a step: steps report the end of each phase.
//!
//! Contract: only a benchmark listens; without a listener a report does nothing.

use std::fmt;
use std::sync::Arc;

/// Receives the reports of the steps of a search or a training.
#[derive(Clone, Default)]
pub struct Probe {
    listener: Option<Arc<dyn Fn(&'static str) + Send + Sync>>,
}

impl Probe {
    /// Calls `listener` with the name of each phase when it ends. A phase begins when the previous
    /// one ends.
    pub fn new(listener: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self {
            listener: Some(Arc::new(listener)),
        }
    }

    /// Reports the end of `phase`.
    pub(crate) fn ended(&self, phase: &'static str) {
        if let Some(listener) = &self.listener {
            listener(phase);
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.listener.is_some() { "Probe" } else { "no probe" })
    }
}
