//! The dashboard: a run on a terminal, with keys. `da2s run --tui` shows it in a thread next to the
//! run (`live.rs`), `da2s watch` for a run in another process.
//!
//! Contract: its data about completed epochs comes from the run directory, which it only reads; the
//! terminal is restored whenever it ends, except when memory is exhausted.

mod board;
mod curves;
mod draw;
mod edges;
mod live;
pub mod screen;
mod theme;

use std::time::{Duration, Instant};

use da2s_report::run::Follow;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::failure::Failure;
use board::{Board, View};
use screen::Screen;
use theme::Theme;

pub use board::Now;
pub use live::Dashboard;

/// How long to wait for a key before the next redraw.
const FRAME: Duration = Duration::from_millis(150);
/// How often the run directory is read.
const LOOK: Duration = Duration::from_millis(500);

/// Keys that only change the view.
const VIEW_KEYS: [(&str, &str); 2] = [("Tab", "panel"), ("↑↓", "edges")];

/// Controls a dashboard.
pub trait Driver {
    /// The current progress of the run.
    fn now(&mut self, follow: &Follow) -> Now;

    /// A message to show.
    fn message(&self, follow: &Follow) -> Option<String>;

    /// Keys in addition to those of the view, with their descriptions.
    fn keys(&self) -> &'static [(&'static str, &'static str)];

    /// Handles `key`.
    fn press(&mut self, key: char);

    /// Whether to close the dashboard.
    fn ended(&self) -> bool;
}

/// Shows the run that `follow` reads until `driver` closes it.
///
/// # Errors
/// An error of the terminal; a damaged run directory.
pub fn show(mut screen: Screen, follow: &mut Follow, driver: &mut dyn Driver) -> Result<(), Failure> {
    let (theme, mut view, mut looked) = (Theme::of_environment(), View::default(), Instant::now());
    let keys: Vec<_> = driver.keys().iter().chain(&VIEW_KEYS).copied().collect();
    while !driver.ended() {
        if looked.elapsed() >= LOOK {
            follow.poll()?;
            looked = Instant::now();
        }
        let (now, message) = (driver.now(follow), driver.message(follow));
        let board = Board {
            run: follow.run(),
            now: &now,
            view: &view,
            message: message.as_deref(),
            keys: &keys,
            theme,
        };
        screen
            .draw(|frame| draw::draw(frame, &board))
            .map_err(screen::refused)?;
        for event in screen::events(FRAME).map_err(screen::refused)? {
            match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => pressed(key, &mut view, driver),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Handles the keys of the view, and passes letters, Esc and Ctrl-C to the driver. (Raw mode
/// delivers Ctrl-C as an ordinary key.) Other letters with Ctrl or Alt are ignored, since they have
/// other meanings: Ctrl-S, for example, pauses a terminal.
fn pressed(key: KeyEvent, view: &mut View, driver: &mut dyn Driver) {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => driver.press(INTERRUPT),
        KeyCode::Char(letter) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            driver.press(letter);
        }
        KeyCode::Esc => driver.press(ESCAPE),
        KeyCode::Tab | KeyCode::Right => {
            *view = View {
                panel: view.panel + 1,
                scroll: 0,
            }
        }
        // The first panel has no predecessor, so it stays.
        KeyCode::BackTab | KeyCode::Left => {
            *view = View {
                panel: view.panel.saturating_sub(1),
                scroll: 0,
            }
        }
        KeyCode::Down => view.scroll = (view.scroll + 1).min(MOST_ROWS),
        KeyCode::Up => view.scroll = view.scroll.saturating_sub(1),
        _ => {}
    }
}

/// Ctrl-C.
pub const INTERRUPT: char = '\u{3}';
/// Esc.
pub const ESCAPE: char = '\u{1b}';
/// More edges than any space has.
const MOST_ROWS: usize = 4096;

#[cfg(test)]
mod tests;
