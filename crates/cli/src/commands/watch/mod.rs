//! `da2s watch`: a run of another process, on the terminal or as a page. Only reads.

pub mod address;
mod pages;
mod request;
mod server;

use std::time::SystemTime;

use da2s_report::run::Follow;

use crate::args::WatchArguments;
use crate::dashboard::screen::Screen;
use crate::dashboard::{Driver, ESCAPE, INTERRUPT, Now, show};
use crate::exit::Failure;
use crate::interrupt::StopFlag;

/// Watches until the user has seen enough.
///
/// # Errors
/// If the directory holds no run, a file in it is damaged; no terminal; an address that cannot be listened on.
pub fn execute(arguments: &WatchArguments) -> Result<(), Failure> {
    let mut follow = Follow::new(&arguments.run)?;
    match arguments.http {
        Some(address) => server::serve(&arguments.run, follow, address),
        None => {
            let stop = StopFlag::on_interrupt();
            show(Screen::take()?, &mut follow, &mut Watcher { stop })
        }
    }
}

/// Somebody who looks on.
struct Watcher {
    stop: StopFlag,
}

impl Driver for Watcher {
    fn now(&mut self, follow: &Follow) -> Now {
        Now::of_files(follow, SystemTime::now())
    }

    fn message(&self, follow: &Follow) -> Option<String> {
        follow.failure().map(str::to_owned)
    }

    fn keys(&self) -> &'static [(&'static str, &'static str)] {
        &[("q", "quit")]
    }

    fn press(&mut self, key: char) {
        if ['q', ESCAPE, INTERRUPT].contains(&key) {
            self.stop.raise();
        }
    }

    fn ended(&self) -> bool {
        self.stop.is_raised()
    }
}
