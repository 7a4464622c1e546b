//! The data of a picture: a table as CSV (RFC 4180) in a `data:` link, saved with a click.
//!
//! The page's script reads chart values from the same links, so the page contains the numbers once.

use maud::{Markup, html};

/// A table of text cells that becomes CSV.
pub(crate) struct CsvTable {
    csv: String,
}

impl CsvTable {
    /// An empty table with these column names.
    pub(crate) fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self { csv: String::new() };
        table.row(columns);
        table
    }

    /// The table with this CSV text.
    pub(crate) const fn of(csv: String) -> Self {
        Self { csv }
    }

    /// Adds a row, one cell per column.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.csv.push(',');
            }
            self.push_cell(cell.as_ref());
        }
        self.csv.push('\n');
    }

    /// The whole table as CSV.
    pub(crate) fn into_csv(self) -> String {
        self.csv
    }

    fn push_cell(&mut self, cell: &str) {
        if cell.contains(['"', ',', '\n', '\r']) {
            self.csv.push('"');
            self.csv.push_str(&cell.replace('"', "\"\""));
            self.csv.push('"');
        } else {
            self.csv.push_str(cell);
        }
    }

    /// The link; `name` is the name of the saved file and `what` the description for screen
    /// readers.
    pub(crate) fn link(&self, name: &str, what: &str) -> Markup {
        html! {
            a.data href={ "data:text/csv;charset=utf-8," (percent_encoded(&self.csv)) } download={ (name) ".csv" }
                aria-label={ "Data of “" (what) "” as CSV" } { "data" }
        }
    }
}

/// Percent-encoding of RFC 3986; commas are kept, because CSV has many of them and `data:` links
/// allow them.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 5 / 4);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_encoded() {
        let mut table = CsvTable::new(["class", "n"]);
        table.row(["a,\"b\"", "1"]);
        assert_eq!(table.csv, "class,n\n\"a,\"\"b\"\"\",1\n");
        assert_eq!(percent_encoded("<é,1>\n"), "%3C%C3%A9,1%3E%0A");
    }
}
