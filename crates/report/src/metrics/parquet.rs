//! A table as Apache Parquet: one row group; text as UTF-8 strings, integers as INT64, other
//! numbers as DOUBLE.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{Cells, Column, MetricsTable};

/// The content of the file.
pub(super) fn bytes(table: &MetricsTable) -> Result<Vec<u8>, ParquetError> {
    let fields: Result<Vec<TypePtr>, ParquetError> = table.columns.iter().map(field).collect();
    let schema = Type::group_type_builder(table.name).with_fields(fields?).build()?;
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties)?;
    let mut group = writer.next_row_group()?;
    for column in &table.columns {
        let mut into = group
            .next_column()?
            .ok_or_else(|| ParquetError::General(format!("no column for {}", column.name)))?;
        match &column.cells {
            Cells::Text(words) => {
                let words: Vec<ByteArray> = words.iter().map(|word| ByteArray::from(word.as_str())).collect();
                into.typed::<ByteArrayType>().write_batch(&words, None, None)?;
            }
            Cells::Whole(numbers) => optional::<Int64Type>(&mut into, numbers)?,
            Cells::Number(numbers) => optional::<DoubleType>(&mut into, numbers)?,
        }
        into.close()?;
    }
    group.close()?;
    writer.into_inner()
}

/// Name and type of a column; numbers are nullable.
fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let builder = match column.cells {
        Cells::Text(_) => Type::primitive_type_builder(&column.name, Physical::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_repetition(Repetition::REQUIRED),
        Cells::Whole(_) => {
            Type::primitive_type_builder(&column.name, Physical::INT64).with_repetition(Repetition::OPTIONAL)
        }
        Cells::Number(_) => {
            Type::primitive_type_builder(&column.name, Physical::DOUBLE).with_repetition(Repetition::OPTIONAL)
        }
    };
    builder.build().map(Arc::new)
}

/// Writes nullable numbers: a definition level for each row, and the values that exist.
fn optional<T: DataType>(into: &mut SerializedColumnWriter<'_>, numbers: &[Option<T::T>]) -> Result<(), ParquetError> {
    let levels: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
    let there: Vec<T::T> = numbers.iter().flatten().cloned().collect();
    into.typed::<T>().write_batch(&there, Some(&levels), None)?;
    Ok(())
}
