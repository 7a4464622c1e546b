//! Ctrl-C: the first press asks the library to stop after the step under way, the second aborts at
//! once.
//!
//! Contract: nothing that blocks keeps the second from ending the program, a standard error that
//! nobody reads among it. So a thread of its own tells the user, and the end does not wait for the
//! terminal for longer than [`GOODBYE`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::dashboard::screen;
use crate::exit::Code;
use crate::terminal::tell;

/// How long the terminal has to take back what the dashboard did to it.
const GOODBYE: Duration = Duration::from_millis(500);

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    raised: Arc<AtomicBool>,
    /// Whether another process tells the user.
    silent: bool,
}

impl StopFlag {
    /// A flag that Ctrl-C, and a request of the system to terminate, raises, with a word to the
    /// user.
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
            within(GOODBYE, screen::give_back);
            abort(Code::Stopped);
        }
        // The dashboard says it in its own way.
        if !self.silent && !screen::is_taken() {
            within(GOODBYE, || {
                tell("da2s: stopping after this step; press Ctrl-C again to abort now");
            });
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

/// Does `work` in a thread of its own, and waits for it for so long at most.
fn within(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        work();
        // Nobody waits any longer.
        let _ = done.send(());
    });
    if worker.is_ok() {
        let _ = ended.recv_timeout(patience);
    }
}

/// Ends the process without writing what is still in its buffers, which could block.
#[cfg(unix)]
pub fn abort(code: Code) -> ! {
    signal_hook::low_level::exit(code.number())
}

#[cfg(not(unix))]
pub fn abort(code: Code) -> ! {
    std::process::exit(code.number())
}

/// Makes a write beyond the limit on the size of files (`ulimit -f`) an error like that of a full
/// disk, where the system would end the process by SIGXFSZ.
#[cfg(unix)]
pub fn survive_file_limits() {
    // Whether it came says nothing that the failed write does not say.
    let came = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, came) {
        tell(&format!(
            "da2s: a limit on the size of files will end the program without a word: {error}"
        ));
    }
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub fn survive_file_limits() {}
