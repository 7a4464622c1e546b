//! Progress on the standard error: a bar on a terminal, otherwise a line an epoch; nothing with `--quiet`.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use da2s::discretize::Gap;
use da2s::observer::{Event, Observer, Stage};
use da2s::search::EpochMetrics;
use da2s::train::TrainMetrics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::interrupt::StopFlag;

/// Tells the user how far the library is.
#[derive(Debug)]
pub struct Progress {
    style: Style,
    stop: StopFlag,
    clock: Clock,
    /// Accuracies and gap of the last epoch of the search, for the bar.
    gap: String,
}

#[derive(Debug)]
enum Style {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

/// How long a stage takes from here.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Instant,
    epochs: usize,
    /// Steps of the stage that were done when this process began.
    first_step: Option<usize>,
    steps_done: usize,
    steps: usize,
}

impl Clock {
    fn start(epochs: usize) -> Self {
        Self {
            began: Instant::now(),
            epochs,
            first_step: None,
            steps_done: 0,
            steps: 0,
        }
    }

    /// A step is done: `step` of `steps` in `epoch`, both from 1.
    fn step(&mut self, epoch: usize, step: usize, steps: usize) {
        self.steps = self.epochs * steps;
        self.steps_done = (epoch - 1) * steps + step;
        self.first_step.get_or_insert(self.steps_done - 1);
    }

    /// Time left, once there is something to tell it from.
    fn left(&self) -> Option<Duration> {
        let done = self.steps_done - self.first_step?;
        let left = self.steps - self.steps_done;
        Some(self.began.elapsed().mul_f64(left as f64 / done as f64))
    }
}

impl Progress {
    /// Progress as the standard error and the user want it.
    pub fn new(quiet: bool, stop: StopFlag) -> Self {
        let style = if quiet {
            Style::Quiet
        } else if io::stderr().is_terminal() {
            Style::Bar(ProgressBar::hidden())
        } else {
            Style::Lines
        };
        Self {
            style,
            stop,
            clock: Clock::start(0),
            gap: String::new(),
        }
    }

    /// Takes the bar away, so that what is printed next stands alone.
    pub fn finish(&self) {
        match &self.style {
            Style::Bar(bar) => bar.finish_and_clear(),
            Style::Quiet | Style::Lines => {}
        }
    }

    /// A line that stays.
    fn line(&self, text: &str) {
        match &self.style {
            Style::Quiet => {}
            Style::Lines => {
                // Progress that nobody reads is no reason to end a run.
                let _ = writeln!(io::stderr(), "{text}");
            }
            Style::Bar(bar) => bar.suspend(|| {
                let _ = writeln!(io::stderr(), "{text}");
            }),
        }
    }

    /// An epoch is done: a line of its own, where there is no bar.
    fn epoch(&self, text: &str) {
        match &self.style {
            Style::Lines => {
                let left = self
                    .clock
                    .left()
                    .map(|left| format!(", {} left", time(left)))
                    .unwrap_or_default();
                self.line(&format!("{text}{left}"));
            }
            Style::Quiet | Style::Bar(_) => {}
        }
    }

    fn started(&mut self, stage: Stage, epochs: usize, resumed_at: usize) {
        self.finish();
        self.clock = Clock::start(epochs);
        self.gap.clear();
        match &mut self.style {
            Style::Quiet => {}
            Style::Lines => {
                if resumed_at > 0 && resumed_at < epochs {
                    self.line(&format!(
                        "{}: going on behind epoch {resumed_at} of {epochs}",
                        name(stage)
                    ));
                }
            }
            Style::Bar(bar) => {
                *bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(if epochs > 0 {
                    bar_style()
                } else {
                    ProgressStyle::default_spinner()
                });
                bar.set_prefix(name(stage));
                bar.set_message(if epochs > 0 {
                    String::new()
                } else {
                    name(stage).to_owned()
                });
                bar.enable_steady_tick(Duration::from_millis(200));
            }
        }
    }

    fn stepped(&mut self, stage: Stage, epoch: usize, step: usize, steps: usize, loss: f64, accuracy: f64) {
        self.clock.step(epoch, step, steps);
        if let Style::Bar(bar) = &self.style {
            let clock = &self.clock;
            bar.set_length(clock.steps as u64);
            bar.set_position(clock.steps_done as u64);
            bar.set_prefix(format!("{} {epoch}/{}", name(stage), clock.epochs));
            let left = clock.left().map(time).unwrap_or_default();
            bar.set_message(format!(
                "loss {loss:.3}  accuracy {accuracy:.1} %{}  {left} left",
                self.gap
            ));
        }
    }
}

impl Observer for Progress {
    fn on(&mut self, event: Event<'_>) {
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
            }
            Event::SearchEpoch(metrics) => {
                self.gap = format!("  gap {:.1}", metrics.gap);
                self.epoch(&search_line(metrics));
            }
            Event::TrainEpoch(metrics) => self.epoch(&train_line(metrics)),
            Event::Gap(gap) => self.line(&gap_line(gap)),
            Event::Warning(text) => self.line(&format!("da2s: {text}")),
        }
    }

    fn stop(&self) -> bool {
        self.stop.is_raised()
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Search => "search",
        Stage::Discretize => "discretize",
        Stage::Train => "train",
        Stage::Evaluate => "evaluate",
    }
}

fn search_line(metrics: &EpochMetrics) -> String {
    format!(
        "search {}/{}: loss {:.3} (cross-entropy {:.3}), accuracy {:.1} %, super-network {:.1} %, discretized {:.1} %, gap {:.1}, \
         least p {:.2}, least q {:.2}",
        metrics.epoch,
        metrics.epochs,
        metrics.weight_loss,
        metrics.cross_entropy,
        metrics.train_accuracy,
        metrics.supernet_accuracy,
        metrics.discretized_accuracy,
        metrics.gap,
        metrics.p_least,
        metrics.q_least,
    )
}

fn train_line(metrics: &TrainMetrics) -> String {
    let validation = metrics
        .validation_accuracy
        .map(|value| format!(", validation {value:.1} %"))
        .unwrap_or_default();
    format!(
        "train {}/{}: loss {:.3}, accuracy {:.1} %{validation}",
        metrics.epoch, metrics.epochs, metrics.train_loss, metrics.train_accuracy
    )
}

fn gap_line(gap: &Gap) -> String {
    let row = gap.as_trained;
    format!(
        "gap on {} held-out images: super-network {:.1} %, operations {:.1} %, edges {:.1} %, both {:.1} %: {:.1} points",
        gap.images,
        row.supernet,
        row.operations,
        row.edges,
        row.both,
        gap.points()
    )
}

/// Minutes and seconds, or hours and minutes.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02} h", seconds / 60 % 60),
    }
}

fn bar_style() -> ProgressStyle {
    // The template is constant and a test draws it; were it ever wrong, the default style would do.
    ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar())
}

const TEMPLATE: &str = "{prefix:<14} [{bar:24}] {msg}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_an_epoch_came_to() {
        let metrics = EpochMetrics {
            epoch: 12,
            epochs: 30,
            weight_loss: 1.2345,
            cross_entropy: 0.5,
            train_accuracy: 91.26,
            supernet_accuracy: 90.0,
            discretized_accuracy: 89.5,
            gap: 0.5,
            p_least: 0.98,
            q_least: 1.0,
            ..EpochMetrics::default()
        };
        assert_eq!(
            search_line(&metrics),
            "search 12/30: loss 1.234 (cross-entropy 0.500), accuracy 91.3 %, super-network 90.0 %, discretized 89.5 %, gap 0.5, \
             least p 0.98, least q 1.00"
        );
    }

    #[test]
    fn the_clock_counts_from_where_this_process_began() {
        let mut clock = Clock::start(10);
        assert_eq!(clock.left(), None);
        clock.step(5, 3, 11);
        assert_eq!((clock.steps, clock.steps_done, clock.first_step), (110, 47, Some(46)));
        clock.step(10, 11, 11);
        assert_eq!(clock.left(), Some(Duration::ZERO));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(Duration::from_secs(75)), "1:15 min");
        assert_eq!(time(Duration::from_secs(2 * 3600 + 300)), "2:05 h");
    }

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
