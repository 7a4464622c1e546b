//! Progress on the standard error: a bar on a terminal, otherwise one line per epoch and at least
//! one every 15 seconds; the dashboard with `--tui`; nothing with `--quiet`. With `--tensorboard`
//! every epoch is also written to an event file.
//!
//! Contract: warnings are always shown, on a line that is safe for a terminal; of several MPI
//! processes only one reports.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use da2s::observer::{Event, Observer, Warning};
use da2s::planner::StageTime;
use da2s::stage::Stage;
use da2s_records::counted;
use da2s_records::schema::{Gap, SearchEpoch, TrainEpoch, TuningEpoch};
use da2s_report::tensorboard::EventWriter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::{self, Clock};
use crate::dashboard::{Dashboard, Now};
use crate::failure::Failure;
use crate::hints::with_hints;
use crate::interrupt::StopFlag;
use crate::pulse::{Pulse, Status};
use crate::table::decimals;
use crate::terminal::tell;

/// Reports the library's progress to the user.
#[derive(Debug)]
pub struct Progress {
    style: Style,
    stop: StopFlag,
    clock: Clock,
    /// Accuracies and gap of the last epoch of the search, for the bar.
    gap: String,
    /// Writer of TensorBoard events.
    events: Option<EventWriter>,
}

#[derive(Debug)]
enum Style {
    /// Nothing: another process reports.
    Silent,
    /// Only warnings.
    Quiet,
    Lines(Pulse),
    Bar(ProgressBar),
    /// The dashboard, and the lines to print after it is closed.
    Dashboard(Dashboard, Vec<String>),
}

impl Progress {
    /// Progress in the style that suits the standard error and the user's flags.
    pub fn new(quiet: bool, stop: StopFlag) -> Self {
        Self::in_style(
            if quiet {
                Style::Quiet
            } else if io::stderr().is_terminal() {
                Style::Bar(ProgressBar::hidden())
            } else {
                Style::Lines(Pulse::start())
            },
            stop,
        )
    }

    /// Progress in a process that reports nothing, because another does.
    pub fn silent(stop: StopFlag) -> Self {
        Self::in_style(Style::Silent, stop)
    }

    fn in_style(style: Style, stop: StopFlag) -> Self {
        Self {
            style,
            stop,
            clock: Clock::new(),
            gap: String::new(),
            events: None,
        }
    }

    /// Shows the dashboard of the run in `run_dir` from now on.
    ///
    /// # Errors
    /// If there is no terminal.
    pub fn show_dashboard(&mut self, run_dir: &Path) -> Result<(), Failure> {
        let dashboard = Dashboard::start(run_dir, self.stop.clone())?;
        self.style = Style::Dashboard(dashboard, Vec::new());
        Ok(())
    }

    /// Writes every epoch to `events` from now on.
    pub fn write_events(&mut self, events: EventWriter) {
        self.events = Some(events);
    }

    /// Writes new data of the run directory to the event file. If that fails, the run continues
    /// without the file.
    pub fn update_events(&mut self) {
        if let Some(events) = &mut self.events
            && let Err(error) = events.update()
        {
            let failure = Failure::from(error);
            self.events = None;
            self.warn(&format!("no more events for TensorBoard: {}", failure.sentence()));
        }
    }

    /// Removes the bar before other output is printed. The dashboard stays.
    pub fn finish(&self) {
        match &self.style {
            Style::Bar(bar) => bar.finish_and_clear(),
            Style::Silent | Style::Quiet | Style::Lines(_) | Style::Dashboard(..) => {}
        }
    }

    /// Closes the dashboard and prints the lines that it could not show.
    fn close(&mut self) {
        if let Style::Dashboard(dashboard, lines) = &mut self.style {
            let failed = dashboard.close();
            let mut lines = std::mem::take(lines);
            lines.extend(failed.map(|failure| format!("da2s: the dashboard ended: {}", failure.sentence())));
            self.style = Style::Lines(Pulse::start());
            lines.iter().for_each(|line| self.line(line));
        }
    }

    /// Prints a warning, which may contain names of untrusted files. `--quiet` only suppresses
    /// progress, not warnings.
    fn warn(&mut self, text: &str) {
        let text = format!("da2s: {text}");
        if matches!(self.style, Style::Quiet) {
            tell(&text);
        } else {
            self.line(&text);
        }
    }

    /// Prints a permanent line.
    fn line(&mut self, text: &str) {
        match &mut self.style {
            Style::Silent | Style::Quiet => {}
            Style::Dashboard(dashboard, lines) => {
                dashboard.message(text);
                lines.push(text.to_owned());
            }
            Style::Lines(pulse) => pulse.line(text),
            Style::Bar(bar) => bar.suspend(|| tell(text)),
        }
    }

    /// Prints a line for a completed epoch if there is no bar or dashboard.
    fn epoch(&mut self, text: &str) {
        match &self.style {
            Style::Lines(pulse) => pulse.line(&format!("{text}{}", self.left())),
            Style::Silent | Style::Quiet | Style::Bar(_) | Style::Dashboard(..) => {}
        }
    }

    /// A clause with the time left in the run, if there is an estimate.
    fn left(&self) -> String {
        let left = self.clock.left();
        left.map(|left| format!(", {} left", clock::text(left)))
            .unwrap_or_default()
    }

    /// Sets the text of the line that is printed at least every 15 seconds: `text`, and the time
    /// left.
    fn pulse(&self, text: String) {
        if let Style::Lines(pulse) = &self.style {
            let left = self.clock.left();
            pulse.status(Status { text, left });
        }
    }

    /// Whether anything is shown but warnings.
    pub fn is_shown(&self) -> bool {
        !matches!(self.style, Style::Silent | Style::Quiet)
    }

    /// Shows the work before the first stage; without a terminal, only if it takes a while.
    pub fn prepare(&mut self, what: &str) {
        match &mut self.style {
            Style::Silent | Style::Quiet | Style::Lines(_) => {}
            Style::Dashboard(dashboard, _) => dashboard.message(what),
            Style::Bar(bar) => *bar = spinner(what),
        }
        self.pulse(what.to_owned());
    }

    /// Shows the plan of the run, line by line; its stages have these times.
    pub fn plan(&mut self, stages: &[StageTime], lines: &[String]) {
        self.finish();
        self.clock.expect(stages);
        lines.iter().for_each(|line| self.line(line));
    }

    fn started(&mut self, stage: Stage, epochs: usize, resumed_at: usize) {
        self.finish();
        self.clock.start(stage, epochs, resumed_at);
        self.gap.clear();
        let left = self.left();
        match &mut self.style {
            Style::Silent | Style::Quiet => {}
            Style::Dashboard(dashboard, _) => dashboard.tell(Now {
                word: stage.name().to_owned(),
                epoch: (epochs > 0).then_some(((resumed_at + 1).min(epochs), epochs)),
                ..Now::default()
            }),
            // What is over in a moment needs no line.
            Style::Lines(_) if epochs == 0 => {}
            Style::Lines(pulse) => pulse.line(&match resumed_at {
                0 => format!("{}: {epochs} epochs{left}", stage.name()),
                _ if resumed_at < epochs => {
                    format!("{}: resuming after epoch {resumed_at} of {epochs}{left}", stage.name())
                }
                _ => format!("{}: {epochs} epochs are complete{left}", stage.name()),
            }),
            Style::Bar(bar) if epochs == 0 => *bar = spinner(&format!("{}{left}", stage.name())),
            Style::Bar(bar) => {
                *bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(bar_style());
                bar.set_prefix(stage.name());
                bar.enable_steady_tick(TICK);
            }
        }
        self.pulse(stage.name().to_owned());
    }

    /// The number of epochs of the training was changed from `before` to `epochs`.
    fn new_length(&mut self, epochs: usize, before: usize) {
        self.line(&format!(
            "train: {epochs} epochs instead of {before}, to end in the given time"
        ));
        self.clock.change_epochs(epochs);
    }

    fn stepped(&mut self, stage: Stage, epoch: usize, step: usize, steps: usize, loss: f64, accuracy: f64) {
        self.clock.step(epoch, step, steps);
        let clock = &self.clock;
        if let Style::Dashboard(dashboard, _) = &self.style {
            dashboard.tell(Now {
                word: stage.name().to_owned(),
                epoch: Some((epoch, clock.epochs.max(epoch))),
                step: Some((step, steps)),
                loss: Some(loss),
                accuracy: Some(accuracy),
                left: clock.left(),
            });
        }
        if let Style::Bar(bar) = &self.style {
            bar.set_length(clock.steps as u64);
            bar.set_position(clock.steps_done as u64);
            bar.set_prefix(format!("{} {epoch}/{}", stage.name(), clock.epochs));
            let left = clock.left().map(clock::text).unwrap_or_default();
            bar.set_message(format!(
                "loss {loss:.3}  accuracy {accuracy:.1} %{}  {left} left",
                self.gap
            ));
        }
        if matches!(self.style, Style::Lines(_)) {
            self.pulse(format!(
                "{} {epoch}/{}, step {step} of {steps}: loss {loss:.3}, accuracy {accuracy:.1} %",
                stage.name(),
                clock.epochs
            ));
        }
    }

    /// Waits while the user of the dashboard has paused the run.
    fn wait(&mut self) {
        if let Style::Dashboard(dashboard, _) = &self.style {
            self.clock.stood(dashboard.wait());
        }
    }
}

impl Progress {
    /// Like [`Self::wait`], after an epoch, which always writes a checkpoint.
    fn wait_after_epoch(&mut self, epoch: usize) {
        if let Style::Dashboard(dashboard, _) = &self.style {
            let text = format!("checkpoint written after epoch {epoch}");
            self.clock.stood(dashboard.wait_after_checkpoint(&text));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.close();
    }
}

impl Observer for Progress {
    fn on(&mut self, event: Event<'_>) {
        if matches!(&self.style, Style::Dashboard(dashboard, _) if dashboard.has_ended()) {
            self.close();
        }
        match event {
            Event::Started {
                stage,
                epochs,
                resumed_at,
            } => self.started(stage, epochs, resumed_at),
            Event::Step {
                stage,
                epoch,
                step,
                steps,
                loss,
                accuracy,
            } => {
                self.stepped(stage, epoch, step, steps, loss, accuracy);
                self.wait();
            }
            Event::Checkpoint { epoch, step } => {
                let text = format!("checkpoint written after step {step} of epoch {epoch}");
                if let Style::Dashboard(dashboard, _) = &self.style {
                    dashboard.message(&text);
                }
                self.wait();
            }
            Event::SearchEpoch(metrics) => {
                self.gap = format!("  gap {}", decimals(metrics.gap, 1));
                self.epoch(&search_line(metrics));
                self.update_events();
                self.wait_after_epoch(metrics.epoch);
            }
            Event::TuningEpoch(metrics) => {
                self.clock.epochs = metrics.epochs;
                self.epoch(&tuning_line(metrics));
                if !metrics.excluded.is_empty() {
                    self.warn(&format!(
                        "more skip connections than target.most_skips allows: everything is decided again without \
                         those of {}",
                        metrics.excluded.join(" ")
                    ));
                }
                self.wait_after_epoch(metrics.epoch);
            }
            Event::TrainEpoch(metrics) => {
                self.epoch(&train_line(metrics));
                self.update_events();
                self.wait_after_epoch(metrics.epoch);
            }
            Event::Seed { seed, place, trainings } => {
                self.line(&format!("training {place} of {trainings}, from seed {seed}"));
            }
            Event::Baseline { network, channels } => {
                self.line(&format!("baseline {network}, {channels} channels in its stem"));
            }
            Event::FrontNetwork { name, place, networks } => {
                self.line(&format!("network {place} of {networks}: {name}"));
            }
            Event::NewLength { epochs, before, .. } => self.new_length(epochs, before),
            Event::Gap(gap) => self.line(&gap_line(gap)),
            Event::Widened(widened) => self.line(&format!("the final network is {}", widened.text())),
            Event::Warning(Warning { text, hints }) => self.warn(&with_hints(&text, &hints)),
        }
    }

    fn stop(&self) -> bool {
        self.stop.is_raised()
    }

    fn checkpoint(&self) -> bool {
        match &self.style {
            Style::Dashboard(dashboard, _) => dashboard.takes_checkpoint(),
            Style::Silent | Style::Quiet | Style::Lines(_) | Style::Bar(_) => false,
        }
    }
}

fn search_line(metrics: &SearchEpoch) -> String {
    format!(
        "search {}/{}: loss {} (cross-entropy {}), accuracy {} %, super-network {} %, discretized {} %, gap {}, \
         least p {}, least q {}",
        metrics.epoch,
        metrics.epochs,
        decimals(metrics.weight_loss, 3),
        decimals(metrics.cross_entropy, 3),
        decimals(metrics.train_accuracy, 1),
        decimals(metrics.supernet_accuracy, 1),
        decimals(metrics.discretized_accuracy, 1),
        decimals(metrics.gap, 1),
        decimals(metrics.p_least, 2),
        decimals(metrics.q_least, 2),
    )
}

fn tuning_line(metrics: &TuningEpoch) -> String {
    format!(
        "discretize {}/{}: decision {} of {}, {} {} keeps {}; cross-entropy {}, accuracy {} %, held-out {} %",
        metrics.epoch,
        metrics.epochs,
        metrics.decision,
        metrics.decisions,
        metrics.kind,
        metrics.choice,
        metrics.kept.join(" "),
        decimals(metrics.cross_entropy, 3),
        decimals(metrics.train_accuracy, 1),
        decimals(metrics.accuracy, 1),
    )
}

fn train_line(metrics: &TrainEpoch) -> String {
    let validation = metrics
        .validation_accuracy
        .map(|value| format!(", validation {value:.1} %"))
        .unwrap_or_default();
    format!(
        "train {}/{}: loss {}, accuracy {} %{validation}",
        metrics.epoch,
        metrics.epochs,
        decimals(metrics.train_loss, 3),
        decimals(metrics.train_accuracy, 1)
    )
}

fn gap_line(gap: &Gap) -> String {
    let row = &gap.as_trained;
    let tuned = gap
        .tuned
        .map(|accuracy| format!("; tuned weights {accuracy:.1} %"))
        .unwrap_or_default();
    format!(
        "gap on {}: super-network {} %, operations {} %, edges {} %, both {} %: {} points{tuned}",
        counted(gap.images.unwrap_or(0) as usize, "held-out image"),
        decimals(row.supernet, 1),
        decimals(row.operations, 1),
        decimals(row.edges, 1),
        decimals(row.both, 1),
        decimals(gap.points(), 1)
    )
}

/// A bar without a length, with a text.
fn spinner(text: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(text.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

fn bar_style() -> ProgressStyle {
    // The template is constant and a test checks it; if it were wrong, the default style would do.
    ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(200);
const TEMPLATE: &str = "{prefix:<14} [{bar:24}] {msg}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_results_of_an_epoch() {
        let metrics = SearchEpoch {
            epoch: 12,
            epochs: 30,
            weight_loss: Some(1.2345),
            cross_entropy: Some(0.5),
            train_accuracy: Some(91.26),
            supernet_accuracy: Some(90.0),
            discretized_accuracy: Some(89.5),
            gap: Some(0.5),
            p_least: Some(0.98),
            q_least: Some(1.0),
            ..SearchEpoch::default()
        };
        assert_eq!(
            search_line(&metrics),
            "search 12/30: loss 1.234 (cross-entropy 0.500), accuracy 91.3 %, super-network 90.0 %, discretized 89.5 %, gap 0.5, \
             least p 0.98, least q 1.00"
        );
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
