//! The contents of the dashboard: the run as its directory describes it, its current progress, and
//! the user's view settings. Drawing is a pure function of these.

use std::time::{Duration, SystemTime};

use da2s_records::{Epochs, State};
use da2s_report::run::{ArchCell, Follow, Run};

use super::theme::Theme;

/// Everything that is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its current progress.
    pub now: &'a Now,
    /// The user's view settings.
    pub view: &'a View,
    /// A message for the user, shown instead of the keys.
    pub message: Option<&'a str>,
    /// The keys and what they do.
    pub keys: &'a [(&'static str, &'static str)],
    /// Colours.
    pub theme: Theme,
}

/// The current progress of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// The current activity in one word: a stage, `paused`, `finished`, `failed`.
    pub word: String,
    /// Current epoch, from 1, and the number of epochs.
    pub epoch: Option<(usize, usize)>,
    /// Current step of the epoch, from 1, and the number of steps.
    pub step: Option<(usize, usize)>,
    /// Mean loss in this epoch so far.
    pub loss: Option<f64>,
    /// Training accuracy in this epoch so far, percent.
    pub accuracy: Option<f64>,
    /// Time left in the run; of a run in another process, only in its current stage.
    pub left: Option<Duration>,
}

impl Now {
    /// Completed fraction of the stage, 0 to 1.
    pub fn share(&self) -> Option<f64> {
        let (epoch, epochs) = self.epoch?;
        let steps = self.step.map_or(0.0, |(step, steps)| step as f64 / steps.max(1) as f64);
        Some((((epoch - 1) as f64 + steps) / epochs.max(1) as f64).clamp(0.0, 1.0))
    }

    /// The progress of a run in another process, determined from its directory.
    pub fn of_files(follow: &Follow, at: SystemTime) -> Self {
        let run = follow.run();
        let quiet = follow
            .last_change()
            .and_then(|change| at.duration_since(change).ok())
            .unwrap_or_default();
        let word = |word: &str| Self {
            word: word.to_owned(),
            ..Self::default()
        };
        let last = |times: &mut dyn Iterator<Item = f64>| {
            let last: Vec<f64> = times.take(5).collect();
            (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
        };
        let going = |name: &str, Epochs { done, planned }: Epochs, epoch_s: Option<f64>| {
            let quiet_s = quiet.as_secs_f64();
            // A run that has written nothing for so long has probably ended, so no time left can be
            // given.
            let epoch_s = epoch_s.filter(|epoch_s| quiet_s <= QUIET_EPOCHS * epoch_s);
            let left_s = epoch_s.map(|epoch_s| (planned - done) as f64 * epoch_s - quiet_s.min(epoch_s));
            Self {
                word: name.to_owned(),
                epoch: Some(((done + 1).min(planned), planned)),
                // Times in a damaged file may be too large for a `Duration`.
                left: left_s.and_then(|left_s| Duration::try_from_secs_f64(left_s.max(0.0)).ok()),
                ..Self::default()
            }
        };
        match run.state() {
            State::Failed(_) => word("failed"),
            State::Finished => word("finished"),
            State::Trained => word("evaluate"),
            State::Training(epochs) => going("train", epochs, last(&mut follow.train_times().rev())),
            State::Discretized => word("train"),
            State::Searched(Epochs { done, planned }) => {
                let extra = (extra_epochs(run) * planned as f64).round() as usize;
                if done >= planned.saturating_add(extra) {
                    return word("discretize");
                }
                // The search takes as many extra epochs as it needs, so the end is unknown.
                Self {
                    epoch: Some((done + 1, done + 1)),
                    ..word("search")
                }
            }
            State::Searching(epochs) => going("search", epochs, last(&mut follow.search_times().rev())),
            State::Begun => word("search"),
        }
    }
}

/// Epochs without an update after which no time left is shown.
const QUIET_EPOCHS: f64 = 3.0;

/// Extra epochs that a search may take, as a fraction of its planned epochs.
fn extra_epochs(run: &Run) -> f64 {
    let config: Option<toml::Table> = run.config.as_deref().and_then(|text| text.parse().ok());
    let share = config
        .as_ref()
        .and_then(|config| config.get("search")?.get("extra_epochs"));
    share.and_then(toml::Value::as_float).unwrap_or(0.0)
}

/// The user's view settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Index of the current panel, which may exceed the number of panels and then wraps around; if
    /// all panels fit, the one that scrolls.
    pub panel: usize,
    /// Number of rows of edges that are scrolled past.
    pub scroll: usize,
}

impl Board<'_> {
    /// The last α and β, by kind of cell.
    pub fn cells(&self) -> Vec<(&str, &ArchCell)> {
        let last = self.run.architecture.last();
        last.iter()
            .flat_map(|epoch| &epoch.cells)
            .map(|(kind, cell)| (kind.as_str(), cell))
            .collect()
    }
}
