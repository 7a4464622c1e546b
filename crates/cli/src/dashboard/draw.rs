//! Draws the dashboard on a terminal of any size: all panels at once if they fit, otherwise one
//! panel at a time.

use da2s_report::run::SearchEpoch;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::board::Board;
use super::curves::{self, Curves};
use super::edges;
use crate::clock;

/// Minimum size at which all panels are shown at once. The cells get 40 % of the width and need 52
/// columns: 50 for the row of an edge, 2 for the frame.
const WIDE: (u16, u16) = (130, 30);

/// A part of the dashboard.
enum Panel<'a> {
    Curves(Curves),
    Edges(&'a str, &'a da2s_report::run::ArchCell),
}

/// Draws `board`.
pub fn draw(frame: &mut Frame<'_>, board: &Board<'_>) {
    let [title, gauge, numbers, main, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title_line(board), title);
    frame.render_widget(gauge_line(board, gauge.width), gauge);
    frame.render_widget(numbers_line(board, numbers.width), numbers);
    frame.render_widget(foot_line(board), foot);
    let charts: Vec<Panel<'_>> = curves::of(board.run).into_iter().map(Panel::Curves).collect();
    let cells: Vec<Panel<'_>> = board
        .cells()
        .into_iter()
        .map(|(kind, cell)| Panel::Edges(kind, cell))
        .collect();
    if charts.is_empty() && cells.is_empty() {
        let text = "No numbers yet: the first come with the first epoch.";
        frame.render_widget(Paragraph::new(text).style(board.theme.faint()), main);
    } else if main.width >= WIDE.0 && frame.area().height >= WIDE.1 {
        all(frame, main, &charts, &cells, board);
    } else {
        let panels = charts.len() + cells.len();
        if let Some(panel) = charts.iter().chain(&cells).nth(board.view.panel % panels) {
            panel.draw(frame, main, board);
        }
    }
}

/// Charts on the left, in two columns once the retraining has begun; cells on the right.
fn all(frame: &mut Frame<'_>, area: Rect, charts: &[Panel<'_>], cells: &[Panel<'_>], board: &Board<'_>) {
    let sides = |left: bool, right: bool| match (left, right) {
        (true, true) => [Constraint::Percentage(60), Constraint::Percentage(40)],
        (left, _) => [
            Constraint::Percentage(if left { 100 } else { 0 }),
            Constraint::Percentage(if left { 0 } else { 100 }),
        ],
    };
    let [left, right] = Layout::horizontal(sides(!charts.is_empty(), !cells.is_empty())).areas(area);
    let pairs: Vec<&[Panel<'_>]> = charts.chunks(2).collect();
    let columns = Layout::horizontal(vec![Constraint::Fill(1); pairs.len()]).split(left);
    for (pair, column) in pairs.iter().zip(columns.iter()) {
        stack(frame, *column, pair, board);
    }
    stack(frame, right, cells, board);
}

/// Panels stacked vertically, with equal heights.
fn stack(frame: &mut Frame<'_>, area: Rect, panels: &[Panel<'_>], board: &Board<'_>) {
    let rows = Layout::vertical(vec![Constraint::Fill(1); panels.len()]).split(area);
    for (panel, row) in panels.iter().zip(rows.iter()) {
        panel.draw(frame, *row, board);
    }
}

impl Panel<'_> {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, board: &Board<'_>) {
        match self {
            Self::Curves(curves) => curves.draw(frame, area, board.theme),
            Self::Edges(kind, cell) => edges::draw(frame, area, kind, cell, board.view.scroll, board.theme),
        }
    }
}

fn title_line<'a>(board: &Board<'a>) -> Line<'a> {
    let run = board.run;
    let config: toml::Table = run
        .config
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let word = |table: &str, key: &str| Some(config.get(table)?.get(key)?.to_string().replace('"', ""));
    let mut spans = vec![
        Span::styled("da2s ", board.theme.strong()),
        Span::styled(run.name.as_str(), board.theme.series(0)),
    ];
    if let (Some(method), Some(dataset)) = (word("search", "method"), word("data", "dataset")) {
        let seed = word("run", "seed")
            .map(|seed| format!(", seed {seed}"))
            .unwrap_or_default();
        spans.push(Span::raw(format!("  {method} on {dataset}{seed}")));
    }
    Line::from(spans)
}

fn gauge_line(board: &Board<'_>, width: u16) -> Line<'static> {
    let now = board.now;
    let style = match now.word.as_str() {
        "failed" => board.theme.alarm(),
        _ => board.theme.strong(),
    };
    let epoch = now
        .epoch
        .map(|(epoch, epochs)| format!(" {epoch}/{epochs}"))
        .unwrap_or_default();
    let step = now
        .step
        .map(|(step, steps)| format!("  step {step}/{steps}"))
        .unwrap_or_default();
    let left = now
        .left
        .map(|left| format!("  {} left", clock::text(left)))
        .unwrap_or_default();
    let mut spans = vec![Span::styled(format!("{}{epoch}", now.word), style), Span::raw(step)];
    if let Some(share) = now.share() {
        let taken: usize = spans.iter().map(Span::width).sum::<usize>() + left.chars().count() + 12;
        let length = usize::from(width).saturating_sub(taken).min(60);
        spans.push(Span::raw("  ▕"));
        spans.push(Span::styled(edges::bar(length, share), board.theme.series(0)));
        spans.push(Span::raw(format!("▏{:3.0} %", 100.0 * share)));
    }
    spans.push(Span::raw(left));
    Line::from(spans)
}

/// The current numbers, the most important first, as many as fit.
fn numbers_line(board: &Board<'_>, width: u16) -> Line<'static> {
    let (run, now) = (board.run, board.now);
    let search = run.search.last();
    let summary = run.summary.as_ref();
    let of_search = |value: fn(&SearchEpoch) -> Option<f64>| search.and_then(value);
    // Without the regulariser, λ has no effect.
    let regularised = search.is_some_and(|epoch| epoch.lambda.is_some_and(|lambda| lambda > 0.0));
    let of_regulariser = |value| of_search(value).filter(|_| regularised);
    let mut numbers = vec![
        (
            "retrained",
            summary.and_then(|summary| summary.network_accuracy),
            2,
            " %",
        ),
        ("loss", now.loss, 3, ""),
        ("accuracy", now.accuracy, 1, " %"),
        ("gap", of_search(|epoch| epoch.gap), 1, ""),
        ("λ", of_regulariser(|epoch| epoch.lambda), 2, ""),
        ("p ≥", of_search(|epoch| epoch.p_least), 2, ""),
        ("q ≥", of_search(|epoch| epoch.q_least), 2, ""),
        ("λc", of_regulariser(|epoch| epoch.lambda_c), 2, ""),
        ("λα", of_regulariser(|epoch| epoch.lambda_alpha), 2, ""),
        ("super-network", of_search(|epoch| epoch.supernet_accuracy), 1, " %"),
        ("discretized", of_search(|epoch| epoch.discretized_accuracy), 1, " %"),
        ("path p ≥", of_search(|epoch| epoch.path_p), 2, ""),
        ("cost", of_search(|epoch| epoch.expected_cost), 2, " of limit"),
    ];
    let terms = search.iter().flat_map(|epoch| &epoch.terms);
    numbers.extend(terms.map(|term| (term.name.as_str(), term.added(), 3, "")));
    let mut spans = Vec::new();
    let mut taken = 0;
    for (name, value, digits, unit) in numbers {
        let Some(value) = value else { continue };
        let text = format!("{value:.digits$}{unit}");
        let length = name.chars().count() + text.chars().count() + 3;
        if taken + length > usize::from(width) + 2 {
            break;
        }
        taken += length;
        spans.push(Span::styled(format!("{name} "), board.theme.faint()));
        spans.push(Span::raw(format!("{text}  ")));
    }
    Line::from(spans)
}

fn foot_line<'a>(board: &Board<'a>) -> Line<'a> {
    if let Some(message) = board.message {
        return Line::styled(message, board.theme.strong());
    }
    let keys = board.keys.iter().flat_map(|(key, meaning)| {
        [
            Span::styled(*key, board.theme.strong()),
            Span::styled(format!(" {meaning}  "), board.theme.faint()),
        ]
    });
    Line::from_iter(keys)
}
