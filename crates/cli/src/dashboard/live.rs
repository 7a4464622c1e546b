//! The dashboard of a run in this process: a separate thread draws and reads the keys. The run
//! reports every step to it and asks it for the user's requests.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use da2s_report::run::Follow;

use super::screen::{self, Screen};
use super::{Driver, INTERRUPT, Now, show};
use crate::failure::Failure;
use crate::interrupt::StopFlag;

/// How long a message stays.
const MESSAGE: Duration = Duration::from_secs(4);

/// The dashboard while it is shown.
#[derive(Debug)]
pub struct Dashboard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

/// State shared by the thread and the run.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signals that the user no longer wants the run to wait.
    woken: Condvar,
    stop: StopFlag,
}

#[derive(Debug, Default)]
struct State {
    now: Now,
    paused: bool,
    wants_checkpoint: bool,
    message: Option<(String, Instant)>,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete, so the state is valid even if a thread panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dashboard {
    /// Takes over the terminal and shows the run in `run_dir`, which `stop` stops.
    ///
    /// # Errors
    /// If there is no terminal, or no run in the directory.
    pub fn start(run_dir: &Path, stop: StopFlag) -> Result<Self, Failure> {
        let mut follow = Follow::new(run_dir)?;
        let screen = Screen::take()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            woken: Condvar::new(),
            stop,
        });
        let mut driver = Keys(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || show(screen, &mut follow, &mut driver))
            .map_err(screen::refused)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Reports the progress of the run.
    pub fn tell(&self, now: Now) {
        self.shared.state().now = now;
    }

    /// Shows `text` for a few seconds.
    pub fn message(&self, text: &str) {
        self.shared.state().message = Some((text.to_owned(), Instant::now()));
    }

    /// Waits while the run is paused, and returns for how long. A request for a checkpoint or to
    /// stop ends the wait, so that the run can act on it.
    pub fn wait(&self) -> Duration {
        let began = Instant::now();
        let mut state = self.shared.state();
        while state.paused && !state.wants_checkpoint && !self.shared.stop.is_raised() && !self.has_ended() {
            // Wakes up regularly, because signals raise the flag without notifying the condition
            // variable.
            let woken = self.shared.woken.wait_timeout(state, Duration::from_millis(100));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        began.elapsed()
    }

    /// Like [`Self::wait`], right after a checkpoint was written. All requests for a checkpoint are
    /// then fulfilled, and `text` is shown as the answer.
    pub fn wait_after_checkpoint(&self, text: &str) -> Duration {
        let began = Instant::now();
        loop {
            if self.takes_checkpoint() {
                self.message(text);
            }
            self.wait();
            if !self.shared.state().wants_checkpoint {
                return began.elapsed();
            }
        }
    }

    /// Whether the user requested a checkpoint; clears the request.
    pub fn takes_checkpoint(&self) -> bool {
        std::mem::take(&mut self.shared.state().wants_checkpoint)
    }

    /// Restores the terminal. Returns the error if the dashboard failed.
    pub fn close(&mut self) -> Option<Failure> {
        self.shared.state().ended = true;
        let ended = self.thread.take()?.join();
        screen::give_back();
        match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            // The panic message was already written.
            Err(_) => Some(Failure::internal()),
        }
    }

    /// Whether the dashboard has ended by itself, so that nothing is shown and no key can end a
    /// wait.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// The keys while a run is shown.
struct Keys(Arc<Shared>);

impl Driver for Keys {
    fn now(&mut self, _: &Follow) -> Now {
        let state = self.0.state();
        let mut now = state.now.clone();
        if self.0.stop.is_raised() {
            now.word = format!("{} (stopping)", now.word);
        } else if state.paused {
            now.word = format!("{} (paused)", now.word);
            now.left = None;
        }
        now
    }

    fn message(&self, _: &Follow) -> Option<String> {
        let state = self.0.state();
        let recent = state.message.as_ref().filter(|(_, since)| since.elapsed() < MESSAGE);
        recent.map(|(text, _)| text.clone())
    }

    fn keys(&self) -> &'static [(&'static str, &'static str)] {
        &[("p", "pause"), ("c", "checkpoint"), ("s", "stop")]
    }

    fn press(&mut self, key: char) {
        let mut state = self.0.state();
        let say = match key {
            'p' | ' ' => {
                state.paused = !state.paused;
                if state.paused {
                    "pausing after this step; p continues"
                } else {
                    "continuing"
                }
            }
            'c' => {
                state.wants_checkpoint = true;
                "a checkpoint is written after this step"
            }
            's' => {
                self.0.stop.raise();
                "stopping after this step; --resume continues later; press Ctrl-C to abort now"
            }
            INTERRUPT => {
                drop(state);
                self.0.stop.interrupt();
                return;
            }
            _ => return,
        };
        state.message = Some((say.to_owned(), Instant::now()));
        drop(state);
        self.0.woken.notify_all();
    }

    fn ended(&self) -> bool {
        self.0.state().ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dashboard whose thread draws nothing and runs until it is closed, and its keys.
    fn dashboard() -> (Dashboard, Keys) {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            woken: Condvar::new(),
            stop: StopFlag::default(),
        });
        let (ours, keys) = (Arc::clone(&shared), Keys(Arc::clone(&shared)));
        let thread = std::thread::spawn(move || {
            while !ours.state().ended {
                std::thread::yield_now();
            }
            Ok(())
        });
        let thread = Some(thread);
        (Dashboard { shared, thread }, keys)
    }

    #[test]
    fn a_paused_run_waits_until_it_is_continued() {
        let (dashboard, mut keys) = dashboard();
        dashboard.wait();
        keys.press('p');
        let (told, waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                dashboard.wait();
                told.send(keys.0.state().paused).unwrap();
            });
            // Whichever thread is faster, the wait ends only after the second press.
            Keys(Arc::clone(&keys.0)).press('p');
            assert!(!waiting.recv().unwrap());
        });
    }

    #[test]
    fn a_paused_run_still_writes_a_checkpoint_and_stops() {
        let (mut dashboard, mut keys) = dashboard();
        keys.press('p');
        keys.press('c');
        dashboard.wait();
        assert!(dashboard.takes_checkpoint() && !dashboard.takes_checkpoint());
        keys.press('s');
        dashboard.wait();
        assert!(dashboard.shared.stop.is_raised());
        assert!(dashboard.close().is_none());
    }

    #[test]
    fn a_request_at_the_end_of_an_epoch_is_fulfilled_and_the_run_stays_paused() {
        let (dashboard, mut keys) = dashboard();
        keys.press('c');
        dashboard.wait_after_checkpoint("written");
        let told = dashboard.shared.state().message.clone().map(|(text, _)| text);
        assert_eq!(told.as_deref(), Some("written"));
        assert!(!dashboard.takes_checkpoint());
        keys.press('p');
        keys.press('c');
        std::thread::scope(|scope| {
            scope.spawn(|| {
                dashboard.wait_after_checkpoint("written again");
                // The request for a checkpoint did not end the wait. The second press of `p` did.
                assert!(!keys.0.state().paused);
            });
            let ended = || {
                dashboard
                    .shared
                    .state()
                    .message
                    .clone()
                    .is_some_and(|(text, _)| text == "written again")
            };
            while !ended() {
                std::thread::yield_now();
            }
            Keys(Arc::clone(&keys.0)).press('p');
        });
    }

    #[test]
    fn other_keys_do_not_stop_a_run() {
        let (dashboard, mut keys) = dashboard();
        for key in ['q', super::super::ESCAPE, 'x'] {
            keys.press(key);
        }
        assert!(!dashboard.shared.stop.is_raised());
    }

    #[test]
    fn a_run_does_not_wait_for_a_dashboard_that_has_gone() {
        let (mut dashboard, mut keys) = dashboard();
        keys.press('p');
        assert!(dashboard.close().is_none());
        dashboard.wait();
    }
}
