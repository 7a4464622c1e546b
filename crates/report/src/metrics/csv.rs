//! A table as comma-separated values (RFC 4180): a line of names, then one line per row; an absent
//! number is an empty cell.

use super::{Cells, MetricsTable};

/// The content of the file. Numbers have as many digits as are needed to read back the same number.
pub(super) fn bytes(table: &MetricsTable) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(table.columns.iter().map(|column| &column.name))?;
    let rows = table.columns.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        writer.write_record(table.columns.iter().map(|column| cell(&column.cells, row)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn cell(cells: &Cells, row: usize) -> String {
    match cells {
        Cells::Text(words) => words[row].clone(),
        Cells::Whole(numbers) => numbers[row].map(|number| number.to_string()).unwrap_or_default(),
        Cells::Number(numbers) => numbers[row].map(|number| number.to_string()).unwrap_or_default(),
    }
}
