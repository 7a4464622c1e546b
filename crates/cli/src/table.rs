//! The tables that commands print, one file each; this file has their common parts.
//!
//! Contract: the content of a cell never leaves its row: untrusted names and reasons go through
//! [`escaped`].

mod comparison;
mod discretization;
mod front;
mod quantisation;
mod run;
mod runs;
mod standings;

pub use self::comparison::of_comparison;
pub use self::discretization::of_discretization;
pub use self::front::of_front;
pub use self::quantisation::of_quantisation;
pub use self::run::{next_steps, of_run};
pub use self::runs::of_runs;
pub use self::standings::of_standings;

use std::fmt::Write;

use da2s_records::schema::{DeviceCost, Widened};
use da2s_settings::Quantity;

use crate::terminal::escaped;

/// Maximum number of undecided edges that are listed; `genotype.json` has the rest.
const NAMED_EDGES: usize = 4;

/// What stands for a value that is missing.
pub fn absent() -> String {
    "–".to_owned()
}

/// A number with this many decimals, if present.
pub fn decimals(number: Option<f64>, decimals: usize) -> String {
    number.map_or_else(absent, |number| format!("{number:.decimals$}"))
}

/// Aligns rows in columns; the first `words` columns are left-aligned words, the others
/// right-aligned numbers.
fn columns(rows: &[Vec<String>], words: usize) -> String {
    columns_with(rows, |column| column < words)
}

/// The same, where `is_word` says which columns are words.
pub fn columns_with(rows: &[Vec<String>], is_word: impl Fn(usize) -> bool) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| escaped(cell)).collect())
        .collect();
    let length = |text: &String| text.chars().count();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(length)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cell = |(column, cell): (usize, &String)| {
            let width = widths[column];
            if is_word(column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Rows of a name and a value.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{name:<26}{}", escaped(value));
    }

    /// An accuracy in percent, if it was measured.
    fn percent(&mut self, name: &str, percent: Option<f64>, remark: &str) {
        if let Some(percent) = percent {
            let row = format!("{percent:>6.2} %   {remark}");
            self.row(name, row.trim_end());
        }
    }

    fn count(&mut self, name: &str, count: Option<u64>) {
        self.row(name, &count.map_or_else(absent, grouped));
    }

    /// How the network became wider after its search, if it did.
    fn widened(&mut self, widened: Option<&Widened>) {
        if let Some(widened) = widened {
            self.row("width", &widened.text());
        }
    }

    /// Size and memory, if they are known.
    fn device(&mut self, cost: &DeviceCost) {
        let text = |bytes: u64| Quantity::Bytes.text(bytes as f64);
        for (name, float, int8) in [
            ("size", cost.size_bytes, cost.size_int8_bytes),
            ("peak memory", cost.ram_bytes, cost.ram_int8_bytes),
        ] {
            if let Some(float) = float {
                let int8 = int8.map_or_else(String::new, |int8| format!(", in int8 {}", text(int8)));
                self.row(name, &(text(float) + &int8));
            }
        }
        if let Some(ms) = cost.latency_ms {
            let latency = Quantity::Milliseconds.text(ms);
            self.row("predicted latency", &format!("{latency}, from target.latency_table"));
        }
    }

    fn decision(&mut self, decided: bool, p_least: f64, q_least: f64, undecided: &[String]) {
        let least = format!("least p {p_least:.3}, least q {q_least:.3}");
        if decided {
            self.row("decided", &format!("every edge; {least}"));
            return;
        }
        self.row("decided", &format!("not every edge; {least}"));
        for edge in undecided.iter().take(NAMED_EDGES) {
            self.row("", edge);
        }
        if undecided.len() > NAMED_EDGES {
            self.row(
                "",
                &format!("and {} more, see genotype.json", undecided.len() - NAMED_EDGES),
            );
        }
    }
}

/// `97.20–99.29 %`
fn interval([from, to]: [f64; 2]) -> String {
    format!("{from:.2}–{to:.2} %")
}

fn gap(points: Option<f64>) -> String {
    points
        .map(|points| format!("gap {points:.2} points"))
        .unwrap_or_default()
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned_and_words_left_aligned() {
        let rows = [["method", "gap"], ["da2s", "0.00 ± 0.00"], ["entropy, x=1", "–"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        insta::assert_snapshot!(columns(&rows, 1), @r"
        method                gap
        da2s          0.00 ± 0.00
        entropy, x=1            –
        ");
    }
}
