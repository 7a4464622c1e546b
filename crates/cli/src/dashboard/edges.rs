//! The mixture as bars: for each edge its weight q, its best operation with the weight p, and all
//! operations as a row of columns in the order of the space.

use da2s_report::run::ArchCell;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::theme::Theme;

/// Draws the edges of `cell` into `area`, starting at row `scroll`.
pub fn draw(frame: &mut Frame<'_>, area: Rect, kind: &str, cell: &ArchCell, scroll: usize, theme: Theme) {
    let block = Block::bordered()
        .border_style(theme.faint())
        .title(Line::styled(format!(" {kind} cell "), theme.strong()))
        .title(Line::styled(" q of the edge, p of the operations ", theme.faint()));
    let inner = block.inner(area);
    let rows = usize::from(inner.height);
    let first = scroll.min(cell.edges.len().saturating_sub(rows));
    let hidden = cell.edges.len().saturating_sub(rows);
    let block = if hidden > 0 {
        let shown = format!(" {}–{} of {} ", first + 1, first + rows, cell.edges.len());
        block.title_bottom(Line::styled(shown, theme.faint()).right_aligned())
    } else {
        block
    };
    let lines = (first..cell.edges.len()).take(rows);
    let lines: Vec<Line<'_>> = lines.map(|edge| row(cell, edge, inner.width, theme)).collect();
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// One edge, `width` columns wide.
fn row<'a>(cell: &'a ArchCell, edge: usize, width: u16, theme: Theme) -> Line<'a> {
    let (from, to) = cell.edges[edge];
    let p = &cell.p[edge];
    let best = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0);
    let name = &cell.operations[best];
    // Everything except the two bars: edge, numbers, name, columns, and gaps.
    let fixed = 5 + 2 * (3 + 5) + 1 + NAME + 1 + p.len();
    let bars = usize::from(width).saturating_sub(fixed);
    let length = (bars / 2).clamp(4, 20);
    let columns: String = p.iter().map(|weight| eighths(*weight, &COLUMNS)).collect();
    Line::from(vec![
        Span::raw(format!("{from}→{to:<2} ")),
        Span::raw("q▕"),
        Span::styled(bar(length, cell.q[edge]), theme.series(0)),
        Span::raw(format!("▏{:.2} ", cell.q[edge])),
        Span::raw(format!(" {name:<NAME$.NAME$} ")),
        Span::raw("p▕"),
        Span::styled(bar(length, p[best]), theme.series(1)),
        Span::raw(format!("▏{:.2} ", p[best])),
        Span::styled(columns, theme.series(1)),
    ])
}

/// Number of characters shown of an operation's name.
const NAME: usize = 12;
const COLUMNS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ROWS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A fraction from 0 to 1 as one of nine characters; NaN is shown as empty.
fn eighths(share: f64, signs: &[char; 9]) -> char {
    signs[(share.clamp(0.0, 1.0) * 8.0).round() as usize]
}

/// A bar that fills `share` of `length` columns.
pub fn bar(length: usize, share: f64) -> String {
    let filled = share.clamp(0.0, 1.0) * length as f64;
    let column = |index: usize| eighths(filled - index as f64, &ROWS);
    (0..length).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(4, 0.0), "    ");
        assert_eq!(bar(4, 0.625), "██▌ ");
        assert_eq!(bar(4, 7.0), "████");
        assert_eq!(bar(4, f64::NAN), "    ");
    }
}
