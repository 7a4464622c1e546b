//! Ctrl-C: the first press asks the library to stop after the step under way, the second aborts at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dashboard::screen;
use crate::terminal::tell;

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    raised: Arc<AtomicBool>,
    /// Whether another process tells the user.
    silent: bool,
}

impl StopFlag {
    /// A flag that Ctrl-C, and a request of the system to terminate, raises, with a word to the user.
    pub fn on_interrupt() -> Self {
        Self::listening(false)
    }

    /// As [`Self::on_interrupt`], where another process has the word.
    pub fn on_interrupt_silent() -> Self {
        Self::listening(true)
    }

    fn listening(silent: bool) -> Self {
        let flag = Self {
            silent,
            ..Self::default()
        };
        let raised = flag.clone();
        if let Err(error) = ctrlc::set_handler(move || raised.interrupt()) {
            // Without a handler Ctrl-C still ends the program, only less gently.
            tell(&format!("da2s: Ctrl-C will abort without a last checkpoint: {error}"));
        }
        flag
    }

    /// What Ctrl-C does, also where it comes as a key.
    pub fn interrupt(&self) {
        if self.raised.swap(true, Ordering::Relaxed) {
            screen::give_back();
            std::process::exit(130);
        }
        // The dashboard says it in its own way.
        if !self.silent && !screen::is_taken() {
            tell("da2s: stopping after this step; press Ctrl-C again to abort now");
        }
    }

    /// Raises it.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}
