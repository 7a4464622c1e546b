//! Runs a stage: it computes in its own threads without the interpreter lock, while the calling
//! thread handles its events.
//!
//! Contract: events are handled in the calling thread, in order. An exception there, including
//! Ctrl-C, stops the stage after the current step and is raised when it has stopped; the run can
//! then be resumed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use da2s::Error;
use da2s::observer::{Event, Observer, Warning};
use pyo3::prelude::*;
use rayon::ThreadPool;
use serde_json::{json, to_string};

use crate::errors::{exception, raised};
use crate::hints::with_hints;

/// How often Python's signals are checked while there are no events.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An event.
enum Told {
    /// The name of a class of `da2s.progress`, and its fields as JSON.
    Progress(&'static str, String),
    Warning(Warning),
}

/// The observer in the computing threads.
struct Teller<'a> {
    sender: SyncSender<Told>,
    /// Whether there is a listener for progress.
    has_listener: bool,
    stop: &'a AtomicBool,
}

/// Runs `work` in `threads`; `listener` is called with the class and the fields of each event.
///
/// # Errors
/// The exception raised by the listener or a signal; otherwise that of the stage.
pub fn listen<T: Send>(
    py: Python<'_>,
    threads: &ThreadPool,
    listener: Option<&Py<PyAny>>,
    work: impl FnOnce(&mut dyn Observer) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (sender, receiver) = sync_channel(1);
    let mut teller = Teller {
        sender,
        has_listener: listener.is_some(),
        stop: &stop,
    };
    let (done, heard) = py.detach(|| {
        // The receiver is moved, because two threads cannot share it.
        let receiver = receiver;
        thread::scope(|scope| {
            let worker = scope.spawn(|| threads.install(move || work(&mut teller)));
            let heard = hear(&receiver, listener, &stop);
            (worker.join(), heard)
        })
    });
    match (done, heard) {
        (Err(_), _) => Err(exception(
            py,
            "InternalError",
            "this is a defect of da2s; please report it with the lines above",
        )),
        (Ok(_), Err(exception)) => Err(exception),
        (Ok(Err(error)), Ok(())) => Err(raised(py, &error)),
        (Ok(Ok(done)), Ok(())) => Ok(done),
    }
}

/// Handles events until all senders are gone; returns the first exception.
fn hear(receiver: &Receiver<Told>, listener: Option<&Py<PyAny>>, stop: &AtomicBool) -> PyResult<()> {
    let mut first = Ok(());
    loop {
        let told = match receiver.recv_timeout(LOOK_EVERY) {
            Ok(told) => Some(told),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return first,
        };
        let heard = Python::attach(|py| {
            py.check_signals()?;
            match told {
                // After an exception, the remaining events are dropped.
                Some(told) if first.is_ok() => told.tell(py, listener),
                _ => Ok(()),
            }
        });
        if heard.is_err() && first.is_ok() {
            stop.store(true, Ordering::Relaxed);
            first = heard;
        }
    }
}

impl Told {
    fn tell(self, py: Python<'_>, listener: Option<&Py<PyAny>>) -> PyResult<()> {
        match (self, listener) {
            (Self::Warning(warning), _) => warn(py, &warning),
            (Self::Progress(class, fields), Some(listener)) => listener.call1(py, (class, fields)).map(drop),
            (Self::Progress(..), None) => Ok(()),
        }
    }
}

/// Issues a warning to the caller of the da2s function.
///
/// # Errors
/// The exception, if Python's filters turn the warning into one.
pub fn warn(py: Python<'_>, warning: &Warning) -> PyResult<()> {
    let text = with_hints(&warning.text, &warning.hints);
    py.import("da2s.caller")?.getattr("warn")?.call1((text,)).map(drop)
}

impl Teller<'_> {
    fn tell(&self, told: Told) {
        // The receiver lives until this thread has ended.
        let _ = self.sender.send(told);
    }
}

impl Observer for Teller<'_> {
    fn on(&mut self, event: Event<'_>) {
        let (class, fields) = match event {
            Event::Warning(warning) => {
                self.tell(Told::Warning(warning));
                return;
            }
            _ if !self.has_listener => return,
            Event::Started {
                stage,
                epochs,
                resumed_at,
            } => (
                "Started",
                Ok(json!({ "stage": stage.name(), "epochs": epochs, "resumed_at": resumed_at }).to_string()),
            ),
            Event::Step {
                stage,
                epoch,
                step,
                steps,
                loss,
                accuracy,
            } => (
                "Step",
                Ok(json!({
                    "stage": stage.name(),
                    "epoch": epoch,
                    "step": step,
                    "steps": steps,
                    "loss": loss,
                    "accuracy": accuracy,
                })
                .to_string()),
            ),
            Event::SearchEpoch(metrics) => ("SearchEpoch", to_string(metrics)),
            Event::TuningEpoch(metrics) => ("TuningEpoch", to_string(metrics)),
            Event::TrainEpoch(metrics) => ("TrainEpoch", to_string(metrics)),
            Event::Gap(gap) => ("Gap", to_string(gap)),
            Event::Widened(widened) => ("Widened", to_string(widened)),
            Event::NewLength { done, epochs, before } => (
                "NewLength",
                Ok(json!({ "done": done, "epochs": epochs, "before": before }).to_string()),
            ),
            Event::Seed { seed, place, trainings } => (
                "Seed",
                Ok(json!({ "seed": seed, "place": place, "trainings": trainings }).to_string()),
            ),
            Event::Baseline { network, channels } => (
                "Baseline",
                Ok(json!({ "network": network, "channels": channels }).to_string()),
            ),
            Event::FrontNetwork { name, place, networks } => (
                "FrontNetwork",
                Ok(json!({ "name": name, "place": place, "networks": networks }).to_string()),
            ),
            // Checkpoints are not reported here.
            Event::Checkpoint { .. } => return,
        };
        // Numbers and names, whose serialisation cannot fail.
        if let Ok(fields) = fields {
            self.tell(Told::Progress(class, fields));
        }
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
