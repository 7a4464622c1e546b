//! Colours of the dashboard: few, and safe for colour-blind users. There are no colours if the user
//! does not want any (<https://no-color.org>).

use ratatui::style::{Color, Style};

/// The style of each element.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// With colours, unless `NO_COLOR` is set and not empty.
    pub fn of_environment() -> Self {
        Self {
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Names and headings.
    pub fn strong(self) -> Style {
        Style::new().bold()
    }

    /// Secondary text.
    pub fn faint(self) -> Style {
        Style::new().dim()
    }

    /// Errors.
    pub fn alarm(self) -> Style {
        self.coloured(Color::LightRed).bold()
    }

    /// The curve or bar with this index.
    pub fn series(self, index: usize) -> Style {
        self.coloured([Color::Cyan, Color::Yellow, Color::Magenta][index % 3])
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    #[cfg(test)]
    pub(super) fn coloured_or_not(colour: bool) -> Self {
        Self { colour }
    }
}
