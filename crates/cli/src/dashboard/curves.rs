//! Curves over the epochs: the values in each chart, and how a chart is drawn.

use da2s_report::Run;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

use super::theme::Theme;

/// Curves that share their axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// The quantity, with its unit.
    pub title: &'static str,
    /// Whether the vertical axis shows percentages.
    pub percent: bool,
    /// Epochs planned.
    pub epochs: usize,
    /// Name and (epoch, value) points of each curve. One without values is not drawn.
    pub series: Vec<Series>,
}

/// The charts of a run: those of the search, and those of the retraining once it has begun.
pub fn of(run: &Run) -> Vec<Curves> {
    let mut charts = Vec::new();
    if let Some(last) = run.search.last() {
        let chart = charts_upto(last.epochs.max(last.epoch));
        charts.push(chart(
            "search accuracy, %",
            true,
            vec![
                (
                    "super-network",
                    points(&run.search, |at| (at.epoch, at.supernet_accuracy)),
                ),
                (
                    "discretized",
                    points(&run.search, |at| (at.epoch, at.discretized_accuracy)),
                ),
                ("training", points(&run.search, |at| (at.epoch, at.train_accuracy))),
            ],
        ));
        charts.push(chart(
            "search loss, nats",
            false,
            vec![
                ("weights", points(&run.search, |at| (at.epoch, at.weight_loss))),
                ("α, β", points(&run.search, |at| (at.epoch, at.arch_loss))),
                ("cross-entropy", points(&run.search, |at| (at.epoch, at.cross_entropy))),
            ],
        ));
    }
    if let Some(last) = run.training.last() {
        let chart = charts_upto(last.epochs.max(last.epoch));
        charts.push(chart(
            "retraining accuracy, %",
            true,
            vec![
                ("training", points(&run.training, |at| (at.epoch, at.train_accuracy))),
                (
                    "validation",
                    points(&run.training, |at| (at.epoch, at.validation_accuracy)),
                ),
            ],
        ));
        charts.push(chart(
            "retraining loss, nats",
            false,
            vec![("training", points(&run.training, |at| (at.epoch, at.train_loss)))],
        ));
    }
    charts
}

/// A name and its (epoch, value) points.
type Series = (&'static str, Vec<(f64, f64)>);

/// Creates charts of `epochs` epochs from a title, whether values are in percent, and series.
fn charts_upto(epochs: usize) -> impl Fn(&'static str, bool, Vec<Series>) -> Curves {
    move |title, percent, series| Curves {
        title,
        percent,
        epochs,
        series,
    }
}

/// The values that are present and finite.
fn points<R>(records: &[R], value: impl Fn(&R) -> (usize, Option<f64>)) -> Vec<(f64, f64)> {
    let point = |record| {
        let (epoch, value) = value(record);
        Some((epoch as f64, value.filter(|value| value.is_finite())?))
    };
    records.iter().filter_map(point).collect()
}

impl Curves {
    /// Draws the chart into `area`; its legend, with the last values, is the line at its top.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let there = || {
            let series = self.series.iter().enumerate();
            series.filter_map(|(index, (name, points))| Some((index, *name, points, points.last()?.1)))
        };
        let mut legend = Vec::new();
        for (index, name, _, last) in there() {
            let digits = if self.percent { 1 } else { 3 };
            // Without colours, the marker symbols distinguish the curves.
            legend.push(Span::styled(
                format!("{} {name} ", MARKERS[index % 3].1),
                theme.series(index),
            ));
            legend.push(Span::raw(format!("{last:.digits$} ")));
        }
        let block = Block::bordered()
            .border_style(theme.faint())
            .title(Line::styled(format!(" {} ", self.title), theme.strong()));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [top, plot] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
        frame.render_widget(Paragraph::new(Line::from(legend)), top);
        let (low, high) = self.range();
        let datasets = there().map(|(index, _, points, _)| {
            Dataset::default()
                .marker(MARKERS[index % 3].0)
                .graph_type(GraphType::Line)
                .style(theme.series(index))
                .data(points)
        });
        let label = |value: f64| {
            if self.percent {
                format!("{value:.0}")
            } else {
                format!("{value:.2}")
            }
        };
        let last = self.epochs.max(2);
        let chart = Chart::new(datasets.collect())
            .legend_position(None)
            .x_axis(
                Axis::default()
                    .bounds([1.0, last as f64])
                    .labels(["1".to_owned(), format!("epoch {last}")])
                    .style(theme.faint()),
            )
            .y_axis(
                Axis::default()
                    .bounds([low, high])
                    .labels([label(low), label(f64::midpoint(low, high)), label(high)])
                    .style(theme.faint()),
            );
        frame.render_widget(chart, plot);
    }

    /// The range of the vertical axis: 0 to 100 %, or that of the values, extended to include 0.
    fn range(&self) -> (f64, f64) {
        if self.percent {
            return (0.0, 100.0);
        }
        let values = self.series.iter().flat_map(|(_, points)| points).map(|point| point.1);
        let (low, high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        (low, if high > low { high } else { low + 1.0 })
    }
}

/// The marker of each curve, and its symbol in the legend.
const MARKERS: [(Marker, &str); 3] = [(Marker::Braille, "⣿"), (Marker::HalfBlock, "▀"), (Marker::Dot, "•")];
